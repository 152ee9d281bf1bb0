import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { addon } from '../../../lib/launch/addon.js'
import { compile, library } from '../../container/tree.js'
import { roots } from '../../support/roots.js'
import {
  debian,
  glibc,
  inTree,
  libraries,
  mix,
  program,
  put,
  splitLibraries,
  tree,
  withoutOthers,
} from '../scenario.js'
import { at, becoming, printing } from './by-hand.js'

const older = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
const newer = library(
  'libone.so.1',
  'int one(void) { return 2; } int two(void) { return 2; }',
  'ONE_1 { one; }; ONE_2 { two; };',
)
const linked = { 'libone.so.1': newer }
const home = tree({ '/usr/bin/app': printing(['one', 'two'], linked), ...at(linked) })
const REFUSED = { status: 1, stderr: /version `ONE_2' not found/ }

t.test('case 26: the host’s own, at the end of alternatives and chains of links', async t => {
  const host = tree({
    [`${libraries}/libone.so.1`]: { link: '/etc/alternatives/libone' },
    '/etc/alternatives/libone': { link: `${libraries}/vendor/libone.so.1` },
    [`${libraries}/vendor/libone.so.1`]: { link: 'libone.so.1.1' },
    [`${libraries}/vendor/libone.so.1.1`]: older,
  })
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libone.so.1'], []])
  t.match(withoutOthers(home, host), REFUSED)
  t.match(outcome.run(), { status: 0, stdout: '4\n' })
})

t.test('case 27: the host’s own, in a split tree and in a merged one', async t => {
  const split = tree(at({ 'libone.so.1': older }, splitLibraries), glibc(splitLibraries), 'split')
  put(split, '/usr/bin/tool', printing(['one'], { 'libone.so.1': older }))
  for (const host of [split, tree(at({ 'libone.so.1': older }))]) {
    const outcome = mix(home, host)
    t.same([outcome.private, outcome.problems()], [['libone.so.1'], []])
    t.match(withoutOthers(home, host), REFUSED)
    t.match(outcome.run(), { status: 0, stdout: '4\n' })
  }
})

t.test('case 29: a private library over the baseline alone is bypassed by its twin', async t => {
  const level = addon().cpuLevel()
  const twin = `${libraries}/glibc-hwcaps/x86-64-v${level}/libone.so.1`
  const host = tree({ ...at({ 'libone.so.1': older }), [twin]: older })
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libone.so.1'], []])
  t.match(outcome.run(), { status: 0, stdout: '4\n' })
  const bypassed = tree({
    '/usr/bin/app': readFileSync(join(home, '/usr/bin/app')),
    ...at({ 'libone.so.1': newer }),
    [twin]: older,
  })
  if (level > 1) t.match(inTree(bypassed, '/usr/bin/app'), REFUSED)
})

t.test('case 30: what a cache says is what is found, stale or not; without one, the directories', async t => {
  const files = {
    ...at({ 'libone.so.1': newer }),
    '/opt/vendor/libone.so.1': older,
    '/etc/ld.so.conf': '/opt/vendor\n',
  }
  const host = tree(files)
  const without = mix(home, host)
  t.same([without.private, without.problems()], [[], []])
  t.match(without.run(), { status: 0, stdout: '4\n' })
  execFileSync('ldconfig', ['-r', host])
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libone.so.1'], []])
  t.match(withoutOthers(home, host), REFUSED)
  t.match(outcome.run(), { status: 0, stdout: '4\n' })
  // Stale: what it leads to was removed since, and the loader searches on.
  execFileSync('rm', [join(host, '/opt/vendor/libone.so.1')])
  const stale = mix(home, host)
  t.same([stale.private, stale.problems()], [[], []])
  t.match(stale.run(), { status: 0, stdout: '4\n' })
})

t.test('case 31: a host’s library whose ABI note is for another system, where the loader minds', async t => {
  // glibc has not looked at it since 2.36. Neither tree has more of a C library than the loader.
  const file = `${libraries}/ld-2.31.so`
  const loader = {
    [file]: readFileSync(join(roots.bullseye(), splitLibraries, 'ld-2.31.so')),
    '/lib64/ld-linux-x86-64.so.2': { link: file },
  }
  const note = (words: string) =>
    `__asm__(".pushsection .note.ABI-tag,\\"a\\",@note; .align 4; .long 4, 16, 1; .asciz \\"GNU\\"; .long ${words}; .popsection");`
  const noted = (words: string) => library('libone.so.1', `int two(void) { return 2; } ${note(words)}`)
  const source = `int two(void);
    void _start(void) { __asm__ volatile("syscall" : : "a"(60), "D"(two() + 40)); }`
  const own = noted('0, 3, 2, 0')
  const app = compile(source, ['-nostdlib', '-fno-stack-protector'], { 'libone.so.1': own })
  const bare = tree({ '/usr/bin/app': app, ...at({ 'libone.so.1': own }) }, loader)
  for (const [words, expected] of [
    ['0, 3, 2, 0', []],
    ['1, 2, 6, 32', ['libone.so.1']],
  ] as const) {
    const host = tree(at({ 'libone.so.1': noted(words) }), loader)
    const outcome = mix(bare, host)
    t.same([outcome.private, outcome.problems()], [expected, []], words)
    t.match(
      withoutOthers(bare, host),
      expected.length === 0 ? { status: 42 } : { status: 127, stderr: /libone\.so\.1: cannot open shared object file/ },
    )
    t.match(outcome.run(), { status: 42 })
  }
})

t.test('case 32: who searches no default directories does not find the host’s there', async t => {
  const tags = [`-Wl,-rpath,/usr/lib/app:${libraries}/core`, '-Wl,-z,nodefaultlib', '-Wl,--enable-new-dtags']
  const core = { [`${libraries}/core/libc.so.6`]: { link: '../libc.so.6' } }
  const app = printing(['one', 'two'], linked, tags)
  const files = { '/usr/bin/app': app, '/usr/lib/app/libone.so.1': newer }
  const strict = debian([
    { control: { Package: 'app', Depends: 'libc6' }, files },
    { control: { Package: 'core' }, files: core },
  ])
  t.match(inTree(strict, '/usr/bin/app'), { status: 0, stdout: '4\n' })
  const host = debian([
    { control: { Package: 'libone1' }, files: at({ 'libone.so.1': newer }) },
    { control: { Package: 'core' }, files: core },
  ])
  const outcome = mix(strict, host)
  t.same(outcome.problems(), [])
  t.ok(outcome.decision.placement.has('/usr/lib/app/libone.so.1'))
  t.match(withoutOthers(strict, host), { status: 127, stderr: /libone\.so\.1: cannot open shared object file/ })
  t.match(outcome.run(), { status: 0, stdout: '4\n' })
})

t.test('case 33: a program for musl shares nothing of a host for glibc', async t => {
  const musl = readFileSync('/lib/ld-musl-x86_64.so.1')
  const interpreter = '/usr/lib/ld-musl-x86_64.so.1'
  const source = `int printf(const char *, ...), one(void); void exit(int);
    __attribute__((force_align_arg_pointer)) void _start(void) { printf("musl %d\\n", one()); exit(0); }`
  const own = library('libone.so.1', 'int one(void) { return 1; }')
  const app = compile(
    source,
    [
      '-nostdlib',
      '-no-pie',
      '-fno-pie',
      '-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1',
      '-L/usr/lib/x86_64-linux-musl',
      '-lc',
    ],
    { 'libone.so.1': own },
  )
  const apart = tree({ '/usr/bin/app': app, '/usr/lib/libone.so.1': own, [interpreter]: musl }, {})
  t.match(inTree(apart, '/usr/bin/app'), { status: 0, stdout: 'musl 1\n' })
  const glibcs = compile(
    'const char *gnu_get_libc_version(void); int one(void) { return gnu_get_libc_version()[0]; }',
    ['-shared', '-fPIC', '-Wl,-soname,libone.so.1'],
  )
  const tool = program('int one(void); int main(void) { return one() - 50; }', { 'libone.so.1': glibcs })
  const host = tree({ '/usr/bin/tool': tool, ...at({ 'libone.so.1': glibcs }) })
  const outcome = mix(apart, host)
  t.same(outcome.problems(), [])
  t.same(outcome.shared, [])
  t.match(outcome.run(), { status: 0, stdout: 'musl 1\n' })
  t.ok(!outcome.decision.placement.has(`${libraries}/libone.so.1`), 'the host’s programs keep theirs')
  // With the loader there and the host's library where it looks, the program fails.
  const forced = tree({ '/usr/bin/app': app, '/usr/lib/libone.so.1': glibcs, [interpreter]: musl }, {})
  t.match(inTree(forced, '/usr/bin/app'), { status: 127, stderr: /gnu_get_libc_version: symbol not found/ })
  const near = tree({ '/usr/lib/libone.so.1': glibcs })
  const replaced = mix(apart, near)
  t.same(replaced.problems(), [])
  t.match(replaced.run(), { status: 0, stdout: 'musl 1\n' })
})

t.test('case 43: a library that wants an executable stack, shared and private', async t => {
  const source = 'int two(void) { return 2; } int one(void) { return 2; }'
  const stack = compile(source, ['-shared', '-fPIC', '-nostdlib', '-Wl,-soname,libone.so.1', '-Wl,-z,execstack'])
  const wants = tree({
    '/usr/bin/app': printing(['one', 'two'], { 'libone.so.1': stack }),
    ...at({ 'libone.so.1': stack }),
  })
  for (const [host, expected] of [
    [tree(at({ 'libone.so.1': stack })), []],
    [tree({}), ['libone.so.1']],
  ] as const) {
    const outcome = mix(wants, host)
    t.same([outcome.private, outcome.problems()], [expected, []])
    t.match(outcome.run(), { status: 0, stdout: '4\n' })
  }
})

t.test('case 47: a host that is half upgraded: its own pair does not fit', async t => {
  const pair = (build: string, value: number) => {
    const a = library(
      'liba.so.1',
      `int a(void) { return 1; } int inside_${build}(void) { return ${value}; }`,
      `A_1 { a; }; A_PRIVATE { inside_${build}; };`,
    )
    const b = library(
      'libb.so.1',
      `int inside_${build}(void); int b(void) { return inside_${build}(); }`,
      'B_1 { b; };',
      {
        'liba.so.1': a,
      },
    )
    return { 'liba.so.1': a, 'libb.so.1': b }
  }
  const [first, second] = [pair('one', 10), pair('two', 20)]
  for (const own of [first, second]) {
    const fits = tree({ '/usr/bin/app': printing(['a', 'b'], own), ...at(own) })
    for (const halves of [
      { 'liba.so.1': second['liba.so.1'], 'libb.so.1': first['libb.so.1'] },
      { 'liba.so.1': first['liba.so.1'], 'libb.so.1': second['libb.so.1'] },
    ]) {
      const host = tree(at(halves))
      const outcome = mix(fits, host)
      t.same(outcome.problems(), [])
      t.match(withoutOthers(fits, host), {
        status: 127,
        stderr: /undefined symbol: inside_(one|two), version A_PRIVATE/,
      })
      t.match(outcome.run(), { status: 0, stdout: own === first ? '11\n' : '21\n' })
    }
  }
})

t.test('case 50: a driver’s library is the host’s or nothing: it goes with the kernel’s module', async t => {
  // It speaks to a module by its version, which stands for what ioctl() would say.
  const driver = (version: string, extra = '') =>
    program(
      `#include <stdio.h>
      int draw(void) {
        char loaded[16] = "";
        FILE *module = fopen("/var/module-version", "r");
        if (module) fscanf(module, "%15s", loaded);
        if (__builtin_strcmp(loaded, "${version}") != 0) printf("API mismatch: module %s, library ${version}\\n", loaded);
        return __builtin_strcmp(loaded, "${version}") == 0;
      } ${extra}`,
      {},
      ['-shared', '-fPIC', '-Wl,-soname,libdriver.so.1'],
    )
  const ours = driver('2.0', 'int more(void) { return 1; }')
  const app = (names: readonly string[]) => ({
    '/usr/bin/app': becoming(names[0] as string, { 'libdriver.so.1': ours }),
    ...at({ 'libdriver.so.1': ours }),
    '/var/module-version': '2.0',
  })
  const host = tree({
    ...at({ 'libdriver.so.1': driver('1.0') }),
    '/usr/share/vulkan/icd.d/made.json': JSON.stringify({ ICD: { library_path: 'libdriver.so.1' } }),
    '/var/module-version': '1.0',
  })
  const shared = mix(tree(app(['draw'])), host)
  t.same([shared.private, shared.problems()], [[], []])
  t.match(shared.run(), { status: 0, stdout: 'app 1\n' })
  t.match(withoutOthers(tree(app(['draw'])), host, ['libdriver.so.1']), {
    stdout: /^API mismatch: module 1\.0, library 2\.0\n/,
  })

  const asking = mix(tree(app(['more'])), host)
  t.notOk(asking.decision.runnable)
  t.match(
    asking.problems().join(),
    /^clash: .*symbol more.*libdriver\.so\.1 must be the host's: \S+ names it as a driver/,
  )
})
