import { spawnSync } from 'node:child_process'
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { addon } from '../../../lib/launch/addon.js'
import { type Dlopened, type Process, resolveDlopen } from '../../../lib/loader/dlopen.js'
import { FactsCache } from '../../../lib/loader/facts-cache.js'
import { resolveGraph } from '../../../lib/loader/resolve.js'
import { compile } from '../../support/fixtures.js'
import { HERE, type Judge, NEW } from '../../support/judge.js'
import { LoaderFixtures, RPATH, RUNPATH, rpath } from '../../support/loader-fixtures.js'
import { HOST_LOADER } from '../../support/oracle.js'

/**
 * dlopen, in a real program that calls it. The name of an argument is opened by the program itself, or after an `@` by its
 * library libcaller.so, which has a RUNPATH of its own.
 */
const fixtures = new LoaderFixtures()
const { dir } = fixtures

const OPEN = `
  #include <dlfcn.h>
  const char *NAME(const char *name) { return dlopen(name, RTLD_LAZY) ? 0 : dlerror(); }`
const MAIN = `
  #include <link.h>
  #include <stdio.h>
  const char *by_caller(const char *);
  static int show(struct dl_phdr_info *info, size_t size, void *data) { return printf("object %s\\n", info->dlpi_name) < 0; }
  int main(int count, char **names) {
    for (int i = 1; i < count; i++) {
      const char *error = names[i][0] == '@' ? by_caller(names[i] + 1) : by_program(names[i]);
      printf("%s\\n", error ? error : "opened");
    }
    return dl_iterate_phdr(show, 0);
  }`

const LOADER = realpathSync(HOST_LOADER)
const runpath = (path: string) => `-Wl,${RUNPATH},${rpath(path)}`
compile(dir, 'lib/libcaller.so', OPEN.replace('NAME', 'by_caller'), [
  ...['-shared', '-fPIC', '-Wl,-soname,libcaller.so', runpath(`${dir}/callers`)],
])
const source = `#define _GNU_SOURCE${OPEN.replace('NAME', 'by_program')}${MAIN}`
const program = compile(dir, 'program', source, ['lib/libcaller.so', runpath(`${dir}/lib:${dir}/programs`)])
const inheriting = compile(dir, 'inheriting', source, [
  'lib/libcaller.so',
  `-Wl,${RPATH},${rpath(`${dir}/lib:${dir}/programs`)}`,
])

interface Setting {
  readonly file?: string
  readonly libraryPath?: string
  readonly by?: Judge
}

/** What the calls come to one after the other, by us and in a run: which succeed, and which files are there in the end. */
function opens(tap: Test, names: readonly string[], { file = program, libraryPath = '', by = HERE }: Setting = {}) {
  const fs = by.fs()
  const cache = new FactsCache()
  const directories = libraryPath === '' ? [] : libraryPath.split(':')
  const context = { cpuLevel: addon().cpuLevel(), libraryPath: directories, preload: [], workingDirectory: dir }
  let process: Process = { graph: resolveGraph(fs, file, context, cache), staticTls: 0 }
  const calls = names.map((name): Dlopened => {
    const caller = name.startsWith('@')
      ? process.graph.objects.findIndex(({ path }) => path.endsWith('libcaller.so'))
      : 0
    const opened = resolveDlopen(fs, process, caller, name.replace('@', ''), context, cache)
    if (opened.graph.problems.length === 0) process = opened
    return opened
  })
  const command = by === HERE ? [file] : [by.loader, file]
  const run = spawnSync(command[0] as string, [...command.slice(1), ...names], {
    cwd: dir,
    encoding: 'utf8',
    env: libraryPath === '' ? {} : { LD_LIBRARY_PATH: libraryPath },
  })
  const lines = run.stdout.split('\n')
  const succeeded = lines.slice(0, names.length).map(line => line === 'opened')
  tap.same(
    calls.map(({ graph }) => graph.problems.length === 0),
    succeeded,
    run.stdout + run.stderr,
  )
  // The kernel's own object has a name without a slash, the program none.
  const loaded = [...run.stdout.matchAll(/^object (.*\/.*)$/gm)].map(([, path]) =>
    realpathSync(resolve(dir, path as string)),
  )
  const ours = process.graph.objects.slice(1).map(({ realPath }) => (realPath === LOADER ? by.loader : realPath))
  tap.same(ours.map(path => realpathSync(path)).sort(), loaded.sort())
  return calls
}

const hows = (calls: readonly Dlopened[]) =>
  calls.map(({ graph, object }) => graph.edges.findLast(({ to }) => to === object)?.how)
const opened = (calls: readonly Dlopened[]) =>
  calls.map(({ graph, object }) => graph.objects[object]?.path.slice(dir.length + 1))

t.test('case 35: a name is searched for as if the caller needed it', async t => {
  fixtures.named('programs/libp.so')
  fixtures.named('callers/libc1.so')
  t.same(hows(opens(t, ['libp.so', '@libp.so', 'libc1.so'])), ['runpath', 'loaded', 'not-found'])
  t.same(hows(opens(t, ['@libc1.so', 'libc1.so'])), ['runpath', 'loaded'])
  t.same(hows(opens(t, ['@libp.so'])), ['not-found'], 'a RUNPATH is not inherited')
  t.same(hows(opens(t, ['libp.so'], { file: inheriting })), ['rpath'])
  t.same(
    hows(opens(t, ['@libp.so'], { file: inheriting })),
    ['not-found'],
    'and RUNPATH of the caller voids the RPATHs above',
  )
  t.same(hows(opens(t, ['@libp.so'], { libraryPath: `${dir}/lib:${dir}/programs` })), ['ld-library-path'])
  t.same(hows(opens(t, ['libm.so.6', 'libnowhere.so.1'])), ['cache', 'not-found'])
})

t.test('case 35: what is loaded answers to its names: soname, requested name, inode', async t => {
  fixtures.library('programs/libq.so.1.2', [], ['-soname=libq.so.1'])
  symlinkSync('libq.so.1.2', join(dir, 'programs/libq.so.1'))
  symlinkSync('libq.so.1', join(dir, 'programs/libq.so'))
  const paths = ['programs/libq.so.1', 'programs/libq.so.1', 'programs/libq.so.1']
  const names = ['libq.so.1', 'libq.so', `${dir}/programs/libq.so.1.2`]
  t.same(opened(opens(t, names)), paths)
  t.same(opened(opens(t, ['libq.so', 'libq.so.1', '@libq.so'])), [
    'programs/libq.so',
    'programs/libq.so',
    'programs/libq.so',
  ])
  t.same(hows(opens(t, ['libcaller.so', 'libc.so.6', '@ld-linux-x86-64.so.2'])), ['loaded', 'loaded', 'interpreter'])
})

t.test('case 35: a path is taken as it is, with the caller’s tokens, from the working directory', async t => {
  fixtures.named('plugins/plugin.so')
  fixtures.named('lib/plugins/other.so')
  const hits = opens(t, [
    `${dir}/plugins/plugin.so`,
    'plugins/plugin.so',
    './plugins/../plugins/plugin.so',
    '$ORIGIN/plugins/plugin.so',
    '@$ORIGIN/plugins/other.so',
    '@$ORIGIN/plugins/none.so',
    '/nowhere/plugin.so',
    // By its name as it was given, before anything is expanded, it is known since the program opened it.
    '@$ORIGIN/plugins/plugin.so',
  ])
  t.same(
    opened(hits).map(path => path && basename(path)),
    [...['plugin.so', 'plugin.so', 'plugin.so', 'plugin.so', 'other.so'], ...[undefined, undefined, 'plugin.so']],
  )
  t.same(hows(opens(t, ['plugin.so', `${dir}/plugins/plugin.so`, 'plugin.so'])), ['not-found', 'path', 'loaded'])
})

t.test('case 35: what an opened library needs comes with it, breadth-first', async t => {
  fixtures.named('deep/libd3.so')
  fixtures.named('deep/libd2.so', ['deep/libd3.so'])
  fixtures.named('deep/libd1.so', ['deep/libd2.so', 'deep/libd3.so'], [RPATH, rpath(join(dir, 'deep'))])
  const [call] = opens(t, [`${dir}/deep/libd1.so`])
  t.same(
    call?.graph.objects.slice(-3).map(({ path }) => basename(path)),
    ['libd1.so', 'libd2.so', 'libd3.so'],
  )
  fixtures.named('deep/libcut.so', ['deep/libd1.so'])
  const [cut] = opens(t, [`${dir}/deep/libcut.so`])
  t.match(cut?.graph.problems, [{ kind: 'missing-library', name: 'libd1.so' }])
  // Who opened it counts: RPATHs are inherited from the caller.
  opens(t, [`${dir}/deep/libd1.so`, `${dir}/deep/libcut.so`])
  opens(t, [`${dir}/deep/libcut.so`], { libraryPath: `${dir}/lib:${dir}/deep` })
  const inherited = compile(dir, 'inherits', source, [
    'lib/libcaller.so',
    `-Wl,${RPATH},${rpath(`${dir}/lib:${dir}/deep`)}`,
  ])
  opens(t, [`${dir}/deep/libcut.so`], { file: inherited })
  opens(t, [`@${dir}/deep/libcut.so`], { file: inherited })
})

t.test('case 35: a bare .so of developers may be a linker script, and other files that cannot be opened', async t => {
  writeFileSync(join(dir, 'programs/libscript.so'), '/* GNU ld script */\nGROUP ( libq.so.1 )\n'.padEnd(80))
  fixtures.named('programs/libnoopen.so', [], ['-z', 'nodlopen'])
  fixtures.named('programs/libneedsit.so', ['programs/libnoopen.so'], [rpath(join(dir, 'programs'))])
  fixtures.program('programs/libprogram.so', [])
  fixtures.named('programs/libnarrow.so', [], [], 'i386')
  mkdirSync(join(dir, 'programs/libdirectory.so'))
  for (const name of ['script', 'noopen', 'needsit', 'program', 'narrow', 'directory']) {
    const [call] = opens(t, [`lib${name}.so`])
    t.equal(call?.graph.problems.length, 1, name)
  }
  opens(t, [program, `${dir}/programs/libscript.so`])
})

t.test('case 35, case 1: a version that is missing', async t => {
  const versions = (place: string, ...names: string[]) =>
    fixtures.compiled(
      `${place}/libv.so`,
      names.map(name => `int f_${name}(void) { return 0; }`).join('\n'),
      names.map(name => `${name} { global: f_${name}; };`).join('\n'),
    )
  versions('callers', 'V1', 'V2')
  fixtures.compiled('callers/libasks.so', 'int f_V2(void); int f(void) { return f_V2(); }', '', [
    `${dir}/callers/libv.so`,
    runpath(`${dir}/callers`),
  ])
  opens(t, ['@libasks.so'])
  versions('programs', 'V1')
  const [, asks] = opens(t, ['libv.so', '@libasks.so'])
  t.match(asks?.graph.problems, [{ kind: 'missing-version', version: 'V2' }])
})

t.test('case 44: static TLS that does not fit', async t => {
  const library = (bytes: number, model = 'initial-exec') =>
    fixtures.compiled(
      `tls/lib${model}${bytes}.so`,
      `__thread char block[${bytes}] __attribute__((tls_model("${model}"))); char *f(void) { return block; }`,
    )
  for (const by of [HERE, NEW]) {
    const libraryPath = by === NEW ? `${dir}/lib:${join(NEW.loader, '..')}` : ''
    for (const [bytes, kind] of [
      [8, undefined],
      [1664, undefined],
      [1728, 'unusable'],
      [100_000, 'unusable'],
    ] as const) {
      const [call] = opens(t, [library(bytes)], { by, libraryPath })
      t.equal(call?.graph.problems[0]?.kind, kind, `${bytes}`)
    }
    opens(t, [library(100_000, 'global-dynamic')], { by, libraryPath })
  }
  // Within the rounding of the block: what else has thread-local data decides, and so do the calls before.
  const graph = resolveGraph(HERE.fs(), program, { cpuLevel: 0, libraryPath: [], preload: [] })
  const call = resolveDlopen(HERE.fs(), { graph, staticTls: 0 }, 0, library(1700), {
    cpuLevel: 0,
    libraryPath: [],
    preload: [],
  })
  t.match(call.graph.problems, [{ kind: 'undecidable', because: /static TLS/ }])
  const calls = opens(t, [library(1000), library(1200), library(600)])
  t.same(
    calls.map(({ graph }) => graph.problems.length),
    [0, 1, 0],
    'the calls before have taken their part',
  )
})
