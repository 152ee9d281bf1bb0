import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { definitionIn } from '../../../lib/loader/bind.js'
import type { LoadedObject } from '../../../lib/loader/types.js'
import { type Bound, bind, judgeBindings, judgeUnresolved, symbolsOf } from '../../support/bindings.js'
import { EVERY_VERSION, NEW } from '../../support/judge.js'
import { LoaderFixtures } from '../../support/loader-fixtures.js'

/** Which library serves a reference, and which serves none: every binding as the loaders report it, and how a run ends. */
const fixtures = new LoaderFixtures()
const { dir } = fixtures

const V1 = 'V1 { global: f; local: *; };'
const TWO = 'V1 { global: f; local: *; }; V2 { global: f; } V1;'
const two =
  '__asm__(".symver old,f@V1"); __asm__(".symver new,f@@V2"); int old(void) { return 1; } int new(void) { return 2; }'
const call = 'extern int f(void); int main(void) { return f(); }'

/** Runs with libraries of some places by each version's loader: every binding is ours, and it exits as expected. */
function binds(tap: Test, program: string, places: readonly string[], status: number): Bound {
  const libraryPath = places.map(place => join(dir, place))
  const bounds = EVERY_VERSION.map(by => {
    const bound = judgeBindings(tap, program, { libraryPath, by })
    tap.equal(bound.status, status, `exits by ${by.what}`)
    return bound
  })
  return bounds[0] as Bound
}

/** What each version's loader cannot resolve, by us too. */
function lacks(tap: Test, program: string, places: readonly string[], expected: readonly string[]): void {
  const libraryPath = places.map(place => join(dir, place))
  for (const by of EVERY_VERSION) {
    const unresolved = judgeUnresolved(tap, program, { libraryPath, by })
    tap.same(unresolved, expected)
    const env = { LD_LIBRARY_PATH: libraryPath.join(':'), LD_BIND_NOW: '1' }
    tap.equal(spawnSync(by.loader, [program], { env }).status, expected.length === 0 ? 0 : 127)
  }
}

t.test('case 2: the version is there, the symbol is not', async t => {
  const script = 'V1 { global: f; g; };'
  fixtures.compiled('whole/libm2.so', 'int f(void) { return 0; } int g(void) { return 0; }', script)
  fixtures.compiled('less/libm2.so', 'int f(void) { return 0; }', script)
  const source = 'int f(void); int g(void); int main(void) { return f() + g(); }'
  const program = fixtures.executable('asks-symbol', source, ['whole/libm2.so'])
  lacks(t, program, ['whole'], [])
  lacks(t, program, ['less'], [`${program} g V1`])
})

t.test('case 4: a reference with a version, a library without any', async t => {
  fixtures.compiled('with/libp.so', 'int f(void) { return 1; }', V1)
  const program = fixtures.executable('versioned-reference', call, ['with/libp.so'])
  binds(t, program, ['with'], 1)
  // With a version table, for what it needs itself, though it defines none: the loader warns and binds.
  fixtures.compiled('other/libo.so', 'int h(void) { return 4; }', 'O1 { global: h; };')
  fixtures.compiled('needs/libp.so', 'int h(void); int f(void) { return h(); }', '', [join(dir, 'other/libo.so')])
  binds(t, program, ['needs', 'other'], 4)
  // Without one it ends at an assertion; 2.41 has none and binds.
  fixtures.compiled('without/libp.so', 'int f(void) { return 5; }')
  const libraryPath = [join(dir, 'without')]
  for (const by of EVERY_VERSION) {
    const env = { LD_LIBRARY_PATH: libraryPath.join(':'), LD_BIND_NOW: '1' }
    const run = spawnSync(by.loader, [program], { env, encoding: 'utf8' })
    if (by === NEW) t.equal(run.status, 5)
    else t.match(run.stderr, 'Assertion `version->filename == NULL', by.what)
    t.equal(bind(by, program, libraryPath).ours[0]?.get('f V1')?.to, by === NEW ? 1 : -1)
  }
})

t.test('case 5: a reference without a version, a library with some', async t => {
  fixtures.compiled('bare/libu.so', 'int f(void) { return 0; }')
  const program = fixtures.executable('unversioned-reference', call, ['bare/libu.so'])
  binds(t, program, ['bare'], 0)
  fixtures.compiled('two/libu.so', two, TWO)
  binds(t, program, ['two'], 1)
  // Three versions, two of them not the oldest and not hidden from each other: the default alone counts.
  const source =
    '__asm__(".symver a,f@V2"); __asm__(".symver b,f@@V3"); int a(void) { return 5; } int b(void) { return 6; }'
  fixtures.compiled('three/libu.so', source, 'V1 { local: *; }; V2 { global: f; } V1; V3 { global: f; } V2;')
  binds(t, program, ['three'], 6)
  // All hidden and none the oldest: nothing serves it.
  const hidden = '__asm__(".symver a,f@V2"); int a(void) { return 5; }'
  fixtures.compiled('hidden/libu.so', hidden, 'V1 { local: *; }; V2 { global: f; } V1;')
  const libraryPath = [join(dir, 'hidden')]
  for (const by of EVERY_VERSION) judgeUnresolved(t, program, { libraryPath, by })
})

t.test('case 6: a new symbol without a version, in a library that has none', async t => {
  fixtures.compiled('young/libn.so', 'int f(void) { return 0; } int added(void) { return 0; }')
  fixtures.compiled('aged/libn.so', 'int f(void) { return 0; }')
  const source = 'int f(void); int added(void); int main(void) { return f() + added(); }'
  const program = fixtures.executable('asks-added', source, ['young/libn.so'])
  lacks(t, program, ['young'], [])
  lacks(t, program, ['aged'], [`${program} added `])
})

t.test('case 8: weak references may stay unresolved, others not', async t => {
  const source = (weak: string) =>
    `${weak} int nowhere(void); int (*volatile at)(void) = nowhere; int f(void) { return at ? 9 : 3; }`
  fixtures.compiled('weak/libw.so', source('__attribute__((weak))'))
  const program = fixtures.executable('weak-reference', call, ['weak/libw.so'])
  const { objects, ours } = binds(t, program, ['weak'], 3)
  t.match(ours[1]?.get('nowhere '), { wanted: { weak: true }, to: -1 })
  t.equal(objects[1]?.path, join(dir, 'weak/libw.so'))
  fixtures.compiled('strong/libw.so', source(''))
  lacks(t, program, ['strong'], [`${join(dir, 'strong/libw.so')} nowhere `])
})

t.test('case 9: a reference binds its own version, hidden or default', async t => {
  fixtures.compiled('one/libt.so', 'int f(void) { return 1; }', V1)
  fixtures.compiled('both/libt.so', two, TWO)
  const old = fixtures.executable('old-reference', call, ['one/libt.so'])
  const young = fixtures.executable('new-reference', call, ['both/libt.so'])
  t.equal(binds(t, old, ['both'], 1).ours[0]?.get('f V1')?.to, 1)
  t.equal(binds(t, young, ['both'], 2).ours[0]?.get('f V2')?.to, 1)
})

t.test('case 10: a symbol is taken of another library than the one that is named for it', async t => {
  fixtures.compiled('named/libs.so', 'int f(void) { return 1; }', V1)
  fixtures.compiled('first/libfirst.so', 'int f(void) { return 9; }')
  const program = fixtures.executable('interposed', call, ['first/libfirst.so', 'named/libs.so'])
  // Linked so, the program asks the first of them without a version; linked alone, it names the other.
  binds(t, program, ['first', 'named'], 9)
  fixtures.compiled('stand/libfirst.so', '')
  const names = fixtures.executable('names', call, ['stand/libfirst.so', 'named/libs.so'])
  binds(t, names, ['first', 'named'], 9)
  fixtures.compiled('else/libfirst.so', 'int f(void) { return 9; }', 'OTHER { global: f; };')
  binds(t, names, ['else', 'named'], 1)
})

/** The loader's warning; LD_WARN has it told of a variable that has shrunk too. */
const RESIZED = /Symbol `(\S+)' has different size in shared object/

t.test('case 45: a copy relocation is filled from the library, whatever its size there', async t => {
  const source = (size: number) => `int shared[${size}] = { 1 }; int *mine(void) { return shared; }`
  fixtures.compiled('copy4/libcopy.so', source(4))
  const script = 'V1 { global: shared; mine; };'
  fixtures.compiled('copy4v/libcopy.so', source(4), script)
  for (const place of ['copy4', 'copy4v']) {
    const program = fixtures.executable(
      `copies-${place}`,
      'extern int shared[4]; int main(void) { return shared[0]; }',
      [`${place}/libcopy.so`],
      ['-no-pie', '-fno-pie'],
    )
    for (const size of [4, 8, 2]) {
      fixtures.compiled(`copy${size}-now/libcopy.so`, source(size), place === 'copy4' ? '' : script)
      const libraryPath = [join(dir, `copy${size}-now`)]
      const { objects, ours } = judgeBindings(t, program, { libraryPath })
      const copy = ours[0]?.get(place === 'copy4' ? 'shared ' : 'shared V1')
      t.match(copy, { wanted: { copySize: 16 }, to: 1 })
      const provider = objects[1] as LoadedObject
      const now = copy && definitionIn(provider, symbolsOf(provider), copy.wanted, null)?.objectSize
      for (const by of EVERY_VERSION) {
        const env = { LD_LIBRARY_PATH: libraryPath.join(':'), LD_WARN: '1' }
        const run = spawnSync(by.loader, [program], { env, encoding: 'utf8' })
        t.equal(run.status, 1, 'as much as fits is copied')
        t.equal(now !== 16, RESIZED.test(run.stderr), `${size} ints: ${run.stderr}`)
      }
      t.equal(now, size * 4)
    }
  }
})
