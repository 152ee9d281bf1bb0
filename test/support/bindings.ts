import { spawnSync } from 'node:child_process'
import type { Test } from 'tap'
import { readSymbols } from '../../lib/elf/symbols.js'
import type { ElfFacts, ElfSymbols, ImportedSymbol } from '../../lib/elf/types.js'
import { addon } from '../../lib/launch/addon.js'
import { type Bindings, bindSymbols } from '../../lib/loader/bind.js'
import { FactsCache } from '../../lib/loader/facts-cache.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { openHostFile } from '../../lib/loader/root-file-system.js'
import type { LoadedObject } from '../../lib/loader/types.js'
import { HERE, type Judge } from './judge.js'
import { HOST_LOADER } from './oracle.js'

const cache = new FactsCache()
const known = new WeakMap<ElfFacts, ElfSymbols>()

export function symbolsOf({ realPath, facts }: LoadedObject): ElfSymbols {
  let symbols = known.get(facts)
  if (symbols === undefined) {
    const file = openHostFile(realPath)
    symbols = readSymbols(file)
    file.close()
    known.set(facts, symbols)
  }
  return symbols
}

export interface Bound {
  readonly objects: readonly LoadedObject[]
  readonly bindings: Bindings
  /** Of each object, by `NAME VERSION`: what is asked for, and the index of who provides it. */
  readonly ours: readonly ReadonlyMap<string, { readonly wanted: ImportedSymbol; readonly to: number }>[]
}

/** Our bindings of a program, as if it were started by that loader. */
export function bind(by: Judge, program: string, libraryPath: readonly string[]): Bound {
  const context = { cpuLevel: addon().cpuLevel(), libraryPath, preload: [] }
  const graph = resolveGraph(by.fs(), program, context, cache)
  const { objects } = graph
  const bindings = bindSymbols(graph, symbolsOf)
  const ours = objects.map((object, index) => {
    const entries = symbolsOf(object).imports.map((wanted, i) => {
      return [`${wanted.name} ${wanted.version ?? ''}`, { wanted, to: bindings[index]?.[i] as number }] as const
    })
    return new Map(entries)
  })
  return { objects, bindings, ours }
}

/** Every binding that a real run reports (LD_DEBUG=bindings, all bound at the start) against ours. */
export function judgeBindings(
  tap: Pick<Test, 'same' | 'ok'>,
  program: string,
  {
    args = [],
    libraryPath = [],
    by = HERE,
  }: { args?: readonly string[]; libraryPath?: readonly string[]; by?: Judge } = {},
): Bound & { readonly status: number | null } {
  const bound = bind(by, program, libraryPath)
  const { objects, ours } = bound
  const { status, reported } = run(by, program, args, libraryPath)
  const position = new Map(objects.map(({ path }, index) => [path === HOST_LOADER ? by.loader : path, index]))
  const wrong = []
  let checked = 0
  for (const { file, to, symbol } of reported) {
    const binding = ours[position.get(file) ?? -1]?.get(symbol)
    if (binding === undefined) continue
    // A program at a fixed address has the address of a library's function, or its own copy of a variable, stand for the
    // original: then the loader binds to the program, which binds to what we say.
    if (position.get(to) === 0 && ours[0]?.has(symbol) && binding.to === ours[0].get(symbol)?.to) continue
    checked++
    if (position.get(to) !== binding.to) wrong.push({ file, symbol, to, ours: objects[binding.to]?.path })
  }
  tap.same(wrong, [], `${program}: ${checked} bindings by ${by.what}`)
  tap.ok(checked > 0)
  return { ...bound, status }
}

interface Reported {
  readonly file: string
  readonly to: string
  readonly symbol: string
}

function run(by: Judge, program: string, args: readonly string[], libraryPath: readonly string[]) {
  // A program is run as it is by this machine's loader, as users do.
  const command = by === HERE ? [program, ...args] : [by.loader, program, ...args]
  const { stderr, status } = spawnSync(command[0] as string, command.slice(1), {
    env: { LD_DEBUG: 'bindings', LD_BIND_NOW: '1', ...environment(libraryPath) },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  const bindings = stderr.matchAll(/binding file (\S+) \[0\] to (\S+) \[0\]: \S+ symbol `(.*?)'(?: \[(.*)\])?$/gm)
  const reported = Array.from(bindings, ([, file = '', to = '', name, version]): Reported => {
    return { file, to, symbol: `${name} ${version ?? ''}` }
  })
  return { status, reported }
}

/** What nothing provides, as `FILE NAME VERSION`, by us and by a loader that is asked as `ldd -r` asks it; weak ones are left out. */
export function judgeUnresolved(
  tap: Pick<Test, 'same'>,
  program: string,
  { libraryPath = [], by = HERE }: { libraryPath?: readonly string[]; by?: Judge } = {},
): readonly string[] {
  const { objects, ours } = bind(by, program, libraryPath)
  const unresolved = ours.flatMap((wants, index) =>
    [...wants.values()]
      .filter(({ wanted, to }) => to === -1 && wanted.weak !== true)
      .map(({ wanted }) => `${objects[index]?.path} ${wanted.name} ${wanted.version ?? ''}`),
  )
  const { stdout, stderr } = spawnSync(by.loader, [program], {
    env: { LD_TRACE_LOADED_OBJECTS: '1', LD_WARN: '1', LD_BIND_NOW: '1', ...environment(libraryPath) },
    encoding: 'utf8',
  })
  const said = [...(stdout + stderr).matchAll(/^undefined symbol: ([^\s,]+)(?:, version (\S+))?\t\((.*)\)$/gm)]
  const theirs = said.map(([, name, version, file]) => `${file} ${name} ${version ?? ''}`)
  tap.same(unresolved.sort(), [...new Set(theirs)].sort(), `${program}: unresolved by ${by.what}`)
  return unresolved
}

function environment(libraryPath: readonly string[]): Record<string, string> {
  return libraryPath.length === 0 ? {} : { LD_LIBRARY_PATH: libraryPath.join(':') }
}
