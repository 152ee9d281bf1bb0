import type { ElfSymbols, ExportedSymbol } from '../elf/types.js'
import { remember } from '../loader/remember.js'
import type { SymbolIndex } from '../loader/symbol-index.js'
import type { Judged, Subject } from './constraints.js'
import { bringers, type Demand, demandOneOf, tell } from './demand.js'
import { homeGraph } from './home.js'
import { type Mix, nameOf } from './mix.js'
import type { Placed } from './world.js'

/** What linkers put into every object (ld's default script, crti.o), and nobody looks up in another. */
const LINKERS_OWN = new Set(['_init', '_fini', '_start', '_edata', '_end', '__bss_start', '_IO_stdin_used'])

type Loaded = Subject['graph']['objects'][number]

/**
 * Two libraries in one process that were not together at home, and that are one library under two sonames, or export the same
 * names without versions: whoever comes first is used by both. A wish: it may go well, and often there is no other way.
 */
export function clashesIn(state: Placed): readonly Demand[] {
  const found = new Map<string, Demand>()
  for (const subject of state.subjects) {
    // A module's process is its program's, where the clash is told already.
    if (subject.file.elf?.role === 'module') continue
    const home = new Set(homeGraph(state.contents, subject.file).objects.map(nameOf))
    const libraries = subject.graph.objects.slice(1)
    const strangers = libraries.filter(object => !home.has(nameOf(object)))
    for (const stranger of strangers) {
      const common = namesInCommon(state.mix, stranger, libraries)
      for (const other of libraries) {
        if (other === stranger || areSiblings(state, stranger, other)) continue
        const what = twice(stranger, other, common.get(other) ?? [])
        if (what === null) continue
        // By name, so that another process in which they meet, or the other of two strangers, tells the same.
        const [one, two] = nameOf(stranger) < nameOf(other) ? [stranger, other] : [other, stranger]
        const demand = wish(state, subject, one, two, what)
        found.set(demand.reason.text, demand)
      }
    }
  }
  return [...found.values()]
}

/** Built from one source to be used together, whatever both of them hold a copy of (libwayland-client and libwayland-server). */
function areSiblings({ contents }: Judged, one: Loaded, other: Loaded): boolean {
  const [a, b] = [one, other].map(object => contents.sourceOf(contents.libraries.get(nameOf(object))))
  return a !== null && a === b && stem(nameOf(one)) !== stem(nameOf(other))
}

/** In what two libraries are one; null where in nothing. */
function twice(one: Loaded, other: Loaded, common: readonly string[]): string | null {
  const [a, b] = [nameOf(one), nameOf(other)]
  if (a !== b && stem(a) === stem(b)) return 'are one library under two sonames'
  const [first, ...more] = [...common].sort()
  return first === undefined ? null : `both export ${first}${more.length > 0 ? ` and ${more.length} more names` : ''}`
}

/** The names that others export too, by whose they are. */
function namesInCommon(mix: Mix, one: Loaded, others: readonly Loaded[]): ReadonlyMap<Loaded, readonly string[]> {
  const common = namesOfOthers(mix, mix.symbolsOf(one))
  return new Map(
    others.flatMap(other => {
      const names = other === one ? undefined : common.get(mix.symbolsOf(other))
      return names === undefined ? [] : [[other, names] as const]
    }),
  )
}

interface Common {
  /** How many tables there were to compare with. */
  readonly size: number
  readonly names: ReadonlyMap<ElfSymbols, readonly string[]>
}

const known = new WeakMap<SymbolIndex, Map<ElfSymbols, Common>>()

/** The same by symbol table, of all that were ever bound. */
function namesOfOthers({ symbolIndex }: Mix, symbols: ElfSymbols): ReadonlyMap<ElfSymbols, readonly string[]> {
  const inIndex = remember(known, symbolIndex, () => new Map<ElfSymbols, Common>())
  const before = inIndex.get(symbols)
  if (before?.size === symbolIndex.size) return before.names
  const names = new Map<ElfSymbols, string[]>()
  for (const { name } of symbols.exports.filter(isForOthers))
    for (const { table, definitions } of symbolIndex.exportersOf(name))
      if (table.symbols !== symbols && definitions.some(isForOthers))
        remember(names, table.symbols, () => []).push(name)
  inIndex.set(symbols, { size: symbolIndex.size, names })
  return names
}

/** `libssl` of libssl.so.1.1 and libssl.so.3. */
function stem(soname: string): string {
  return soname.replace(/\.so(\.|$).*/, '')
}

/** A name without a version that binds, and is meant for others: weak ones may be there any number of times (C++). */
function isForOthers({ name, version, weak }: ExportedSymbol): boolean {
  return version === undefined && !weak && !LINKERS_OWN.has(name)
}

/** Either may go, or become the container's, which may not have the names. */
function wish({ mix, selection }: Judged, { graph }: Subject, one: Loaded, other: Loaded, what: string): Demand {
  const [chain, by] = [bringers(graph, one), bringers(graph, other)]
  const text = `${tell(mix, one)} and ${tell(mix, other)}, in one process, ${what}`
  const brought = `${nameOf(one)} is brought by ${chain[1] ?? 'the program'}, ${nameOf(other)} by ${by[1] ?? 'the program'}`
  const reason = { rule: 'symbols' as const, text: `${text}: ${brought}` }
  return demandOneOf(selection, [...chain, ...by], reason, [], { kind: 'note', text: reason.text })
}
