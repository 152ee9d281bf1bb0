import type { ElfSymbols, ImportedSymbol } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { bindSymbols } from '../loader/bind.js'
import { base } from '../loader/file-system.js'
import { resolveGraph } from '../loader/resolve.js'
import type { Graph, LoadedObject, Problem } from '../loader/types.js'
import { type Consumer, Consumers } from './consumers.js'
import { bringers, type Demand, demandOneOf } from './demand.js'
import { type Gone, goneFrom, isGone, type Missing } from './gone.js'
import { strangeBuilds } from './lockstep.js'
import { nameOf } from './mix.js'
import { bindingKey } from './scopes.js'
import { hidden } from './whiteouts.js'
import type { Placed, World } from './world.js'

/** A symbol that a host's object had of a library, and has not inside. */
interface Lost extends ImportedSymbol {
  readonly from: string
}

/**
 * Rule 5: the host's programs and plugins that could run inside go on working. They are looked for only when something that a
 * library of the host's supplied is gone; then those that ask for it, or load who asks, are resolved outside and inside, and
 * what is worse inside is a wish for the search.
 */
export class Neighbours {
  private readonly consumers: Consumers
  private readonly missing = new Map<string, Missing | null>()
  private readonly answers = new WeakMap<Placed, readonly Demand[]>()

  constructor(private readonly world: World) {
    this.consumers = new Consumers(world)
  }

  demands = (state: Placed): readonly Demand[] => {
    const known = this.answers.get(state)
    if (known !== undefined) return known
    const gone = goneFrom(this.world, state, this.missing)
    const found = gone.length === 0 ? [] : this.broken(state, gone)
    this.answers.set(state, found)
    return found
  }

  private broken(state: Placed, gone: readonly Gone[]): readonly Demand[] {
    const asks = (consumer: Consumer) =>
      !state.places.nodes.has(consumer.path) && gone.some(missing => this.asksFor(consumer, missing))
    const likeliest = this.consumers.likeliest(state.places, gone)?.filter(asks)
    if (likeliest?.length === 0) return []
    const { host, contents } = this.world
    const covered = new Map([...state.places.nodes, ...hidden(host, contents, state.selection, state.places)])
    if (likeliest?.every(({ path }) => covered.has(path))) return []
    const consumers = this.consumers.all().filter(({ path }) => !covered.has(path))
    const asking = consumers.filter(asks)
    if (asking.length === 0) return []
    const askers = new Set(asking.map(({ path }) => path))
    const names = new Set(asking.map(({ path, facts }) => facts.soname ?? base(path)))
    return consumers.flatMap(consumer => {
      const isTouched = askers.has(consumer.path) || this.consumers.reaches(consumer, names)
      if (this.consumers.isLibrary(consumer) || !isTouched) return []
      return this.compare(state, consumer, askers)
    })
  }

  /** What one program or plugin lacks inside and has outside. */
  private compare(state: Placed, { path }: Consumer, askers: ReadonlySet<string>): readonly Demand[] {
    const { host, looked } = this.world
    const outside = resolveGraph(host.fs, path, host.context, looked.facts)
    const inside = resolveGraph(state.mix.fs, path, host.context, looked.facts)
    const known = new Set(outside.problems.map(problemKey))
    const fresh = inside.problems.filter(problem => !known.has(problemKey(problem)))
    const first = fresh[0]
    if (first !== undefined) {
      const asker = inside.objects.find(object => object.path === first.by)
      return [this.wish(state, path, inside, [...namesIn(first), ...bringers(inside, asker)], problemText(first))]
    }
    for (const object of inside.objects) {
      if (!askers.has(object.realPath) || state.mix.fileOf(object) !== null) continue
      const lost = this.lostSymbol(state, outside, inside, object)
      if (lost === null) continue
      const names = [...this.withSymbol(inside, lost), ...bringers(inside, object)]
      const because = `${nameOf(object)} needs the symbol ${bindingKey(lost)}, which the container's ${lost.from} does not have`
      return [this.wish(state, path, inside, names, because)]
    }
    const strange = strangeBuilds(state, inside)[0]
    if (strange === undefined) return []
    const names = [nameOf(strange.provider), ...bringers(inside, strange.object)]
    return [this.wish(state, path, inside, names, strange.text)]
  }

  private lostSymbol(state: Placed, outside: Graph, inside: Graph, object: LoadedObject): Lost | null {
    const there = outside.objects.findIndex(({ realPath }) => realPath === object.realPath)
    const here = inside.objects.indexOf(object)
    if (there < 0) return null
    const { imports } = this.symbolsAt(object.realPath)
    const bare = bindSymbols(
      outside,
      ({ realPath }) => this.world.looked.hostSymbols(realPath),
      undefined,
      new Set([there]),
      state.mix.symbolIndex,
    )
    const mixed = bindSymbols(inside, state.mix.symbolsOf, undefined, new Set([here]), state.mix.symbolIndex)
    const at = imports.findIndex(
      (symbol, index) => !symbol.weak && (bare[there]?.[index] ?? -1) >= 0 && (mixed[here]?.[index] ?? -1) < 0,
    )
    const symbol = imports[at]
    const provider = outside.objects[bare[there]?.[at] ?? -1]
    if (symbol === undefined || provider === undefined) return null
    return { ...symbol, from: nameOf(provider) }
  }

  /** Of what is loaded, that which has a symbol in the container's own copy, to which it may have moved. */
  private withSymbol({ objects }: Graph, { name }: ImportedSymbol): readonly string[] {
    const { libraries } = this.world.contents
    const exportsIt = (soname: string) =>
      libraries.get(soname)?.elf?.symbols.exports.some(symbol => symbol.name === name)
    return objects.map(nameOf).filter(exportsIt)
  }

  /** One of these names would help, or the container's own in the place of a library that is opened by name. */
  private wish(state: Placed, path: string, graph: Graph, names: readonly string[], because: string): Demand {
    const text = `the host's ${path} would not work inside: ${because}`
    const otherwise = { kind: 'neighbour' as const, text }
    const about = graph.objects.map(nameOf).filter(name => state.selection.sonames.has(name))
    const own = graph.objects.slice(0, 1).map(nameOf)
    return demandOneOf(state.selection, [...names, ...own], { rule: 'neighbours', text }, about, otherwise)
  }

  /** Whether a consumer itself asks for what is gone: by version, or by symbol where it needs that library or is a plugin. */
  private asksFor(consumer: Consumer, gone: Gone): boolean {
    const { facts, path } = consumer
    if (facts.verneeds.some(({ file, version }) => file === gone.soname && gone.isMissed(version))) return true
    if (!facts.needed.some(name => base(name) === gone.soname)) return false
    if (gone.isStranded) return true
    // Versions stand in a table of their own: who names some, and none of those that lost a symbol, need not be read.
    const named = facts.verneeds.filter(({ file }) => file === gone.soname)
    if (named.length > 0 && !gone.lost.has('') && !named.some(({ version }) => gone.lost.has(version))) return false
    return this.symbolsAt(path).imports.some(symbol => this.isFrom(symbol, gone))
  }

  private isFrom(symbol: ImportedSymbol, gone: Gone): boolean {
    return (symbol.file === undefined || symbol.file === gone.soname) && isGone(gone, symbol)
  }

  private symbolsAt(path: string): ElfSymbols {
    try {
      return this.world.looked.hostSymbols(path)
    } catch (error) {
      if (!(error instanceof AppcError)) throw error
      // It cannot be loaded outside either.
      return { imports: [], exports: [] }
    }
  }
}

function problemKey(problem: Problem): string {
  return JSON.stringify(problem)
}

/** What is missing, or of another version. */
function namesIn(problem: Problem): readonly string[] {
  if (problem.kind === 'missing-library') return [problem.name]
  return problem.kind === 'missing-version' ? [problem.file] : []
}

function problemText(problem: Problem): string {
  switch (problem.kind) {
    case 'missing-library':
      return `${base(problem.by)} needs ${problem.name}, and nothing has it there`
    case 'missing-version':
      return `${base(problem.by)} needs ${problem.version}, which the container's ${problem.file} does not define`
    case 'unusable':
      return `${base(problem.by)} cannot load ${problem.path}: ${problem.because}`
    case 'undecidable':
      return problem.because
  }
}
