import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { resolveGraph } from '../../../lib/loader/resolve.js'
import { rootFileSystem } from '../../../lib/loader/root-file-system.js'
import { compare, EVERY_VERSION, hows, judge } from '../../support/judge.js'
import { LoaderFixtures, RPATH, rpath, soname } from '../../support/loader-fixtures.js'
import { askLoader, HOST_LOADER } from '../../support/oracle.js'

/** LD_PRELOAD and /etc/ld.so.preload. */
const fixtures = new LoaderFixtures()
const { dir } = fixtures

fixtures.named('lib/libleaf.so')
fixtures.named('lib/libpre.so', ['lib/libleaf.so'])
fixtures.named('lib/libneed.so')
const pre = join(dir, 'lib/libpre.so')
const program = fixtures.program('program', ['lib/libneed.so'], [RPATH, rpath(join(dir, 'lib'))])

t.test('case 41, rule 1: preloads come after the program and before what it needs', async t => {
  const order = (preload: string) =>
    judge(t, program, { preload })
      .objects.slice(1, -1)
      .map(({ path }) => basename(path))
  t.same(order(pre), ['libpre.so', 'libneed.so', 'libleaf.so'])
  t.same(order('libpre.so'), ['libpre.so', 'libneed.so', 'libleaf.so'], 'searched for as if the program needed it')
  t.same(order('libneed.so'), ['libneed.so'], 'what it needs anyway comes first')
  t.same(order(`libleaf.so:${pre}`), ['libleaf.so', 'libpre.so', 'libneed.so'])
  t.same(order(`libleaf.so ${pre} : libleaf.so`), ['libleaf.so', 'libpre.so', 'libneed.so'])
})

t.test('case 41: one that cannot be loaded is passed over, whatever it is', async t => {
  writeFileSync(join(dir, 'lib/script.so'), 'INPUT(libpre.so)')
  fixtures.named('lib/libtwin.so', [], [], 'i386')
  for (const name of ['/nowhere/libno.so', 'libno.so', 'script.so', join(dir, 'lib/script.so'), dir, 'libtwin.so']) {
    const graph = judge(t, program, { preload: `${name}:${pre}` })
    t.same(hows(graph)[pre], 'preload', name)
    t.same(graph.problems, [])
  }
})

t.test('case 41: what a preload needs is searched for as by any library of the program', async t => {
  fixtures.named('far/libfar.so')
  const asks = fixtures.named('lib/libasks.so', ['far/libfar.so'])
  const graph = judge(t, program, { preload: asks })
  t.equal(hows(graph)['libfar.so'], 'not-found')
  t.match(graph.problems, [{ kind: 'missing-library', by: asks }])
  t.equal(hows(judge(t, program, { preload: asks, libraryPath: join(dir, 'far') }))['libfar.so'], 'ld-library-path')
})

t.test('case 41: by the soname of a preload the program’s own need is filled', async t => {
  fixtures.library('other/libinstead.so', [], [soname('libneed.so')])
  const graph = judge(t, program, { preload: join(dir, 'other/libinstead.so') })
  t.equal(graph.objects[1]?.path, join(dir, 'other/libinstead.so'))
  t.equal(graph.objects.length, 3)
})

t.test('case 41: tokens in LD_PRELOAD are the program’s', async t => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the loader's token, not ours
  for (const name of ['$ORIGIN/lib/libpre.so', '${ORIGIN}/lib/libpre.so', '$ORIGINX/libpre.so', '$ORIGIN/none.so']) {
    const { objects } = judge(t, program, { preload: name })
    t.equal(objects.length, name.endsWith('/lib/libpre.so') ? 5 : 3, name)
  }
})

for (const { what, loader } of EVERY_VERSION) {
  t.test(`case 41: /etc/ld.so.preload, by the loader of ${what}`, async t => {
    const root = join(dir, `root-${what}`)
    for (const path of ['etc', 'lib64', 'usr/lib', 'bin']) mkdirSync(join(root, path), { recursive: true })
    copyFileSync(loader, join(root, 'lib64', basename(loader)))
    if (basename(loader) !== basename(HOST_LOADER)) symlinkSync(basename(loader), join(root, HOST_LOADER))
    for (const name of ['libleaf.so', 'libpre.so', 'libneed.so']) {
      copyFileSync(join(dir, 'lib', name), join(root, 'usr/lib', name))
    }
    copyFileSync(program, join(root, 'bin/program'))
    for (const [text, preloaded] of [
      ['/usr/lib/libpre.so', true],
      ['libpre.so\n', true],
      ['# libleaf.so\nlibpre.so # and why', true],
      ['libleaf.so:libpre.so\tlibneed.so  \n\n', true],
      ['/nowhere.so\n/usr/lib/libpre.so', true],
      ['# libpre.so', false],
      ['', false],
    ] as const) {
      writeFileSync(join(root, 'etc/ld.so.preload'), text)
      for (const preload of text.includes('why') ? [[], ['libneed.so']] : [[]]) {
        const context = { cpuLevel: 0, libraryPath: [], preload }
        const graph = resolveGraph(rootFileSystem(root), '/bin/program', context)
        const env = { ...(preload.length > 0 && { LD_PRELOAD: preload.join(':') }) }
        compare(t, text, graph, askLoader('/bin/program', { root, loader: HOST_LOADER, env }), '/')
        t.equal(hows(graph)['libpre.so'] ?? hows(graph)['/usr/lib/libpre.so'], preloaded ? 'preload' : undefined, text)
      }
    }
  })
}
