import type { ElfFacts, ElfSymbols, ExportedSymbol, ImportedSymbol } from '../elf/types.js'
import { remember } from './remember.js'
import type { Graph, LoadedObject, Loader } from './types.js'

/** For each object, for each of its imports in their order: the index of the object that provides it, or -1. */
export type Bindings = readonly Int32Array[]

/**
 * Binds every import as glibc would (do_lookup_x and check_match of elf/dl-lookup.c): by the first object of its scope that
 * has a matching definition. `scopeOf` gives the indices of the objects that one object's references are looked up in, in
 * order; by default all, in load order (but what the program is a filter for before it), which is the scope of a program and of what it loads at its start. A plugin's
 * objects see the program's scope and then their own; the program does not see the plugin's. With `only`, the imports of just
 * these objects are bound; the others' arrays are empty. Who binds the same objects often gives one `index` to all calls.
 */
export function bindSymbols(
  { objects, loader, filtees = 0 }: Pick<Graph, 'objects' | 'loader' | 'filtees'>,
  symbolsOf: (object: LoadedObject) => ElfSymbols,
  scopeOf?: (index: number) => readonly number[],
  only?: ReadonlySet<number>,
  index = new SymbolIndex(),
): Bindings {
  const tables = objects.map(object => index.table(symbolsOf(object), object.facts))
  const inLoadOrder = [...objects.keys()]
  const wholeOrder = [...inLoadOrder.slice(1, filtees + 1), 0, ...inLoadOrder.slice(filtees + 1)]
  const scopes = new Map<readonly number[], Scope>()
  return tables.map((table, at) => {
    if (only?.has(at) === false) return NONE
    const order = scopeOf?.(at) ?? wholeOrder
    const scope = remember(scopes, order, () => new Scope({ objects, loader }, tables, order, index.size))
    return bound(table, scope, index)
  })
}

function bound(table: Table, scope: Scope, index: SymbolIndex): Int32Array {
  const { imports } = table.symbols
  const exporters = index.exportersFor(table)
  const providers = new Int32Array(imports.length)
  for (let place = 0; place < imports.length; place++)
    providers[place] = scope.find(imports[place] as ImportedSymbol, exporters[place] as readonly Exporter[])
  return providers
}

const NONE = new Int32Array()

/**
 * The definition in an object that serves a reference, null where there is none. Of a copy relocation it tells whether the
 * variable has grown: the loader copies as much as fits, and warns.
 */
export function definitionIn(
  { facts, names }: LoadedObject,
  symbols: ElfSymbols,
  wanted: ImportedSymbol,
  loader: Loader | null,
): ExportedSymbol | null {
  const definitions = remember(byName, symbols, () => group(symbols)).get(wanted.name)
  return definitions === undefined ? null : definitionAmong(definitions, traitsOf(facts), wanted, names, loader)
}

const byName = new WeakMap<ElfSymbols, ReadonlyMap<string, readonly ExportedSymbol[]>>()

function group({ exports }: ElfSymbols): ReadonlyMap<string, readonly ExportedSymbol[]> {
  const groups = new Map<string, ExportedSymbol[]>()
  for (const symbol of exports) remember(groups, symbol.name, () => []).push(symbol)
  return groups
}

/** A symbol table in an index. */
interface Table extends Traits {
  readonly id: number
  readonly symbols: ElfSymbols
}

/** What one table defines under a name: several where that has versions. */
interface Exporter {
  readonly table: Table
  readonly definitions: ExportedSymbol[]
}

/**
 * Symbol tables by the names that they define, made once for all processes that have some of them: a process has hundreds of
 * objects, but a name is defined in one or two.
 */
export class SymbolIndex {
  readonly #tables = new Map<ElfSymbols, Table>()
  readonly #exporters = new Map<string, Exporter[]>()
  readonly #asked = new Map<Table, readonly (readonly Exporter[])[]>()

  get size(): number {
    return this.#tables.size
  }

  table(symbols: ElfSymbols, facts: ElfFacts): Table {
    const known = this.#tables.get(symbols)
    if (known !== undefined) return known
    const table = { id: this.#tables.size, symbols, ...traitsOf(facts) }
    this.#tables.set(symbols, table)
    for (const symbol of symbols.exports) {
      const exporters = this.#exportersOf(symbol.name)
      const last = exporters.at(-1)
      if (last?.table === table) last.definitions.push(symbol)
      else exporters.push({ table, definitions: [symbol] })
    }
    return table
  }

  /** For each import of a table who defines its name, in this index as it grows. */
  exportersFor(table: Table): readonly (readonly Exporter[])[] {
    return remember(this.#asked, table, () => table.symbols.imports.map(({ name }) => this.#exportersOf(name)))
  }

  #exportersOf(name: string): Exporter[] {
    return remember(this.#exporters, name, () => [])
  }
}

/** Objects searched in one order. */
class Scope {
  /** By a table's id: its place in the order, or -1. */
  readonly #places: Int32Array

  constructor(
    readonly process: Pick<Graph, 'objects' | 'loader'>,
    tables: readonly Table[],
    readonly order: readonly number[],
    size: number,
  ) {
    this.#places = new Int32Array(size).fill(-1)
    for (let place = order.length - 1; place >= 0; place--)
      this.#places[tables[order[place] as number]?.id as number] = place
  }

  /** The index of the first object of which a definition serves, or -1. */
  find(wanted: ImportedSymbol, exporters: readonly Exporter[]): number {
    const { objects, loader } = this.process
    let first = -1
    for (const { table, definitions } of exporters) {
      const place = this.#places[table.id] ?? -1
      if (place < 0 || (first >= 0 && place > first)) continue
      const at = this.order[place] as number
      // The program's own copy of a variable is filled from a library: the program itself is passed over.
      if (wanted.copySize !== undefined && at === 0) continue
      if (definitionAmong(definitions, table, wanted, (objects[at] as LoadedObject).names, loader) !== null)
        first = place
    }
    return first < 0 ? -1 : (this.order[first] as number)
  }
}

/** What of an object decides which of its definitions serve. */
interface Traits {
  /** The version with the lowest index: what references without a version were linked against. */
  readonly oldest: string | undefined
  /** Has a version table at all, for what it defines or for what it needs. */
  readonly versioned: boolean
}

function traitsOf({ verdefs, verneeds }: ElfFacts): Traits {
  return { oldest: verdefs[0]?.name, versioned: verdefs.length > 0 || verneeds.length > 0 }
}

function definitionAmong(
  definitions: readonly ExportedSymbol[],
  traits: Traits,
  wanted: ImportedSymbol,
  names: readonly string[],
  loader: Loader | null,
): ExportedSymbol | null {
  if (wanted.version === undefined) return servesUnversioned(definitions, traits)
  if (traits.versioned) return servesVersion(definitions, wanted.version)
  // Where the very file that is to define the version has no version table, an older loader stops at an assertion.
  const ends = loader?.assertsVersions === true && wanted.file !== undefined && names.includes(wanted.file)
  return ends ? null : (definitions[0] ?? null)
}

/** The same version, hidden or not, or a definition without one. */
function servesVersion(definitions: readonly ExportedSymbol[], wanted: string): ExportedSymbol | null {
  for (const definition of definitions) {
    const { version, hidden } = definition
    if (version === wanted || (version === undefined && hidden !== true)) return definition
  }
  return null
}

/** One without a version or of the oldest, even a hidden one; else the default, where there is just one. */
function servesUnversioned(definitions: readonly ExportedSymbol[], { oldest }: Traits): ExportedSymbol | null {
  const first = definitions.find(({ version }) => version === undefined || version === oldest)
  if (first !== undefined) return first
  const defaults = definitions.filter(({ hidden }) => hidden !== true)
  return defaults.length === 1 ? (defaults[0] as ExportedSymbol) : null
}
