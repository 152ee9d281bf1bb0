import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { readLoader } from '../../lib/loader/loader.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import {
  directory,
  file,
  found,
  glibcLoader,
  hardLink,
  how,
  ldSoCache,
  library,
  type MemoryTree,
  muslLoader,
  program,
  type ResolveContext,
  resolve,
  symlink,
} from '../../lib/testing/index.js'
import { temporaryDirectory } from '../support/fixtures.js'
import { askLoader, asTraced, HOST_LOADER, missingVersions, parseTrace, withoutIdleLoader } from '../support/oracle.js'
import { openTree, runInTree, writeTree } from '../support/written-tree.js'

/*
 * Made-up trees: what we say of them in memory is what the real loader says of them on disk, where it is their root's own.
 */
const LOADER = '/lib64/ld-linux-x86-64.so.2'
const real = readLoader(rootFileSystem('/'), HOST_LOADER)
/** Debian's first system directory, by whatever name it has on this machine. */
const [system = ''] = real.systemDirectories
const cpuLevel = addon().cpuLevel()
const dir = temporaryDirectory()

interface Case {
  readonly tree: MemoryTree
  readonly env?: Readonly<Record<string, string>>
  readonly context?: Partial<ResolveContext>
  /** Names with where they are to be found. */
  readonly expect: Readonly<Record<string, string | null>>
}

const CASES: Readonly<Record<string, Case>> = {
  'RPATH is inherited, RUNPATH is not': {
    tree: {
      '/bin/app': program({ needed: ['libold.so', 'libnew.so'], rpath: '/opt/a:/opt/b' }),
      '/opt/a/libold.so': library({ needed: ['libleaf.so'] }),
      '/opt/a/libnew.so': library({ needed: ['libother.so'], runpath: '/opt/c' }),
      '/opt/b/libleaf.so': library({ needed: ['libend.so'] }),
      '/opt/b/libother.so': library(),
      '/opt/c/libend.so': library(),
    },
    expect: { 'libleaf.so': '/opt/b/libleaf.so', 'libother.so': null, 'libend.so': null },
  },
  'what cannot be read is passed over': {
    tree: {
      '/bin/app': program({ needed: ['libx.so'], runpath: '/closed:/opt/a:/searched' }),
      '/opt/a/libx.so': file(library(), 0o000),
      '/closed': directory(0o000),
      '/closed/libx.so': library(),
      '/searched': directory(0o111),
      '/searched/libx.so': library(),
    },
    expect: { 'libx.so': '/searched/libx.so' },
  },
  'and so is what is for another machine or class': {
    tree: {
      '/bin/app': program({ needed: ['libx.so'], runpath: '/opt/a:/opt/b:/opt/c' }),
      '/opt/a/libx.so': library({ machine: 183 }),
      '/opt/b/libx.so': library({ class: 32 }),
      '/opt/c/libx.so': library(),
    },
    expect: { 'libx.so': '/opt/c/libx.so' },
  },
  'but a script for the linker is the end': {
    tree: {
      '/bin/app': program({ needed: ['libx.so'], runpath: '/opt/a:/opt/b' }),
      '/opt/a/libx.so': Buffer.from('INPUT(libx.so.1)\n'),
      '/opt/b/libx.so': library(),
    },
    expect: { 'libx.so': null },
  },
  'one file under two names is one object': {
    tree: {
      '/bin/app': program({ needed: ['liba.so', 'libb.so', 'libc.so'], runpath: '/opt' }),
      '/opt/liba.so': library(),
      '/opt/libb.so': hardLink('/opt/liba.so'),
      '/opt/libc.so': symlink('libb.so'),
    },
    expect: { 'libb.so': '/opt/liba.so', 'libc.so': '/opt/liba.so' },
  },
  '$ORIGIN is where the file was opened, not where its link leads': {
    tree: {
      '/bin/app': program({ needed: ['libx.so'], runpath: '$ORIGIN/../seen' }),
      '/seen/libx.so': symlink('../real/libx.so'),
      '/seen/dep/liby.so': library(),
      '/real/libx.so': library({ needed: ['liby.so'], runpath: '$ORIGIN/dep' }),
      '/real/dep/liby.so': library(),
    },
    expect: { 'liby.so': '/bin/../seen/dep/liby.so' },
  },
  'a link in a circle ends the list it is in': {
    tree: {
      '/bin/app': program({ needed: ['libx.so', 'liby.so'], runpath: '/opt/a:/opt/b' }),
      '/opt/a/libx.so': symlink('libx.so'),
      '/opt/b/libx.so': library(),
      '/opt/b/liby.so': library(),
    },
    expect: { 'libx.so': null, 'liby.so': '/opt/b/liby.so' },
  },
  'the best that the CPU can do, in the directories and in the cache': {
    tree: {
      '/bin/app': program({ needed: ['libx.so', 'liby.so'] }),
      [`${system}/libx.so`]: library(),
      [`${system}/glibc-hwcaps/x86-64-v2/libx.so`]: library(),
      '/opt/liby.so': library(),
      '/opt/glibc-hwcaps/x86-64-v2/liby.so': library(),
      '/etc/ld.so.cache': ldSoCache([
        { name: 'liby.so', path: '/opt/liby.so' },
        { name: 'liby.so', path: '/opt/glibc-hwcaps/x86-64-v2/liby.so', hwcaps: 'x86-64-v2' },
      ]),
    },
    expect: {
      'libx.so': `${system}/${cpuLevel >= 2 ? 'glibc-hwcaps/x86-64-v2/' : ''}libx.so`,
      'liby.so': `/opt/${cpuLevel >= 2 ? 'glibc-hwcaps/x86-64-v2/' : ''}liby.so`,
    },
  },
  'NODEFLIB leaves out the system directories, also where the cache names them': {
    tree: {
      '/bin/app': program({ needed: ['libx.so', 'liby.so'], nodeflib: true }),
      [`${system}/libx.so`]: library(),
      [`${system}/liby.so`]: library(),
      '/opt/liby.so': library(),
      '/etc/ld.so.cache': ldSoCache([
        { name: 'libx.so', path: `${system}/libx.so` },
        { name: 'liby.so', path: '/opt/liby.so' },
      ]),
    },
    expect: { 'libx.so': null, 'liby.so': '/opt/liby.so' },
  },
  'filters, preloads and LD_LIBRARY_PATH': {
    tree: {
      '/bin/app': program({ needed: ['libfilter.so'], runpath: '/opt' }),
      '/opt/libfilter.so': library({ auxiliaries: ['libaux.so'], runpath: '/opt' }),
      '/opt/libaux.so': library(),
      '/env/libaux.so': library(),
      '/opt/libpre.so': library(),
    },
    env: { LD_LIBRARY_PATH: '/env', LD_PRELOAD: '/opt/libpre.so' },
    context: { libraryPath: ['/env'], preload: ['/opt/libpre.so'] },
    expect: { 'libaux.so': '/env/libaux.so', '/opt/libpre.so': '/opt/libpre.so' },
  },
  'versions that are missing, but for those that need not be there': {
    tree: {
      '/bin/app': program({
        needed: ['libx.so', 'libplain.so'],
        runpath: '/opt',
        needs: [
          { name: 'f', version: 'V2', file: 'libx.so' },
          { name: 'g', version: 'V1', file: 'libplain.so' },
        ],
        verneeds: [
          { file: 'libx.so', version: 'V1' },
          { file: 'libx.so', version: 'V3' },
          { file: 'libx.so', version: 'V4', weak: true },
        ],
      }),
      '/opt/libx.so': library({ defines: ['f@@V1'] }),
      '/opt/libplain.so': library({ defines: ['g'] }),
    },
    expect: { 'libx.so': '/opt/libx.so' },
  },
}

for (const [index, [name, { tree, env = {}, context = {}, expect }]] of Object.entries(CASES).entries()) {
  t.test(name, async t => {
    const graph = resolve({ ...tree, [LOADER]: glibcLoader(real) }, '/bin/app', { cpuLevel, ...context })
    for (const [name, path] of Object.entries(expect)) t.equal(found(graph, name), path, name)

    const root = join(dir, `${index}`)
    writeTree({ ...tree, [LOADER]: readFileSync(HOST_LOADER) }, root)
    const answer = runInTree(root, [LOADER, '/bin/app'], { LD_TRACE_LOADED_OBJECTS: '1', ...env })
    openTree(tree, root)
    const gaveUp = graph.problems.some(({ kind }) => kind === 'unusable')
    t.equal(answer.status, gaveUp ? 127 : 0, answer.stderr)
    if (gaveUp) return
    const sorted = (list: readonly { readonly name: string; readonly path: string | null }[]) => [
      ...list.filter(({ path }) => path !== null),
      ...list.filter(({ path }) => path === null),
    ]
    t.same(sorted(asTraced(graph)), sorted(withoutIdleLoader(parseTrace(answer.stdout), graph)))
    const missing = graph.problems.flatMap(problem =>
      problem.kind === 'missing-version' ? [`${found(graph, problem.file)} ${problem.version}`] : [],
    )
    t.same(missing.sort(), missingVersions(answer.stderr))
  })
}

t.test('how, and by whom where two ask', async t => {
  const graph = resolve(
    {
      '/bin/app': program({ needed: ['liba.so', 'libb.so'], runpath: '/opt' }),
      '/opt/liba.so': library({ needed: ['libb.so', 'libx.so'] }),
      '/opt/libb.so': library(),
      [LOADER]: glibcLoader(),
    },
    '/bin/app',
  )
  t.equal(how(graph, 'libb.so'), 'runpath')
  t.equal(how(graph, 'libb.so', '/opt/liba.so'), 'loaded')
  t.equal(found(graph, 'libb.so', '/opt/liba.so'), '/opt/libb.so')
  t.equal(how(graph, 'libx.so'), 'not-found')
  t.same(graph.problems, [{ kind: 'missing-library', name: 'libx.so', by: '/opt/liba.so' }])
  t.throws(() => found(graph, 'libnobody.so'), { code: 'FIXTURE_INVALID' })
  t.throws(() => how(graph, 'libx.so', '/bin/app'), { code: 'FIXTURE_INVALID' })
})

t.test("musl's loader, beside the real one", async t => {
  const loader = '/lib/ld-musl-x86_64.so.1'
  const tree = {
    '/bin/app': program({ interpreter: loader, needed: ['libx.so'], runpath: '$ORIGIN/../opt' }),
    '/opt/libx.so': library({ needed: ['liby.so', 'libc.so'] }),
    '/opt/liby.so': library(),
  }
  const graph = resolve({ ...tree, [loader]: muslLoader() }, '/bin/app')
  t.equal(how(graph, 'liby.so'), 'runpath', 'inherited, which glibc would not')
  const root = join(dir, 'musl')
  writeTree({ ...tree, [loader]: readFileSync(loader) }, root)
  const answer = askLoader('/bin/app', { root, loader })
  t.same(
    asTraced(graph).filter(({ path }) => path !== loader),
    answer.libraries.filter(({ path }) => path !== loader && path !== 'ldd'),
  )
})
