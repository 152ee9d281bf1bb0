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
    // By name, so that another process in which they meet tells the same.
    const libraries = subject.graph.objects.slice(1).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    for (const [at, one] of libraries.entries())
      for (const other of libraries.slice(at + 1)) {
        const together = home.has(nameOf(one)) && home.has(nameOf(other))
        const what = together ? null : twice(state.mix, one, other)
        if (what === null) continue
        const demand = wish(state, subject, one, other, what)
        found.set(demand.reason.text, demand)
      }
  }
  return [...found.values()]
}

/** In what two libraries are one; null where in nothing. */
function twice(mix: Mix, one: Loaded, other: Loaded): string | null {
  const [a, b] = [nameOf(one), nameOf(other)]
  if (a !== b && stem(a) === stem(b)) return 'are one library under two sonames'
  const names = exportsOf(mix, other)
  const [first, ...more] = [...exportsOf(mix, one)].filter(name => names.has(name))
  return first === undefined ? null : `both export ${first}${more.length > 0 ? ` and ${more.length} more names` : ''}`
}

/** `libssl` of libssl.so.1.1 and libssl.so.3. */
function stem(soname: string): string {
  return soname.replace(/\.so(\.|$).*/, '')
}

const known = new WeakMap<object, ReadonlySet<string>>()

/** Names without a version that bind, as far as they are meant for others: weak ones may be there any number of times (C++). */
function exportsOf(mix: Mix, object: Loaded): ReadonlySet<string> {
  const symbols = mix.symbolsOf(object)
  const before = known.get(symbols)
  if (before !== undefined) return before
  const names = symbols.exports.flatMap(({ name, version, weak }) =>
    version !== undefined || weak || LINKERS_OWN.has(name) ? [] : [name],
  )
  const found = new Set(names)
  known.set(symbols, found)
  return found
}

/** Either may go, or become the container's, which may not have the names. */
function wish({ mix, selection }: Judged, { graph }: Subject, one: Loaded, other: Loaded, what: string): Demand {
  const [chain, by] = [bringers(graph, one), bringers(graph, other)]
  const text = `${tell(mix, one)} and ${tell(mix, other)}, in one process, ${what}`
  const brought = `${nameOf(one)} is brought by ${chain[1] ?? 'the program'}, ${nameOf(other)} by ${by[1] ?? 'the program'}`
  const reason = { rule: 'symbols' as const, text: `${text}: ${brought}` }
  return demandOneOf(selection, [...chain, ...by], reason, [], { kind: 'note', text: reason.text })
}
