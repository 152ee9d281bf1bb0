import { existsSync, realpathSync } from 'node:fs'
import t from 'tap'
import { bindSymbols } from '../../lib/loader/bind.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { LoadedObject, Graph as LoadedProgram } from '../../lib/loader/types.js'
import { judgeBindings, symbolsOf } from '../support/bindings.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

/** Whole programs, and scopes; the rules by which one reference is served are in cases/symbols.ts. */
const dir = temporaryDirectory()

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
  for (const path of programs) judgeBindings(t, realpathSync(path), { args: ['--version'] })
})

t.test('scopes: a plugin sees the program, the program does not see the plugin', async t => {
  const host = resolveGraph(
    rootFileSystem('/'),
    compile(dir, 'host', 'int hosted(void) { return 1; } int main(void) { return 0; }', ['-rdynamic']),
    { cpuLevel: 0, libraryPath: [], preload: [] },
  )
  const plugin = resolveGraph(
    rootFileSystem('/'),
    compile(dir, 'plugin.so', 'extern int hosted(void); int f(void) { return hosted(); }', [
      '-shared',
      '-fPIC',
      '-nostdlib',
    ]),
    { cpuLevel: 0, libraryPath: [], preload: [] },
  ).objects[0] as LoadedObject
  const objects = [...host.objects, plugin]
  const own = objects.length - 1
  const global = host.objects.map((_, index) => index)
  const local = [...global, own]
  const bindings = bindSymbols({ ...host, objects }, symbolsOf, index => (index === own ? local : global))
  t.equal(bindings[own]?.[0], 0)
  t.same(bindings[0], bindSymbols(host, symbolsOf)[0])
})

t.test('a copy relocation is filled by no program, whatever else keeps a library from serving', async t => {
  const facts = { verdefs: [], verneeds: [] } as unknown as LoadedObject['facts']
  const objects = ['program', 'library'].map(name => ({ path: `/${name}`, realPath: `/${name}`, names: [name], facts }))
  const copied = { name: 'v', version: 'V_1', file: 'library', copySize: 8, weak: false }
  const tables = [
    { imports: [copied], exports: [{ name: 'v' }] },
    { imports: [], exports: [{ name: 'v' }] },
  ] as unknown as ReturnType<typeof symbolsOf>[]
  const bindings = (assertsVersions?: true) =>
    bindSymbols(
      { objects, loader: { ...(assertsVersions && { assertsVersions }) } as LoadedProgram['loader'] },
      object => tables[objects.indexOf(object as (typeof objects)[number])] as ReturnType<typeof symbolsOf>,
    )
  t.same([...(bindings()[0] ?? [])], [1])
  // glibc until 2.40 ends at an assertion where the library that is to have the version has no versions at all.
  t.same([...(bindings(true)[0] ?? [])], [-1])
})
