import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compile } from '../../support/fixtures.js'
import { HERE, hows, judge, NEW, OLD } from '../../support/judge.js'
import { LoaderFixtures, RPATH, RUNPATH, rpath, soname } from '../../support/loader-fixtures.js'
import { askLoader } from '../../support/oracle.js'

/** $ORIGIN, $LIB and $PLATFORM. */
const fixtures = new LoaderFixtures()
const { dir } = fixtures

t.test('rule 6: what is a token and what is plain text', async t => {
  fixtures.named('tok/lib/libtok.so')
  // Where a text that is no token would be found if it were taken for one, and where it is found as text.
  mkdirSync(join(dir, 'tok/$ORIGINX'), { recursive: true })
  for (const [path, found] of [
    ['$ORIGIN/lib', true],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the loader's token, not ours
    ['${ORIGIN}/lib', true],
    ['$ORIGINX/lib', false],
    ['$ORIGIN_/lib', false],
    ['$ORIGIN1/lib', false],
    ['${ORIGIN/lib', false],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the loader's token, not ours
    ['${ORIGINAL}/lib', false],
    ['$$ORIGIN/lib', false],
    ['$LIB', false],
    ['/nowhere/$PLATFORM:$ORIGIN/lib', true],
    ['$ORIGIN/../tok//lib//', true],
    [`${dir}/tok/$ORIGINX/../lib`, true],
    [`$UNKNOWN:${dir}/tok/lib`, true],
  ] as const) {
    for (const tag of [RPATH, RUNPATH]) {
      const graph = judge(t, fixtures.program('tok/program', ['tok/lib/libtok.so'], [tag, rpath(path)]))
      t.equal(hows(graph)['libtok.so'] !== 'not-found', found, path)
    }
  }
})

t.test('rule 6, rule 11: $LIB and $PLATFORM are the loader’s own', async t => {
  for (const value of ['lib', 'lib64', 'lib/x86_64-linux-gnu', 'x86_64', 'haswell']) {
    fixtures.named(`values/${value}/libvalue.so`)
  }
  for (const token of ['$LIB', '$PLATFORM', 'x/../$LIB']) {
    mkdirSync(join(dir, 'values/x'), { recursive: true })
    const graph = judge(t, fixtures.program('valued', ['values/lib/libvalue.so'], [rpath(`${dir}/values/${token}`)]))
    t.equal(hows(graph)['libvalue.so'], 'runpath', token)
  }
})

t.test(
  'rule 1, rule 6: a token in NEEDED is expanded before anything else, and the loader tells the expanded name',
  async t => {
    fixtures.library('needs/lib/libneed.so', [], [soname('$ORIGIN/lib/libneed.so')])
    const expanded = join(dir, 'needs/lib/libneed.so')
    t.equal(hows(judge(t, fixtures.program('needs/program', ['needs/lib/libneed.so'])))[expanded], 'path')
    // Told apart by the directory of who asks: two names, one file.
    fixtures.named('needs/lib/libasks.so', ['needs/lib/libneed.so'], [])
    mkdirSync(join(dir, 'needs/lib/lib'))
    symlinkSync('../libneed.so', join(dir, 'needs/lib/lib/libneed.so'))
    const graph = judge(
      t,
      fixtures.program('needs/twice', ['needs/lib/libneed.so', 'needs/lib/libasks.so'], [rpath('$ORIGIN/lib')]),
    )
    t.equal(graph.objects.filter(({ realPath }) => realPath === expanded).length, 1)
    fixtures.library('needs/plain/lib/x86_64-linux-gnu/libplat.so', [], [soname('libplat.so')])
    fixtures.library('needs/libplat.so', [], [soname('../plain/$LIB/libplat.so')])
    judge(t, fixtures.program('needs/other', ['needs/libplat.so']), { cwd: join(dir, 'needs/lib') })
  },
)

t.test('rule 7: $ORIGIN of a library is the directory of the path as opened', async t => {
  fixtures.named('real/dep/libdep.so')
  const real = fixtures.named('real/liblink.so', ['real/dep/libdep.so'], [RUNPATH, rpath('$ORIGIN/dep')])
  mkdirSync(join(dir, 'seen'))
  symlinkSync(real, join(dir, 'seen/liblink.so'))
  mkdirSync(join(dir, 'way'))
  symlinkSync('../real', join(dir, 'way/real'))
  for (const [place, how] of [
    ['seen', 'not-found'],
    ['real', 'runpath'],
    ['way/real', 'runpath'],
  ] as const) {
    const graph = judge(t, fixtures.program('origin', ['real/liblink.so'], [rpath(join(dir, place))]))
    t.equal(hows(graph)['libdep.so'], how, place)
  }
})

/*
 * The kernel starts a program by its real path, so $ORIGIN of a run is the real directory. A loader that is given the link
 * to trace took the link's directory until 2.42 (BZ 25263): such a trace is no judge of a run.
 */
t.test('case 23, trace 3: the program’s own $ORIGIN is where its file is, through any link', async t => {
  fixtures.named('linked/lib/libl.so')
  const real = fixtures.program('linked/program', ['linked/lib/libl.so'], [rpath('$ORIGIN/lib')])
  mkdirSync(join(dir, 'bin'))
  const link = join(dir, 'bin/program')
  symlinkSync('../linked/program', link)
  const graph = judge(t, real)
  t.equal(hows(graph)['libl.so'], 'runpath')
  const { resolveGraph } = await import('../../../lib/loader/resolve.js')
  const context = { cpuLevel: 0, libraryPath: [], preload: [] }
  t.match(resolveGraph(HERE.fs(), link, context), {
    problems: [],
    objects: graph.objects.map(({ path }) => ({ path })),
  })
  t.match(spawnSync(link), { status: 0 }, 'a run finds it')
  for (const { loader, what } of [OLD, HERE, NEW]) {
    const traced = askLoader(link, { loader }).libraries.find(({ name }) => name === 'libl.so')
    t.equal(traced?.path, null, `a trace of ${what} does not`)
  }
})

t.test('case 23: the same with real programs and libraries in between', async t => {
  compile(dir, 'app/lib/libreal.so', 'int f(void) { return 7; }', ['-shared', '-fPIC', '-Wl,-soname,libreal.so'])
  const real = compile(dir, 'app/bin/real', 'int f(void); int main(void) { return f(); }', [
    'app/lib/libreal.so',
    '-Wl,-rpath,$ORIGIN/../lib',
  ])
  mkdirSync(join(dir, 'elsewhere'))
  symlinkSync(real, join(dir, 'elsewhere/one'))
  symlinkSync('one', join(dir, 'elsewhere/two'))
  t.equal(spawnSync(join(dir, 'elsewhere/two')).status, 7)
  t.equal(hows(judge(t, real, {}, [HERE]))['libreal.so'], 'runpath')
})
