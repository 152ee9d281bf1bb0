import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { addon } from '../../../lib/launch/addon.js'
import { resolveGraph } from '../../../lib/loader/resolve.js'
import { rootFileSystem } from '../../../lib/loader/root-file-system.js'
import { temporaryDirectory } from '../../support/fixtures.js'
import { compare, EVERY_VERSION, hows } from '../../support/judge.js'
import { LoaderFixtures } from '../../support/loader-fixtures.js'
import { askLoader, HOST_LOADER } from '../../support/oracle.js'

/** Whole roots, merged and split, with each version's loader in them, which judges from inside. */
const fixtures = new LoaderFixtures()
const TRIPLET = 'x86_64-linux-gnu'
const DIRECTORIES = [`lib/${TRIPLET}`, `usr/lib/${TRIPLET}`, 'lib', 'usr/lib'] as const

fixtures.named('made/libr.so')
const program = fixtures.program('program', ['made/libr.so'])
const undefaulted = fixtures.program('undefaulted', ['made/libr.so'], ['-z', 'nodefaultlib'])

class Root {
  readonly dir = temporaryDirectory()

  constructor(
    readonly merged: boolean,
    loader: string,
  ) {
    for (const path of [...DIRECTORIES.slice(1, 2), 'usr/lib64', 'etc', 'bin', 'opt']) this.#make(path)
    if (merged) for (const path of ['lib', 'lib64']) symlinkSync(`usr/${path}`, join(this.dir, path))
    else for (const path of [DIRECTORIES[0], 'lib64']) this.#make(path)
    // Under its own file's name, which tells the version of an old one.
    const file = join('lib', TRIPLET, basename(loader))
    copyFileSync(loader, join(this.dir, file))
    symlinkSync(`/${file}`, join(this.dir, HOST_LOADER))
    for (const file of [program, undefaulted]) copyFileSync(file, join(this.dir, 'bin', basename(file)))
  }

  #make(path: string): void {
    mkdirSync(join(this.dir, path), { recursive: true })
  }

  put(directory: string): void {
    this.#make(directory)
    copyFileSync(join(fixtures.dir, 'made/libr.so'), join(this.dir, directory, 'libr.so'))
  }

  ldconfig(...directories: readonly string[]): void {
    writeFileSync(join(this.dir, 'etc/ld.so.conf'), directories.join('\n'))
    execFileSync('/sbin/ldconfig', ['-r', this.dir, '-X'])
  }

  judge(tap: Parameters<typeof compare>[0], what: string, file = program) {
    const path = `/bin/${basename(file)}`
    const context = { cpuLevel: addon().cpuLevel(), libraryPath: [], preload: [] }
    const graph = resolveGraph(rootFileSystem(this.dir), path, context)
    const answer = askLoader(path, { root: this.dir, loader: HOST_LOADER })
    // `--list`, which a root is asked by, ends at the first library that is missing.
    if (graph.problems.length > 0) tap.equal(answer.status, 127, what)
    else compare(tap, what, graph, answer, '/')
    return graph
  }
}

for (const { what, loader } of EVERY_VERSION) {
  for (const merged of [true, false]) {
    t.test(`case 27, rule 11: ${merged ? 'merged' : 'split'} /usr, by the loader of ${what}`, async t => {
      const root = new Root(merged, loader)
      t.equal(root.judge(t, 'nowhere').problems[0]?.kind, 'missing-library')
      for (const directory of [...DIRECTORIES].reverse()) {
        root.put(directory)
        const graph = root.judge(t, `in ${directory}`)
        const path = merged ? directory.replace(/^usr\//, '') : directory
        t.equal(graph.objects[1]?.path, `/${path}/libr.so`)
        t.equal(graph.objects[1]?.realPath, `/${merged ? 'usr/' : ''}${path}/libr.so`)
      }
      root.ldconfig()
      t.equal(hows(root.judge(t, 'with a cache'))['libr.so'], 'cache')
    })
  }

  t.test(`case 30, rule 10, rule 3d: a cache that is absent, stale or ahead, by the loader of ${what}`, async t => {
    const root = new Root(true, loader)
    root.put('opt/one')
    t.equal(root.judge(t, 'absent').problems.length, 1)
    root.ldconfig('/opt/one')
    t.equal(hows(root.judge(t, 'fresh'))['libr.so'], 'cache')
    renameSync(join(root.dir, 'opt/one'), join(root.dir, 'opt/two'))
    t.equal(root.judge(t, 'stale').problems.length, 1)
    root.put(DIRECTORIES[1])
    t.equal(hows(root.judge(t, 'stale, and found after it'))['libr.so'], 'system-directory')
    root.put('opt/one')
    t.equal(root.judge(t, 'the cache comes before the system directories').objects[1]?.path, '/opt/one/libr.so')
    writeFileSync(join(root.dir, 'opt/one/libr.so'), 'INPUT(libr.so.1)')
    root.judge(t, 'leads to what is no library')
    rmSync(join(root.dir, 'opt/one/libr.so'))
    mkdirSync(join(root.dir, 'opt/one/libr.so'))
    root.judge(t, 'leads to a directory')
  })

  t.test(`case 32, rule 3d, rule 3e: NODEFLIB, by the loader of ${what}`, async t => {
    const root = new Root(true, loader)
    root.put(DIRECTORIES[1])
    const how = (what: string, file: string) => hows(root.judge(t, what, file))['libr.so']
    t.equal(how('by directory', program), 'system-directory')
    t.equal(how('not by directory', undefaulted), 'not-found')
    root.ldconfig()
    t.equal(how('by cache', program), 'cache')
    t.equal(how('not by cache', undefaulted), 'not-found')
    rmSync(join(root.dir, DIRECTORIES[1], 'libr.so'))
    root.put(`${DIRECTORIES[1]}/deeper`)
    root.ldconfig(`/${DIRECTORIES[1]}/deeper`)
    t.equal(how('below a system directory counts as one', undefaulted), 'not-found')
    root.put('opt')
    root.ldconfig('/opt')
    t.equal(how('elsewhere', undefaulted), 'cache')
  })
}
