import type { PackedRegular } from '../container/types.js'
import type { ElfSymbols, ImportedSymbol } from '../elf/types.js'
import { bindSymbols } from '../loader/bind.js'
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

type Bindings = ReadonlyMap<string, string>

interface Chain {
  get(name: string): Bindings | undefined
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

  /**
   * For one object in `subject`'s process: the libraries that may supply a symbol, the likeliest first; null when nothing did at
   * home, so that nothing is owed. A host library that stands for one of the container's may bind as either of the two did.
   */
  providersAtHome(
    subject: PackedRegular,
    file: PackedRegular | null,
    object: LoadedObject,
  ): (symbol: ImportedSymbol) => readonly string[] | null {
    const packed = this.packedBindings(subject).get(file ? file.path : nameOf(object))
    const interposers = this.interposers(subject)
    if (file) {
      // What this process did not load at home, a library of the host's brings along here.
      const found = packed ?? this.aloneBindings(file)
      const others = packed === undefined ? interposers : []
      return symbol => {
        const provider = found.get(bindingKey(symbol))
        return provider === undefined ? null : [provider, ...others]
      }
    }
    const bare = this.bareBindings(object)
    return symbol => {
      const key = bindingKey(symbol)
      const there = bare.get(key)
      const here = packed?.get(key)
      if (there === undefined) {
        // The host is half upgraded: what stands for one of the container's must do as well as that did.
        const owed = here ?? (packed === undefined || symbol.weak ? undefined : symbol.file)
        return owed === undefined ? null : [owed]
      }
      return here === undefined || here === there ? [there, ...interposers] : [there, here]
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
    const symbolsOf = (object: LoadedObject) => this.contents.symbolsOf(object.realPath)
    const providers = bindSymbols(graph, symbolsOf, undefined, new Set(added))
    return added.reduce(
      (missed, at) => missed + (providers[at] ?? new Int32Array()).filter(provider => provider < 0).length,
      0,
    )
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
    const symbolsOf = (object: LoadedObject) => this.contents.symbolsOf(object.realPath)
    const providersOf = bindSymbols(scope.graph, symbolsOf, undefined, new Set(scope.added))
    for (const at of scope.added) {
      const object = scope.graph.objects[at]
      const providers = providersOf[at]
      if (!object || !providers) continue
      const found = toNames(scope.graph, symbolsOf(object).imports, providers)
      bindings.set(object.realPath, found).set(nameOf(object), found)
    }
    const behind = program ? this.packedBindings(program) : null
    const chain: Chain = { get: name => bindings.get(name) ?? behind?.get(name) }
    this.packed.set(subject, chain)
    return chain
  }

  /** As if nothing but what it needs were there: so a library's references are found when it is linked. */
  private aloneBindings(file: PackedRegular): Bindings {
    return remember(this.alone, file, () => {
      const graph = homeGraph(this.contents, file)
      return bindingsOfFirst(graph, ({ realPath }) => this.contents.symbolsOf(realPath))
    })
  }

  private bareBindings(object: LoadedObject): Bindings {
    const known = this.bare.get(object.realPath)
    if (known) return known
    const { host, context, facts } = this.looked
    const graph = resolveGraph(host.fs, object.realPath, context, facts)
    const found = bindingsOfFirst(graph, ({ realPath }) => this.looked.hostSymbols(realPath))
    this.bare.set(object.realPath, found)
    return found
  }
}

function bindingsOfFirst(graph: Graph, symbolsOf: (object: LoadedObject) => ElfSymbols): Bindings {
  const [first] = graph.objects
  const providers = bindSymbols(graph, symbolsOf, undefined, new Set([0]))[0]
  return first && providers ? toNames(graph, symbolsOf(first).imports, providers) : new Map()
}

function toNames(graph: Graph, imports: readonly ImportedSymbol[], providers: Int32Array): Bindings {
  const names = new Map<string, string>()
  imports.forEach((symbol, index) => {
    const provider = graph.objects[providers[index] ?? -1]
    if (provider) names.set(bindingKey(symbol), nameOf(provider))
  })
  return names
}
