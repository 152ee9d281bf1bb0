import type { ElfSymbols, ExportedSymbol, ImportedSymbol } from '../elf/types.js'
import { remember } from './remember.js'
import { definitionAmong, SymbolIndex, type Table, traitsOf } from './symbol-index.js'
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
  graph: Pick<Graph, 'objects' | 'loader' | 'filtees'>,
  symbolsOf: (object: LoadedObject) => ElfSymbols,
  scopeOf?: (index: number) => readonly number[],
  only?: ReadonlySet<number>,
  index = new SymbolIndex(),
): Bindings {
  const process = new Process(graph, symbolsOf, index)
  const scopes = new Map<readonly number[], Scope>()
  return graph.objects.map((_, at) => {
    if (only?.has(at) === false) return NONE
    const order = scopeOf?.(at)
    return order === undefined
      ? process.bind(at)
      : process.bind(
          at,
          remember(scopes, order, () => process.scope(order)),
        )
  })
}

const NONE = new Int32Array()

/** The objects of one process, and the scope of its program: for who binds one object after another. */
export class Process {
  readonly #tables: readonly Table[]
  readonly #loader: Loader | null
  readonly #whole: Scope

  constructor(
    { objects, loader, filtees = 0 }: Pick<Graph, 'objects' | 'loader' | 'filtees'>,
    symbolsOf: (object: LoadedObject) => ElfSymbols,
    private readonly index: SymbolIndex,
    base?: Process,
  ) {
    this.objects = objects
    this.#loader = loader
    const begun = base?.objects.length ?? 0
    const added = objects.slice(begun).map(object => index.table(symbolsOf(object), object.facts))
    this.#tables = base === undefined ? added : [...base.#tables, ...added]
    if (base !== undefined) this.#whole = base.#whole.behind(added, begun, index.size)
    else {
      const inLoadOrder = [...objects.keys()]
      this.#whole = this.scope([...inLoadOrder.slice(1, filtees + 1), 0, ...inLoadOrder.slice(filtees + 1)])
    }
  }

  readonly objects: readonly LoadedObject[]

  /** With more objects behind all others in the program's scope, as a plugin's are. */
  with(added: readonly LoadedObject[], symbolsOf: (object: LoadedObject) => ElfSymbols): Process {
    const graph = { objects: [...this.objects, ...added], loader: this.#loader }
    return new Process(graph, symbolsOf, this.index, this)
  }

  scope(order: readonly number[]): Scope {
    return new Scope(this.#tables, order, this.index.size)
  }

  /** For each import of one object the index of the object that provides it, or -1. */
  bind(at: number, scope = this.#whole): Int32Array {
    const table = this.#tables[at] as Table
    const { imports } = table.symbols
    const { ends, ids } = this.index.servers(table)
    const providers = new Int32Array(imports.length)
    for (let place = 0, from = 0; place < imports.length; place++) {
      const end = ends[place] as number
      providers[place] = scope.first(ids, from, end)
      from = end
    }
    this.correct(at, scope, providers)
    return providers
  }

  /** What tells apart the files that objects are of: the same for the same symbols. */
  identify(providers: Int32Array): Int32Array {
    return providers.map(at => this.#tables[at]?.id ?? -1)
  }

  /** The index of the object that would provide this to whoever asks in the program's scope, or -1. */
  supplier(wanted: ImportedSymbol): number {
    const serving = new Set<Table>()
    for (const { table, definitions } of this.index.exportersOf(wanted.name))
      if (definitionAmong(definitions, table, wanted, [], null) !== null) serving.add(table)
    return this.#whole.order.find(at => serving.has(this.#tables[at] as Table)) ?? -1
  }

  /** What does not rest on the tables alone. */
  private correct(at: number, scope: Scope, providers: Int32Array): void {
    const table = this.#tables[at] as Table
    const isCopy = new Set(table.copies)
    // The program's own copy of a variable is filled from a library: the program itself is passed over.
    for (const place of table.copies)
      if (providers[place] === 0) providers[place] = this.search(table, place, scope, other => other !== 0)
    if (this.#loader?.assertsVersions !== true) return
    // Where the very file that is to define a version has no version table, an older loader stops at an assertion.
    for (let place = 0; place < providers.length; place++) {
      const { file, version } = table.symbols.imports[place] as ImportedSymbol
      const ends = (other: number) =>
        version !== undefined &&
        file !== undefined &&
        !(this.#tables[other] as Table).versioned &&
        (this.objects[other] as LoadedObject).names.includes(file)
      if ((providers[place] as number) >= 0 && ends(providers[place] as number))
        providers[place] = this.search(
          table,
          place,
          scope,
          other => !ends(other) && !(isCopy.has(place) && other === 0),
        )
    }
  }

  private search(table: Table, place: number, scope: Scope, may: (at: number) => boolean): number {
    const { ends, ids } = this.index.servers(table)
    const serving = new Set(ids.subarray(place === 0 ? 0 : ends[place - 1], ends[place]))
    const found = scope.order.find(at => {
      const other = this.#tables[at] as Table
      return serving.has(other.id) && may(at)
    })
    return found ?? -1
  }
}

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

const NOWHERE = 0x7fff_ffff

/** Objects searched in one order. */
class Scope {
  /** By a table's id: its place in the order, or NOWHERE. */
  readonly #places: Int32Array

  constructor(
    tables: readonly Table[],
    readonly order: readonly number[],
    size: number,
    places?: Int32Array,
  ) {
    this.#places = places ?? new Int32Array(size).fill(NOWHERE)
    if (places !== undefined) return
    for (let place = order.length - 1; place >= 0; place--)
      this.#places[(tables[order[place] as number] as Table).id] = place
  }

  /** This order, and these objects, of which the first has that index, behind it. */
  behind(added: readonly Table[], begun: number, size: number): Scope {
    const places = new Int32Array(size).fill(NOWHERE)
    places.set(this.#places)
    added.forEach(({ id }, at) => {
      if (places[id] === NOWHERE) places[id] = this.order.length + at
    })
    return new Scope(added, [...this.order, ...added.map((_, at) => begun + at)], size, places)
  }

  /** The index of the first object among those whose tables these are, or -1. */
  first(ids: Int32Array, from: number, end: number): number {
    let first = NOWHERE
    for (let at = from; at < end; at++) {
      // Tables that came into the index later are nowhere.
      const place = this.#places[ids[at] as number] ?? NOWHERE
      if (place < first) first = place
    }
    return first === NOWHERE ? -1 : (this.order[first] as number)
  }
}
