import { spawnSync } from 'node:child_process'
import { existsSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readSymbols } from '../../lib/elf/symbols.js'
import type { ElfFacts, ElfSymbols } from '../../lib/elf/types.js'
import { addon } from '../../lib/launch/addon.js'
import { bindSymbols } from '../../lib/loader/bind.js'
import { FactsCache } from '../../lib/loader/facts-cache.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { openHostFile, rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { LoadedObject } from '../../lib/loader/types.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

/** Every binding that the real loader reports (LD_DEBUG=bindings, all bound at the start) against ours. */
const dir = temporaryDirectory()
const cache = new FactsCache()
const known = new WeakMap<ElfFacts, ElfSymbols>()

function symbolsOf({ realPath, facts }: LoadedObject): ElfSymbols {
  let symbols = known.get(facts)
  if (symbols === undefined) {
    const file = openHostFile(realPath)
    symbols = readSymbols(file)
    file.close()
    known.set(facts, symbols)
  }
  return symbols
}

interface Reported {
  readonly file: string
  readonly to: string
  readonly symbol: string
}

function reported(program: string, args: readonly string[], env: Record<string, string>): Reported[] {
  const { stderr } = spawnSync(program, args, {
    env: { LD_DEBUG: 'bindings', LD_BIND_NOW: '1', ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  return [...stderr.matchAll(/binding file (\S+) \[0\] to (\S+) \[0\]: \S+ symbol `(.*?)'(?: \[(.*)\])?$/gm)].map(
    ([, file = '', to = '', name, version]) => ({ file, to, symbol: `${name} ${version ?? ''}` }),
  )
}

function judge(
  tap: Pick<typeof t, 'same' | 'ok'>,
  program: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
) {
  const libraryPath = env.LD_LIBRARY_PATH?.split(':') ?? []
  const { objects } = resolveGraph(
    rootFileSystem('/'),
    program,
    { cpuLevel: addon().cpuLevel(), libraryPath, preload: [] },
    cache,
  )
  const bindings = bindSymbols(objects, symbolsOf)
  const position = new Map(objects.map(({ path }, index) => [path, index]))
  const ours = objects.map((object, index) => {
    return new Map(
      symbolsOf(object).imports.map((wanted, i) => [
        `${wanted.name} ${wanted.version ?? ''}`,
        { wanted, to: bindings[index]?.[i] as number },
      ]),
    )
  })
  const wrong = []
  let checked = 0
  for (const { file, to, symbol } of reported(program, args, env)) {
    const binding = ours[position.get(file) ?? -1]?.get(symbol)
    if (binding === undefined) continue
    // A program at a fixed address has the address of a library's function, or its own copy of a variable, stand for the
    // original: then the loader binds to the program, which binds to what we say.
    if (position.get(to) === 0 && ours[0]?.has(symbol) && binding.to === ours[0].get(symbol)?.to) continue
    checked++
    if (position.get(to) !== binding.to) wrong.push({ file, symbol, to, ours: objects[binding.to]?.path })
  }
  tap.same(wrong, [], `${program}: ${checked} bindings`)
  tap.ok(checked > 0)
  return { objects, bindings, ours }
}

t.test('programs of this machine', async t => {
  const programs = [
    '/usr/bin/ls',
    '/usr/bin/git',
    '/usr/bin/python3',
    '/usr/bin/perl',
    '/usr/bin/openssl',
    '/usr/bin/curl',
    '/usr/bin/apt-get',
    '/usr/bin/gdb',
    '/usr/bin/g++',
  ].filter(path => existsSync(path))
  t.ok(programs.length >= 5)
  for (const path of programs) judge(t, realpathSync(path), ['--version'])
})

function library(name: string, source: string, script = '', flags: readonly string[] = []): string {
  writeFileSync(join(dir, 'script.map'), script)
  const versions = script === '' ? [] : [`-Wl,--version-script=${join(dir, 'script.map')}`]
  return compile(dir, name, source, [
    '-shared',
    '-fPIC',
    '-nostdlib',
    `-Wl,-soname,${name.split('/').at(-1)}`,
    ...versions,
    ...flags,
  ])
}

const RPATH = `-Wl,--no-as-needed,--disable-new-dtags,--allow-shlib-undefined,-rpath,${dir}`

function program(name: string, source: string, libraries: readonly string[], flags: readonly string[] = []): string {
  return compile(dir, name, source, [...libraries, RPATH, ...flags])
}

const V1 = 'V1 { global: f; local: *; };'
const TWO = 'V1 { global: f; local: *; }; V2 { global: f; } V1;'
const two =
  '__asm__(".symver old,f@V1"); __asm__(".symver new,f@@V2"); int old(void) { return 1; } int new(void) { return 2; }'
const call = 'extern int f(void); int main(void) { return f(); }'

t.test('a reference binds its own version, hidden or default', async t => {
  library('libt.so', 'int f(void) { return 1; }', V1)
  const old = program('old-reference', call, ['libt.so'])
  library('libt.so', two, TWO)
  const young = program('new-reference', call, ['libt.so'])
  for (const path of [old, young]) {
    const { ours } = judge(t, path)
    t.equal(ours[0]?.get(path === old ? 'f V1' : 'f V2')?.to, 1)
  }
  t.equal(spawnSync(old).status, 1)
  t.equal(spawnSync(young).status, 2)
})

t.test('a reference without a version binds what was linked against first', async t => {
  library('libu.so', 'int f(void) { return 0; }')
  const path = program('unversioned-reference', call, ['libu.so'])
  library('libu.so', two, TWO)
  t.equal(judge(t, path).ours[0]?.get('f ')?.to, 1)
  // Three versions, two of them not the oldest and not hidden from each other: the default alone counts.
  library(
    'libu.so',
    '__asm__(".symver a,f@V2"); __asm__(".symver b,f@@V3"); int a(void) { return 5; } int b(void) { return 6; }',
    'V1 { local: *; }; V2 { global: f; } V1; V3 { global: f; } V2;',
  )
  t.equal(judge(t, path).ours[0]?.get('f ')?.to, 1)
  t.equal(spawnSync(path).status, 6)
})

t.test('a versioned reference takes an unversioned definition of another library', async t => {
  library('libs.so', 'int f(void) { return 1; }', V1)
  library('libfirst.so', 'int f(void) { return 9; }')
  const path = program('interposed', call, ['libs.so'])
  const before = program('interposed-first', call, ['libfirst.so', 'libs.so'])
  judge(t, path)
  judge(t, before)
  library('libfirst.so', 'int f(void) { return 9; }', 'OTHER { global: f; };')
  judge(t, before)
})

t.test('weak references may stay unresolved, and others do too where nothing matches', async t => {
  library('libw.so', '__attribute__((weak)) int nowhere(void); int f(void) { return nowhere ? nowhere() : 3; }', V1)
  const path = program('weak', call, ['libw.so'])
  const { objects, bindings } = judge(t, path)
  const imports = symbolsOf(objects[1] as LoadedObject).imports
  t.same(
    imports.map(({ name, weak }, index) => [name, weak, bindings[1]?.[index]]),
    [['nowhere', true, -1]],
  )
})

t.test('a copy relocation is filled from the library', async t => {
  const source = (size: number) => `int shared[${size}] = { 1 }; int *mine(void) { return shared; }`
  library('libcopy.so', source(4))
  const path = program(
    'copies',
    'extern int shared[4]; int main(void) { return shared[0]; }',
    ['libcopy.so'],
    ['-no-pie', '-fno-pie'],
  )
  const { ours } = judge(t, path)
  t.match(ours[0]?.get('shared '), { wanted: { copySize: 16 }, to: 1 })
})

t.test('scopes: a plugin sees the program, the program does not see the plugin', async t => {
  const host = resolveGraph(
    rootFileSystem('/'),
    program('host', 'int hosted(void) { return 1; } int main(void) { return 0; }', [], ['-rdynamic']),
    { cpuLevel: 0, libraryPath: [], preload: [] },
  ).objects
  const plugin = resolveGraph(
    rootFileSystem('/'),
    library('plugin.so', 'extern int hosted(void); int f(void) { return hosted(); }'),
    { cpuLevel: 0, libraryPath: [], preload: [] },
  ).objects[0] as LoadedObject
  const objects = [...host, plugin]
  const own = objects.length - 1
  const global = host.map((_, index) => index)
  const local = [...global, own]
  const bindings = bindSymbols(objects, symbolsOf, index => (index === own ? local : global))
  t.equal(bindings[own]?.[0], 0)
  t.same(bindings[0], bindSymbols(host, symbolsOf)[0])
})
