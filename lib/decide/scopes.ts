import type { PackedRegular } from '../container/types.js'
import type { ElfSymbols, ImportedSymbol } from '../elf/types.js'
import { bindSymbols, Process, type Bindings as SymbolBindings } from '../loader/bind.js'
import { remember } from '../loader/remember.js'
import { resolveGraph } from '../loader/resolve.js'
import type { Graph, LoadedObject } from '../loader/types.js'
import type { Subject } from './constraints.js'
import { type Contents, homeGraph } from './home.js'
import { inScopeOf, type Looked, type Mix, nameOf } from './mix.js'

/** `name@version`, or the name alone where the reference has no version. */
export function bindingKey(symbol: { readonly name: string; readonly version?: string }): string {
  return symbol.version === undefined ? symbol.name : `${symbol.name}@${symbol.version}`
}

const NO_SYMBOLS: ElfSymbols = { imports: [], exports: [] }

/** What supplied the imports of one symbol table, in their order, by name; undefined where nothing did. */
class Bindings {
  #byKey: ReadonlyMap<string, string> | null = null
  readonly #aligned = new Map<ElfSymbols, readonly (string | undefined)[]>()

  constructor(
    readonly symbols: ElfSymbols,
    readonly names: readonly (string | undefined)[],
  ) {}

  /** The same for another build's table: what supplied the import of the same name and version. */
  for(symbols: ElfSymbols): readonly (string | undefined)[] {
    if (symbols === this.symbols) return this.names
    return remember(this.#aligned, symbols, () => {
      this.#byKey ??= new Map(
        this.symbols.imports.flatMap((symbol, at) => {
          const name = this.names[at]
          return name === undefined ? [] : [[bindingKey(symbol), name] as const]
        }),
      )
      const known = this.#byKey
      return symbols.imports.map(symbol => known.get(bindingKey(symbol)))
    })
  }
}

interface Chain {
  get(name: string): Bindings | undefined
}

/** What is expected of the imports of one object in one process. */
export interface Expected {
  /** By import, what supplied it in the container's own tree. */
  readonly packed: readonly (string | undefined)[] | undefined
  /** The libraries that may supply an import, the likeliest first; null when nothing did at home, so that nothing is owed. */
  providers(at: number): readonly string[] | null
}

/**
 * What supplied each symbol at home: for the container's objects in the tree that they were packed from, for the host's in the
 * host as it is without the container. Answers are remembered, since home does not change while the decision grows.
 */
export class Scopes {
  private readonly packed = new Map<PackedRegular, Chain>()
  private readonly bare = new Map<string, Bindings>()
  /** A graph that is kept from one mix to the next has the same files in each. */
  private readonly processes = new WeakMap<Graph, Process>()
  /** The suppliers with which an object was in order, by the program or module in whose process it is. */
  private readonly settled = new Map<PackedRegular, Map<ElfSymbols, Int32Array>>()
  private readonly homes = new Map<PackedRegular, Process>()
  private readonly alone = new Map<PackedRegular, Bindings>()

  private readonly loadedBy = new Map<PackedRegular, PackedRegular | null>()
  private readonly contents: Contents
  private readonly programs: readonly PackedRegular[]

  constructor(private readonly looked: Looked) {
    this.contents = looked.contents
    this.programs = looked.contents.programs()
  }

  /** Who supplies what in the mix. A program's process is the beginning of all its modules'. */
  processOf(mix: Mix, { scope, program }: Subject): Process {
    const whole = (graph: Graph) =>
      remember(this.processes, graph, () => new Process(graph, mix.symbolsOf, mix.symbolIndex))
    if (program === undefined) return whole(scope)
    const base = whole(program)
    return base.with(scope.objects.slice(base.objects.length), mix.symbolsOf)
  }

  /** Whether an object in a process was not yet found in order with these suppliers. */
  isNew(subject: PackedRegular, symbols: ElfSymbols, suppliers: Int32Array): boolean {
    const before = this.settled.get(subject)?.get(symbols)
    return before === undefined || before.some((id, at) => id !== suppliers[at])
  }

  settle(subject: PackedRegular, symbols: ElfSymbols, suppliers: Int32Array): void {
    remember(this.settled, subject, () => new Map()).set(symbols, suppliers)
  }

  /** For one object in `subject`'s process. A host library that stands for one of the container's may bind as either of the two did. */
  expectedOf(subject: PackedRegular, file: PackedRegular | null, object: LoadedObject): Expected {
    const known = this.packedBindings(subject).get(file ? file.path : nameOf(object))
    if (file) {
      // What this process did not load at home, a library of the host's brings along here.
      const packed = (known ?? this.aloneBindings(file)).for(file.elf?.symbols ?? NO_SYMBOLS)
      return {
        packed,
        providers: at => {
          const provider = packed[at]
          if (provider === undefined) return null
          return known === undefined ? [provider, ...this.anyones(subject, file.elf?.symbols.imports[at])] : [provider]
        },
      }
    }
    const symbols = this.looked.hostSymbols(object.realPath)
    const packed = known?.for(symbols)
    return {
      packed,
      providers: at => {
        const wanted = symbols.imports[at] as ImportedSymbol
        const there = this.bareBindings(object).for(symbols)[at]
        const here = packed?.[at]
        if (there === undefined) {
          const { weak, file } = wanted
          // The host is half upgraded: what stands for one of the container's must do as well as that did.
          const owed = here ?? (packed === undefined || weak ? undefined : file)
          return owed === undefined ? null : [owed]
        }
        return [there, ...(here === undefined ? [] : [here]), ...this.anyones(subject, wanted)]
      },
    }
  }

  /**
   * The program in whose scope a module is judged; null for what is a program itself. Nobody says which one loads it: the first in
   * whose process all its symbols were found at home, else that in which most were.
   */
  loaderOf(subject: PackedRegular): PackedRegular | null {
    if (subject.elf?.interpreter) return null
    let best = this.loadedBy.get(subject)
    if (best !== undefined) return best
    best = this.programs[0] ?? null
    let fewest = Number.POSITIVE_INFINITY
    // A single one needs no comparison.
    for (const program of this.programs.length > 1 ? this.programs : []) {
      const missed = this.missedAtHome(program, subject)
      if (missed < fewest) best = program
      fewest = Math.min(fewest, missed)
      if (missed === 0) break
    }
    this.loadedBy.set(subject, best)
    return best
  }

  /** How many symbols of a module and what it brings are found nowhere in this program's process. */
  private missedAtHome(program: PackedRegular, module: PackedRegular): number {
    const { scope, added } = inScopeOf(homeGraph(this.contents, program), homeGraph(this.contents, module))
    const doubtful = added.filter(at => {
      const file = this.contents.follow((scope.objects[at] as LoadedObject).realPath)
      return file === null || this.missesAlone(file)
    })
    return countMissed(this.bindPacked(scope, doubtful), doubtful)
  }

  /** Whether it must find something in others than its own libraries; what it finds there it finds in any process. */
  missesAlone(file: PackedRegular): boolean {
    const { symbols, names } = this.aloneBindings(file)
    return symbols.imports.some(({ weak }, at) => !weak && names[at] === undefined)
  }

  /**
   * What supplied this name in a process at home, whoever asked for it: a program's own definitions and a library that replaces malloc
   * come before the C library's, at home as here.
   */
  private anyones(subject: PackedRegular, wanted: ImportedSymbol | undefined): readonly string[] {
    const process = remember(this.homes, subject, () => this.homeProcess(subject))
    const object = wanted === undefined ? undefined : process.objects[process.supplier(wanted)]
    return object === undefined ? [] : [nameOf(object)]
  }

  private homeProcess(subject: PackedRegular): Process {
    const symbolsOf = (object: LoadedObject) => this.contents.symbolsOf(object.realPath)
    const own = homeGraph(this.contents, subject)
    const program = this.loaderOf(subject)
    const graph = program === null ? own : inScopeOf(homeGraph(this.contents, program), own).scope
    return new Process(graph, symbolsOf, this.looked.facts.symbolIndex)
  }

  /** By path and by name of each object in the home scope of this program or module; a module's lies behind its program's. */
  private packedBindings(subject: PackedRegular): Chain {
    return remember(this.packed, subject, () => {
      const own = homeGraph(this.contents, subject)
      const program = this.loaderOf(subject)
      if (program === null) return this.chainOf(own, [...own.objects.keys()], null)
      const { scope, added } = inScopeOf(homeGraph(this.contents, program), own)
      return this.chainOf(scope, added, this.packedBindings(program))
    })
  }

  /** Objects are bound when they are first asked for, a program's together: of what a module brings most is judged with another. */
  private chainOf(graph: Graph, added: readonly number[], behind: Chain | null): Chain {
    const places = new Map<string, number>()
    for (const at of added) {
      const object = graph.objects[at] as LoadedObject
      places.set(object.realPath, at).set(nameOf(object), at)
    }
    const known = new Map<number, Bindings>()
    return {
      get: name => {
        const at = places.get(name)
        if (at === undefined) return behind?.get(name)
        if (!known.has(at)) this.bindInto(known, graph, behind === null ? added : [at])
        return known.get(at)
      },
    }
  }

  private bindInto(known: Map<number, Bindings>, graph: Graph, wanted: readonly number[]): void {
    const providersOf = this.bindPacked(graph, wanted)
    for (const at of wanted) {
      const symbols = this.contents.symbolsOf((graph.objects[at] as LoadedObject).realPath)
      known.set(at, new Bindings(symbols, toNames(graph, providersOf[at] ?? new Int32Array())))
    }
  }

  private bindPacked(graph: Graph, added: readonly number[]): SymbolBindings {
    const symbolsOf = (object: LoadedObject) => this.contents.symbolsOf(object.realPath)
    return bindSymbols(graph, symbolsOf, undefined, new Set(added), this.looked.facts.symbolIndex)
  }

  /** As if nothing but what it needs were there: so a library's references are found when it is linked. */
  private aloneBindings(file: PackedRegular): Bindings {
    return remember(this.alone, file, () => {
      const graph = homeGraph(this.contents, file)
      const [providers = new Int32Array()] = this.bindPacked(graph, [0])
      return new Bindings(file.elf?.symbols ?? NO_SYMBOLS, toNames(graph, providers))
    })
  }

  private bareBindings(object: LoadedObject): Bindings {
    return remember(this.bare, object.realPath, () => {
      const { host, context, facts } = this.looked
      const graph = resolveGraph(host.fs, object.realPath, context, facts)
      const symbolsOf = ({ realPath }: LoadedObject) => this.looked.hostSymbols(realPath)
      const providers = bindSymbols(graph, symbolsOf, undefined, new Set([0]), facts.symbolIndex)[0]
      return new Bindings(this.looked.hostSymbols(object.realPath), toNames(graph, providers ?? new Int32Array()))
    })
  }
}

function countMissed(bindings: SymbolBindings, judged: readonly number[]): number {
  return judged.reduce((missed, at) => missed + (bindings[at]?.filter(provider => provider < 0).length ?? 0), 0)
}

function toNames({ objects }: Graph, providers: Int32Array): readonly (string | undefined)[] {
  const names = objects.map(nameOf)
  return Array.from(providers, at => names[at])
}
