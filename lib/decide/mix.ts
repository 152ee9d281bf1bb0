import type { PackedRegular } from '../container/types.js'
import type { ElfSymbols } from '../elf/types.js'
import type { FactsCache } from '../loader/facts-cache.js'
import { base } from '../loader/file-system.js'
import { type OverlayNode, overlayFileSystem } from '../loader/overlay-file-system.js'
import { remember } from '../loader/remember.js'
import { type ResolveContext, resolveGraph } from '../loader/resolve.js'
import type { SymbolIndex } from '../loader/symbol-index.js'
import type { FileSystem, Graph, LoadedObject } from '../loader/types.js'
import { type OpenPacked, packedFileSystem } from './container-files.js'
import type { Contents } from './home.js'
import { leadsTo } from './host-paths.js'
import type { Host, Placement } from './types.js'

/** What is looked at once, however often the mix changes while the decision grows. */
export class Looked {
  readonly packed: FileSystem
  /** The container's programs are started by this interpreter, and its modules loaded into such programs. */
  readonly context: ResolveContext
  private readonly symbols = new Map<string, ElfSymbols>()
  private readonly outside = new Map<string, ElfSymbols | null>()

  constructor(
    readonly host: Host,
    readonly contents: Contents,
    open: OpenPacked,
    readonly facts: FactsCache,
    interpreter: string | null,
  ) {
    this.packed = packedFileSystem(contents, open)
    this.context = interpreter === null ? host.context : { ...host.context, interpreter }
  }

  /** The dynamic symbols of one of the host's own files. */
  hostSymbols(realPath: string): ElfSymbols {
    return remember(this.symbols, realPath, () => this.facts.symbols(this.host.fs, realPath))
  }

  /** Of what a path leads to on the host; null where that is no ELF file. */
  outsideSymbols(path: string): ElfSymbols | null {
    return remember(this.outside, path, () => {
      const real = leadsTo(this.host.fs, path)
      const stat = real === null ? null : this.host.fs.lstat(real)
      if (real === null || stat?.kind !== 'file') return null
      return this.facts.inspect(this.host.fs, real, stat).facts === null ? null : this.hostSymbols(real)
    })
  }
}

/** The host with the private files laid over it: a file system like any other, which the loader's rules are applied to. */
export class Mix {
  readonly fs: FileSystem

  constructor(
    private readonly looked: Looked,
    private readonly placement: Placement,
  ) {
    const nodes = new Map<string, OverlayNode>()
    for (const [path, node] of placement) {
      nodes.set(path, node.kind === 'file' ? { kind: 'file', from: looked.packed, path: node.file.path } : node)
    }
    this.fs = overlayFileSystem(looked.host.fs, nodes)
  }

  get symbolIndex(): SymbolIndex {
    return this.looked.facts.symbolIndex
  }

  /** What the loader would load for this program or module, by its path on the host. */
  graph(path: string): Graph {
    return resolveGraph(this.fs, path, this.looked.context, this.looked.facts)
  }

  /** Whether the container's file is what lies at this path; it has no place where nothing may be covered. */
  has(file: PackedRegular, path: string): boolean {
    const node = this.placement.get(path)
    return (node?.kind === 'file' && node.file === file) || this.looked.contents.inPlace.has(file.path)
  }

  /** The container's file behind an object; null for the host's. */
  fileOf(object: LoadedObject): PackedRegular | null {
    const node = this.placement.get(object.realPath)
    if (node?.kind === 'file') return node.file
    return this.isInPlace(object) ? this.looked.contents.follow(object.realPath) : null
  }

  isInPlace(object: LoadedObject): boolean {
    return this.looked.contents.inPlace.has(object.realPath)
  }

  /** Of what the host has in an object's place; null where it has nothing there that can be read. */
  outsideSymbolsOf(object: LoadedObject): ElfSymbols | null {
    return this.looked.outsideSymbols(object.realPath)
  }

  symbolsOf = (object: LoadedObject): ElfSymbols => {
    return this.fileOf(object)?.elf?.symbols ?? this.looked.hostSymbols(object.realPath)
  }
}

/**
 * A module's symbols are looked up first in the program that loads it and all that came with it, then in what it brings: one
 * scope, each object once. Judged alone, a quarter of a system's modules would seem broken.
 */
export function inScopeOf(program: Graph, module: Graph): { readonly scope: Graph; readonly added: readonly number[] } {
  const known = remember(realPaths, program, () => new Set(program.objects.map(({ realPath }) => realPath)))
  const behind = module.objects.filter(({ realPath }) => !known.has(realPath))
  const objects = [...program.objects, ...behind]
  const added = behind.map((_, at) => program.objects.length + at)
  return { scope: { ...program, objects }, added }
}

const realPaths = new WeakMap<Graph, ReadonlySet<string>>()

export function nameOf(object: LoadedObject): string {
  return object.facts.soname ?? base(object.realPath)
}
