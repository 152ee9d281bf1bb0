import type { ElfFacts, ElfSymbols, ImportedSymbol } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { consumerPaths, mayBeConsumer } from '../host/consumers.js'
import type { PackageDatabase } from '../host/dpkg.js'
import type { Package } from '../host/packages.js'
import { bindSymbols } from '../loader/bind.js'
import { base, parent } from '../loader/file-system.js'
import { resolveGraph } from '../loader/resolve.js'
import type { Graph, LoadedObject, Problem } from '../loader/types.js'
import { bringers, type Demand, demandOneOf } from './demand.js'
import { type Gone, goneFrom, isGone, type Missing } from './gone.js'
import { strangeBuilds } from './lockstep.js'
import { nameOf } from './mix.js'
import { bindingKey } from './scopes.js'
import { hidden } from './whiteouts.js'
import type { Placed, World } from './world.js'

/** A program, plugin or library of the host's. */
interface Consumer {
  readonly path: string
  readonly facts: ElfFacts
}

/**
 * Rule 5: the host's programs and plugins that could run inside go on working. They are looked for only when something that a
 * library of the host's supplied is gone; then those that ask for it, or load who asks, are resolved outside and inside, and
 * what is worse inside is a wish for the search.
 */
export class Neighbours {
  private consumers: readonly Consumer[] | null = null
  private readonly byName = new Map<string, Consumer>()
  private readonly needed = new Set<string>()
  private readonly reach = new Map<string, ReadonlySet<string>>()
  private readonly missing = new Map<string, Missing | null>()
  private readonly answers = new WeakMap<Placed, readonly Demand[]>()

  constructor(private readonly world: World) {}

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
    const likeliest = this.likeliest(state, gone)?.filter(asks)
    if (likeliest?.length === 0) return []
    const { host, contents } = this.world
    const covered = new Map([...state.places.nodes, ...hidden(host, contents, state.selection, state.places)])
    if (likeliest?.every(({ path }) => covered.has(path))) return []
    const consumers = this.all().filter(({ path }) => !covered.has(path))
    const asking = consumers.filter(asks)
    if (asking.length === 0) return []
    const askers = new Set(asking.map(({ path }) => path))
    const names = new Set(asking.map(({ path, facts }) => facts.soname ?? base(path)))
    return consumers.flatMap(consumer => {
      if (this.isLibrary(consumer) || !(askers.has(consumer.path) || this.reaches(consumer, names))) return []
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
      if (lost !== null) return [this.wish(state, path, inside, bringers(inside, object), lost)]
    }
    const strange = strangeBuilds(state, inside)[0]
    if (strange === undefined) return []
    const names = [nameOf(strange.provider), ...bringers(inside, strange.object)]
    return [this.wish(state, path, inside, names, strange.text)]
  }

  private lostSymbol(state: Placed, outside: Graph, inside: Graph, object: LoadedObject): string | null {
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
    return `${nameOf(object)} needs the symbol ${bindingKey(symbol)}, which the container's ${nameOf(provider)} does not have`
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

  /** Whether a consumer loads one of these names, directly or not, as far as names tell. */
  private reaches({ facts }: Consumer, names: ReadonlySet<string>): boolean {
    return facts.needed.some(name => names.has(name) || [...this.reachOf(name)].some(other => names.has(other)))
  }

  private reachOf(name: string): ReadonlySet<string> {
    const known = this.reach.get(name)
    if (known !== undefined) return known
    const reached = new Set<string>()
    this.reach.set(name, reached)
    const pending = [name]
    for (let next = pending.pop(); next !== undefined; next = pending.pop())
      for (const needed of this.byName.get(next)?.facts.needed ?? [])
        if (!reached.has(needed)) {
          reached.add(needed)
          pending.push(needed)
        }
    return reached
  }

  /** What others need is judged with them; what nobody needs and lies beside the libraries is opened by name (NSS's modules). */
  private isLibrary({ path, facts }: Consumer): boolean {
    const name = facts.soname ?? base(path)
    return facts.interpreter === null && this.needed.has(name) && this.byName.get(name)?.path === path
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

  /** Every program, plugin and library of the host's that its loader could load. */
  private all(): readonly Consumer[] {
    if (this.consumers !== null) return this.consumers
    const { host, finder } = this.world
    // A directory's own order is anybody's, and what is told must not depend on it.
    const paths = [...consumerPaths(host.fs)].sort()
    host.lookAhead?.(paths)
    this.consumers = this.consumersAt(paths)
    const searched = new Set(finder.directories)
    for (const consumer of this.consumers) {
      const { path, facts } = consumer
      for (const needed of facts.needed) this.needed.add(base(needed))
      const name = facts.soname ?? base(path)
      if (searched.has(parent(path)) && !this.byName.has(name)) this.byName.set(name, consumer)
    }
    return this.consumers
  }

  private consumersAt(paths: readonly string[]): readonly Consumer[] {
    const { host, looked, contents } = this.world
    const { loader } = contents.manifest.source
    return paths.flatMap(path => {
      const stat = host.fs.lstat(path)
      const facts = stat?.kind === 'file' ? looked.facts.inspect(host.fs, path, stat).facts : null
      const loads = facts?.dynamic && facts.machine === loader?.machine && facts.class === loader.class
      return loads ? [{ path, facts }] : []
    })
  }

  /**
   * Who may ask for what is gone, where packages tell: files of packages that depend on the changed library's, as every package does
   * that is linked with it (Debian policy 8.6), of those of the same source, and what no package ships, below /usr/local. It spares
   * the look at all of the host when none of these asks.
   */
  private likeliest({ places }: Placed, gone: readonly Gone[]): readonly Consumer[] | null {
    const { packages, fs, lookAhead } = this.world.host
    if (packages === null) return null
    const asking = new Set<Package>()
    for (const missing of gone) {
      const likely = this.world.contents.libraries.get(missing.soname)?.package ?? null
      const paths = (places.libraries.get(missing.soname) ?? []).filter(path => fs.lstat(path) !== null)
      const owners = paths.flatMap(path => packages.ownersOfFile(path, likely))
      if (owners.length === 0) return null
      for (const pkg of dependents(packages, owners)) asking.add(pkg)
    }
    const owned = [...asking].flatMap(pkg => packages.filesOf(pkg).filter(mayBeConsumer))
    const paths = [...owned, ...consumerPaths(fs, ['/usr/local'], [])].filter(path => !places.nodes.has(path))
    lookAhead?.(paths)
    return this.consumersAt(paths)
  }
}

function dependents(database: PackageDatabase, owners: readonly Package[]): readonly Package[] {
  const names = new Set(owners.flatMap(({ name, provides }) => [name, ...provides.map(({ name }) => name)]))
  const sources = new Set(owners.map(sourceOf))
  return database.packages.filter(
    pkg => sources.has(sourceOf(pkg)) || pkg.depends.some(group => group.some(({ name }) => names.has(name))),
  )
}

function sourceOf({ source, name }: Package): string {
  return source ?? name
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
