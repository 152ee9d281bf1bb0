import type { ElfFacts, ElfSymbols, ExportedSymbol, ImportedSymbol } from '../elf/types.js'
import { remember } from './remember.js'
import type { Loader } from './types.js'

/** A symbol table in an index. */
export interface Table extends Traits {
  readonly id: number
  readonly symbols: ElfSymbols
  /** The places of imports that are copy relocations. */
  readonly copies: readonly number[]
}

/** What one table defines under a name: several where that has versions. */
interface Exporter {
  readonly table: Table
  readonly definitions: ExportedSymbol[]
}

/** For each import the tables that have a definition which serves it: those of import `at` are `ids` from `ends[at - 1]` to `ends[at]`. */
interface Servers {
  readonly ends: Int32Array
  readonly ids: Int32Array
  /** How many tables the index had then. */
  readonly size: number
}

/**
 * Symbol tables by the names that they define, made once for all processes that have some of them: a process has hundreds of
 * objects, but a name is defined in one or two.
 */
export class SymbolIndex {
  readonly #tables = new Map<ElfSymbols, Table>()
  readonly #exporters = new Map<string, Exporter[]>()
  readonly #servers = new Map<Table, Servers>()

  get size(): number {
    return this.#tables.size
  }

  table(symbols: ElfSymbols, facts: ElfFacts): Table {
    const known = this.#tables.get(symbols)
    if (known !== undefined) return known
    const copies = symbols.imports.flatMap(({ copySize }, place) => (copySize === undefined ? [] : [place]))
    const table = { id: this.#tables.size, symbols, copies, ...traitsOf(facts) }
    this.#tables.set(symbols, table)
    for (const symbol of symbols.exports) {
      const exporters = remember(this.#exporters, symbol.name, () => [])
      const last = exporters.at(-1)
      if (last?.table === table) last.definitions.push(symbol)
      else exporters.push({ table, definitions: [symbol] })
    }
    return table
  }

  /** Who defines a name. */
  exportersOf(name: string): readonly Exporter[] {
    return this.#exporters.get(name) ?? NOBODY
  }

  servers(table: Table): Servers {
    const known = this.#servers.get(table)
    if (known?.size === this.size) return known
    const ends = new Int32Array(table.symbols.imports.length)
    const ids: number[] = []
    table.symbols.imports.forEach((wanted, place) => {
      for (const exporter of this.exportersOf(wanted.name))
        if (definitionAmong(exporter.definitions, exporter.table, wanted, [], null) !== null)
          ids.push(exporter.table.id)
      ends[place] = ids.length
    })
    const servers = { ends, ids: Int32Array.from(ids), size: this.size }
    this.#servers.set(table, servers)
    return servers
  }
}

const NOBODY: readonly Exporter[] = []

/** What of an object decides which of its definitions serve. */
interface Traits {
  /** The version with the lowest index: what references without a version were linked against. */
  readonly oldest: string | undefined
  /** Has a version table at all, for what it defines or for what it needs. */
  readonly versioned: boolean
}

export function traitsOf({ verdefs, verneeds }: ElfFacts): Traits {
  return { oldest: verdefs[0]?.name, versioned: verdefs.length > 0 || verneeds.length > 0 }
}

/** Of what an object defines under a name, what serves a reference to it; null where nothing does (check_match, elf/dl-lookup.c). */
export function definitionAmong(
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
