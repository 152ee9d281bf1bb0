import type { ElfSymbols, ExportedSymbol, ImportedSymbol } from '../elf/types.js'
import { remember } from './remember.js'
import type { Graph, LoadedObject, Loader } from './types.js'

/** For each object, for each of its imports in their order: the index of the object that provides it, or -1. */
export type Bindings = readonly Int32Array[]

/**
 * Binds every import as glibc would (do_lookup_x and check_match of elf/dl-lookup.c): by the first object of its scope that
 * has a matching definition. `scopeOf` gives the indices of the objects that one object's references are looked up in, in
 * order; by default all, in load order (but what the program is a filter for before it), which is the scope of a program and of what it loads at its start. A plugin's
 * objects see the program's scope and then their own; the program does not see the plugin's. With `only`, the imports of just
 * these objects are bound; the others' arrays are empty.
 */
export function bindSymbols(
  { objects, loader, filtees = 0 }: Pick<Graph, 'objects' | 'loader' | 'filtees'>,
  symbolsOf: (object: LoadedObject) => ElfSymbols,
  scopeOf?: (index: number) => readonly number[],
  only?: ReadonlySet<number>,
): Bindings {
  const symbols = objects.map(symbolsOf)
  const providers = objects.map((object, index) => new Provider(object, symbols[index] as ElfSymbols, loader))
  const inLoadOrder = [...objects.keys()]
  const whole = new Scope(providers, [...inLoadOrder.slice(1, filtees + 1), 0, ...inLoadOrder.slice(filtees + 1)])
  const scopes = new Map<readonly number[], Scope>()
  return symbols.map(({ imports }, index) => {
    if (only?.has(index) === false) return new Int32Array()
    const order = scopeOf?.(index)
    const scope = order === undefined ? whole : remember(scopes, order, () => new Scope(providers, order))
    return Int32Array.from(imports, wanted => scope.find(wanted))
  })
}

/**
 * The definition in an object that serves a reference, null where there is none. Of a copy relocation it tells whether the
 * variable has grown: the loader copies as much as fits, and warns.
 */
export function definitionIn(
  object: LoadedObject,
  symbols: ElfSymbols,
  wanted: ImportedSymbol,
  loader: Loader | null,
): ExportedSymbol | null {
  return new Provider(object, symbols, loader).definition(wanted)
}

/** Objects searched in one order. Answers are remembered: `malloc` is asked for by nearly everybody. */
class Scope {
  readonly #answers = new Map<string, { version: string | undefined; provider: number }[]>()

  constructor(
    readonly providers: readonly Provider[],
    readonly order: readonly number[],
  ) {}

  find(wanted: ImportedSymbol): number {
    // The program's own copy of a variable is filled from a library: the program itself is passed over.
    if (wanted.copySize !== undefined) return this.#search(wanted, 1)
    const answers = remember(this.#answers, wanted.name, () => [])
    const known = answers.find(({ version }) => version === wanted.version)
    if (known !== undefined) return known.provider
    const provider = this.#search(wanted, 0)
    answers.push({ version: wanted.version, provider })
    return provider
  }

  #search(wanted: ImportedSymbol, from: number): number {
    for (const index of this.order) {
      if (index >= from && (this.providers[index]?.definition(wanted) ?? null) !== null) return index
    }
    return -1
  }
}

class Provider {
  readonly #byName: ReadonlyMap<string, ExportedSymbol | readonly ExportedSymbol[]>
  /** The version with the lowest index: what references without a version were linked against. */
  readonly #oldest: string | undefined
  /** Has a version table at all, for what it defines or for what it needs. */
  readonly #versioned: boolean
  readonly #names: readonly string[]

  readonly #asserts: boolean

  constructor({ facts, names }: LoadedObject, symbols: ElfSymbols, loader: Loader | null) {
    this.#asserts = loader?.assertsVersions === true
    this.#byName = indexOf(symbols)
    this.#oldest = facts.verdefs[0]?.name
    this.#versioned = facts.verdefs.length > 0 || facts.verneeds.length > 0
    this.#names = names
  }

  definition(wanted: ImportedSymbol): ExportedSymbol | null {
    const found = this.#byName.get(wanted.name)
    if (found === undefined) return null
    const definitions = Array.isArray(found) ? (found as readonly ExportedSymbol[]) : [found as ExportedSymbol]
    return wanted.version === undefined
      ? this.#servesUnversioned(definitions)
      : this.#servesVersion(definitions, wanted)
  }

  /** The same version, hidden or not, or a definition without one. */
  #servesVersion(definitions: readonly ExportedSymbol[], { version, file }: ImportedSymbol): ExportedSymbol | null {
    // Where the very file that is to define the version has no version table, an older loader stops at an assertion.
    if (!this.#versioned) {
      const ends = this.#asserts && file !== undefined && this.#names.includes(file)
      return ends ? null : (definitions[0] ?? null)
    }
    const serves = ({ version: own, hidden }: ExportedSymbol) =>
      own === version || (own === undefined && hidden !== true)
    return definitions.find(serves) ?? null
  }

  /** One without a version or of the oldest, even a hidden one; else the default, where there is just one. */
  #servesUnversioned(definitions: readonly ExportedSymbol[]): ExportedSymbol | null {
    const first = definitions.find(({ version }) => version === undefined || version === this.#oldest)
    if (first !== undefined) return first
    const defaults = definitions.filter(({ hidden }) => hidden !== true)
    return defaults.length === 1 ? (defaults[0] as ExportedSymbol) : null
  }
}

const indices = new WeakMap<ElfSymbols, ReadonlyMap<string, ExportedSymbol | readonly ExportedSymbol[]>>()

/** Exports by name, made once for each symbol table. Nearly all names have one version. */
function indexOf(symbols: ElfSymbols): ReadonlyMap<string, ExportedSymbol | readonly ExportedSymbol[]> {
  const known = indices.get(symbols)
  if (known !== undefined) return known
  const index = new Map<string, ExportedSymbol | readonly ExportedSymbol[]>()
  for (const symbol of symbols.exports) {
    const before = index.get(symbol.name)
    if (before === undefined) index.set(symbol.name, symbol)
    else index.set(symbol.name, [...(Array.isArray(before) ? before : [before]), symbol])
  }
  indices.set(symbols, index)
  return index
}
