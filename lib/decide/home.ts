import type { Manifest, PackedElf, PackedFile, PackedRegular } from '../container/types.js'
import type { ElfSymbols } from '../elf/types.js'
import { remember } from '../loader/remember.js'
import type { Edge, Graph, LoadedObject } from '../loader/types.js'

/** The container's files by path, with the questions that deciding asks of them. Links are walked inside the manifest. */
export class Contents {
  readonly manifest: Manifest
  readonly byPath: ReadonlyMap<string, PackedFile>
  /** Libraries that the loader reaches by name, by soname (or file name where there is no soname). */
  readonly libraries: ReadonlyMap<string, PackedRegular>
  /** The same for what is needed and is found by its path or by a RUNPATH alone. */
  readonly beside: ReadonlyMap<string, PackedRegular>
  /** By a name that is asked for: the soname of what it led to at home, where that is another. */
  private readonly asked: ReadonlyMap<string, string>
  private readonly linksTo: ReadonlyMap<string, readonly string[]>
  private readonly entryPaths: ReadonlySet<string>
  private readonly sources: ReadonlyMap<string, string>
  private readonly shipped: ReadonlyMap<string, readonly string[]>
  /** What homeGraph found out before. */
  readonly homeGraphs = new Map<PackedRegular, Graph>()

  constructor(
    manifest: Manifest,
    /** Paths of files that lie on the host already and are not to be laid over it. */
    readonly inPlace: ReadonlySet<string> = new Set(),
  ) {
    this.manifest = manifest
    this.byPath = new Map(manifest.files.map(file => [file.path, file]))
    this.sources = new Map(manifest.packages.map(({ name, source }) => [name, source ?? name]))
    const libraries = new Map<string, PackedRegular>()
    const linksTo = new Map<string, string[]>()
    for (const file of manifest.files) {
      if (file.type === 'file' && file.elf?.role === 'library') libraries.set(libraryName(file.path, file.elf), file)
      if (file.type === 'symlink') {
        const end = this.follow(file.path)
        if (end) linksTo.set(end.path, [...(linksTo.get(end.path) ?? []), file.path])
      }
    }
    this.libraries = libraries
    const shipped = new Map<string, string[]>()
    for (const [soname, file] of libraries)
      if (file.package !== null) remember(shipped, file.package, () => []).push(soname)
    this.shipped = shipped
    const beside = new Map<string, PackedRegular>()
    const asked = new Map<string, string>()
    for (const [name, path] of manifest.files.flatMap(resolvedIn)) {
      const file = this.follow(path)
      if (!file?.elf) continue
      const soname = libraryName(file.path, file.elf)
      if (!libraries.has(soname) && file.path < (beside.get(soname)?.path ?? '~')) beside.set(soname, file)
      if (name !== soname && (libraries.get(soname) ?? beside.get(soname)) === file) asked.set(name, soname)
    }
    this.beside = beside
    this.asked = asked
    this.linksTo = linksTo
    this.entryPaths = new Set([...manifest.entries.flatMap(entry => this.chain(entry.path)), ...inPlace])
  }

  /** An entry, a link or file on the way to one, or a program in its place. */
  isEntry(path: string): boolean {
    return this.entryPaths.has(path)
  }

  /** The path, every link that it leads through, and the file at the end. */
  private chain(path: string): readonly string[] {
    const paths = [path]
    for (let file = this.byPath.get(path); file?.type === 'symlink' && paths.length <= 40; ) {
      const next = absolute(file.target, file.path)
      paths.push(next)
      file = this.byPath.get(next)
    }
    return paths
  }

  /** The regular file at the end of the symlinks; null when they lead out of the container. */
  follow(path: string): PackedRegular | null {
    const file = this.byPath.get(path)
    // Packing has recorded the end of each link: its text may lead through linked directories, which are not packed.
    const end = file?.type === 'symlink' && file.end !== undefined ? this.byPath.get(file.end) : file
    return end?.type === 'file' ? end : null
  }

  /** The soname of what a name led to at home; the name itself where it is one, or led nowhere. */
  called(name: string): string {
    return this.libraries.has(name) || this.beside.has(name) ? name : (this.asked.get(name) ?? name)
  }

  holds(name: string): boolean {
    return this.libraries.has(this.called(name)) || this.beside.has(this.called(name))
  }

  /** Names besides its soname by which a library is asked for. */
  askedAs(soname: string): readonly string[] {
    return [...this.asked].flatMap(([name, led]) => (led === soname && !name.includes('/') ? [name] : []))
  }

  /** Every symlink of the container that ends at this file. */
  namesOf(file: PackedRegular): readonly string[] {
    return this.linksTo.get(file.path) ?? []
  }

  /** The dynamic ELF programs that the entries lead to; for a script, its interpreter if that was packed. */
  programs(): readonly PackedRegular[] {
    const paths = [...this.manifest.entries.map(entry => entry.path), ...this.inPlace]
    return [...new Set(paths.map(path => this.follow(path)))].filter(
      (file): file is PackedRegular => file?.elf?.dynamic === true,
    )
  }

  /** Sonames of the libraries that a package ships. */
  sonamesOf(name: string): readonly string[] {
    return this.shipped.get(name) ?? []
  }

  /** What a file's package was built from; null for what no package ships. */
  sourceOf(file: PackedFile | undefined): string | null {
    return (file?.package && this.sources.get(file.package)) || null
  }

  /** Libraries that a recorded run loaded, by soname. */
  recorded(): readonly (readonly [string, string])[] {
    return [...this.libraries].flatMap(([soname, file]) =>
      file.recorded === true ? [[soname, file.path] as const] : [],
    )
  }

  symbolsOf(path: string): ElfSymbols {
    const file = this.byPath.get(path)
    return (file?.type === 'file' ? file.elf?.symbols : undefined) ?? { imports: [], exports: [] }
  }

  /** The ELF files of these packages that run or are loaded by others than the loader's search: programs and modules. */
  consumers(isPrivate: (file: PackedFile) => boolean): readonly PackedRegular[] {
    return this.manifest.files.filter(
      (file): file is PackedRegular =>
        file.type === 'file' &&
        file.elf !== undefined &&
        file.elf.dynamic &&
        file.elf.role !== 'library' &&
        isPrivate(file),
    )
  }
}

function resolvedIn(file: PackedFile): readonly (readonly [string, string])[] {
  return Object.entries((file.type === 'file' && file.elf?.resolved) || {})
}

/** The name that the loader asks for: the soname, or the file's own name where it has none. */
export function libraryName(path: string, elf: { readonly soname: string | null }): string {
  return elf.soname ?? path.slice(path.lastIndexOf('/') + 1)
}

/**
 * What this program or module loads at home, in the tree it was packed from. The search was done when it was packed; here its
 * results are only put in load order (breadth first, each object once), so that symbols can be bound as they were there.
 */
export function homeGraph(contents: Contents, root: PackedRegular): Graph {
  return remember(contents.homeGraphs, root, () => makeHomeGraph(contents, root))
}

function makeHomeGraph(contents: Contents, root: PackedRegular): Graph {
  const objects: LoadedObject[] = []
  const edges: Edge[] = []
  const index = new Map<string, number>()
  const load = (file: PackedRegular & { elf: PackedElf }): number => {
    const known = index.get(file.path)
    if (known !== undefined) return known
    const name = libraryName(file.path, file.elf)
    objects.push({ path: file.path, realPath: file.path, names: [name], facts: file.elf })
    index.set(file.path, objects.length - 1)
    return objects.length - 1
  }
  if (root.elf) load({ ...root, elf: root.elf })
  let at = 0
  const loadNeeded = () => {
    for (; at < objects.length; at++) {
      for (const [name, path] of inNeededOrder(elfAt(contents, objects[at]?.path))) {
        const file = contents.follow(path)
        const to = file?.elf ? load({ ...file, elf: file.elf }) : -1
        edges.push({ from: at, name, to, how: to < 0 ? 'not-found' : 'path', tried: [], watched: [] })
      }
    }
  }
  loadNeeded()
  // The loader is part of every scope: symbols such as __tls_get_addr are found there even where nobody names it.
  const interpreter = root.elf?.interpreter ? contents.follow(loaderPath(contents)) : null
  if (interpreter?.elf) load({ ...interpreter, elf: interpreter.elf })
  // What is opened by dlopen comes behind all that the program was started with.
  for (let opener = 0; opener < objects.length; opener++) {
    const noted = Object.values(elfAt(contents, objects[opener]?.path)?.dlopened ?? {})
    const recorded = opener === 0 && interpreter !== null ? contents.recorded().map(([, path]) => path) : []
    for (const path of [...noted, ...recorded]) {
      const file = contents.follow(path)
      if (file?.elf) load({ ...file, elf: file.elf })
      loadNeeded()
    }
  }
  return { objects, edges, loader: contents.manifest.source.loader, problems: [], watched: [] }
}

/** DT_NEEDED's order is the order of loading, and so of symbol search; names whose tokens were expanded come last. */
function inNeededOrder(elf: PackedElf | undefined): readonly (readonly [string, string])[] {
  const rank = new Map(elf?.needed.map((name, at) => [name, at]))
  const rankOf = (name: string) => rank.get(name) ?? rank.size
  return Object.entries(elf?.resolved ?? {}).sort(([a], [b]) => rankOf(a) - rankOf(b))
}

function loaderPath(contents: Contents): string {
  return contents.manifest.source.loader?.realPath ?? ''
}

function elfAt(contents: Contents, path: string | undefined): PackedElf | undefined {
  const file = path === undefined ? undefined : contents.byPath.get(path)
  return file?.type === 'file' ? file.elf : undefined
}

/** A symlink's target as an absolute, normalised path. '..' does not leave the root. */
export function absolute(target: string, link: string): string {
  const parts = target.startsWith('/') ? [] : link.split('/').slice(0, -1)
  for (const part of target.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.filter(part => part !== '').join('/')}`
}
