import type { PackedRegular } from '../container/types.js'
import type { ElfSymbols, ImportedSymbol } from '../elf/types.js'
import { bindSymbols, type Bindings as SymbolBindings } from '../loader/bind.js'
import { base } from '../loader/file-system.js'
import { remember } from '../loader/remember.js'
import { resolveGraph } from '../loader/resolve.js'
import type { Graph, LoadedObject } from '../loader/types.js'
import { type Contents, homeGraph } from './home.js'
import { inScopeOf, type Looked, nameOf } from './mix.js'

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
  private readonly alone = new Map<PackedRegular, Bindings>()

  private readonly loadedBy = new Map<PackedRegular, PackedRegular | null>()
  private readonly contents: Contents
  private readonly programs: readonly PackedRegular[]

  constructor(private readonly looked: Looked) {
    this.contents = looked.contents
    this.programs = looked.contents.programs()
  }

  /** For one object in `subject`'s process. A host library that stands for one of the container's may bind as either of the two did. */
  expectedOf(subject: PackedRegular, file: PackedRegular | null, object: LoadedObject): Expected {
    const known = this.packedBindings(subject).get(file ? file.path : nameOf(object))
    if (file) {
      // What this process did not load at home, a library of the host's brings along here.
      const packed = (known ?? this.aloneBindings(file)).for(file.elf?.symbols ?? NO_SYMBOLS)
      const others = known === undefined ? this.interposers(subject) : []
      return {
        packed,
        providers: at => {
          const provider = packed[at]
          return provider === undefined ? null : [provider, ...others]
        },
      }
    }
    const symbols = this.looked.hostSymbols(object.realPath)
    const packed = known?.for(symbols)
    return {
      packed,
      providers: at => {
        const there = this.bareBindings(object).for(symbols)[at]
        const here = packed?.[at]
        if (there === undefined) {
          const { weak, file } = symbols.imports[at] as ImportedSymbol
          // The host is half upgraded: what stands for one of the container's must do as well as that did.
          const owed = here ?? (packed === undefined || weak ? undefined : file)
          return owed === undefined ? null : [owed]
        }
        return here === undefined || here === there ? [there, ...this.interposers(subject)] : [there, here]
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
    const { graph, added } = inScopeOf(homeGraph(this.contents, program), homeGraph(this.contents, module))
    // What an object finds in its own libraries it finds in any process.
    const doubtful = added.filter(at => this.missesAlone(graph.objects[at] as LoadedObject))
    return countMissed(this.bindPacked(graph, doubtful), doubtful)
  }

  private missesAlone({ realPath }: LoadedObject): boolean {
    const file = this.contents.follow(realPath)
    return file === null || this.aloneBindings(file).names.includes(undefined)
  }

  /** A program's own definitions come before every library's, at home as here (malloc replaced, data copied). */
  private interposers(subject: PackedRegular): readonly string[] {
    return [...this.programs, subject].flatMap(file => [file.elf?.soname ?? base(file.path)])
  }

  /** By path and by name of each object in the home scope of this program or module; a module's lies behind its program's. */
  private packedBindings(subject: PackedRegular): Chain {
    const known = this.packed.get(subject)
    if (known) return known
    const own = homeGraph(this.contents, subject)
    const program = this.loaderOf(subject)
    const scope = program
      ? inScopeOf(homeGraph(this.contents, program), own)
      : { graph: own, added: own.objects.map((_, at) => at) }
    const bindings = new Map<string, Bindings>()
    const providersOf = this.bindPacked(scope.graph, scope.added)
    for (const at of scope.added) {
      const object = scope.graph.objects[at]
      const providers = providersOf[at]
      if (!object || !providers) continue
      const found = new Bindings(this.contents.symbolsOf(object.realPath), toNames(scope.graph, providers))
      bindings.set(object.realPath, found).set(nameOf(object), found)
    }
    const behind = program ? this.packedBindings(program) : null
    const chain: Chain = { get: name => bindings.get(name) ?? behind?.get(name) }
    this.packed.set(subject, chain)
    return chain
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
