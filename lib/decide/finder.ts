import { isPassedOver } from '../loader/candidate.js'
import type { FactsCache } from '../loader/facts-cache.js'
import { base, join, parent } from '../loader/file-system.js'
import { searchNames } from '../loader/names.js'
import { remember } from '../loader/remember.js'
import type { Loader } from '../loader/types.js'
import { fileIdentity, hostDirectory, hostPath, leadsTo, nameChain } from './host-paths.js'
import type { Host } from './types.js'

/** Where on the host libraries are found by name, by the host's own loader and by the container's in its place. */
export class Finder {
  /** Directories in which libraries are looked for by name, canonical, in the order of the search. */
  readonly directories: readonly string[]
  private readonly known = new Map<string, readonly string[]>()
  private readonly strays = new Map<string, Set<string>>()
  /** By directory: the names of each file in it. */
  private readonly files = new Map<string, Map<string, readonly string[]>>()

  constructor(
    private readonly host: Host,
    private readonly loaders: readonly Loader[],
    private readonly facts: FactsCache,
  ) {
    const searched = loaders.flatMap(loader => loader.systemDirectories)
    this.directories = [...new Set(searched.map(path => hostDirectory(host.fs, path)))]
  }

  /**
   * The names that must become names of a private library, so that no way leads to the host's any more: for each place where
   * a loader would find the soname, the file at the end of the links, and the links and hard links beside it. A link elsewhere
   * leads to one of these by name, and so to what is laid over it.
   */
  reachable(soname: string): readonly string[] {
    const known = this.known.get(soname)
    if (known) return known
    const paths = [
      ...this.loaders.flatMap(loader => this.usable(loader, soname)),
      // The interpreter is asked for by its path (PT_INTERP), and by name besides.
      ...this.loaders.map(({ path }) => path).filter(path => base(path) === soname),
    ]
    const found = [...new Set(paths.flatMap(path => this.namesOf(path)))]
    this.known.set(soname, found)
    return found
  }

  /** The same for where a program comes to the host's past that search: its own RUNPATH leads to another directory. */
  straysOf(soname: string): readonly string[] {
    return [...(this.strays.get(soname) ?? [])]
  }

  /** False where that was known. */
  addStray(soname: string, path: string): boolean {
    const known = remember(this.strays, soname, () => new Set<string>())
    const before = known.size
    for (const name of this.namesOf(path)) known.add(name)
    return known.size > before
  }

  /** Of the file that a path leads to, in its directory. */
  private namesOf(path: string): readonly string[] {
    const known = nameChain(this.host.fs, path)
    // Links that lead in circles have no end: what is laid over the first of them is found.
    const chain = known.length > 0 ? known : [hostPath(this.host.fs, path)]
    const end = chain.at(-1) as string
    return [...chain, ...this.hardLinks(end)].filter(name => parent(name) === parent(end))
  }

  /** All names of a file in its directory; none but its own where it has one only. */
  private hardLinks(path: string): readonly string[] {
    const { fs } = this.host
    const stat = fs.lstat(path)
    if (stat?.kind !== 'file' || stat.links === 1) return []
    const directory = parent(path)
    let names = this.files.get(directory)
    if (names === undefined) {
      names = new Map()
      for (const name of fs.readdir(directory) ?? []) {
        const stat = fs.lstat(join(directory, name))
        if (stat?.kind !== 'file') continue
        const key = fileIdentity(stat)
        names.set(key, [...(names.get(key) ?? []), join(directory, name)])
      }
      this.files.set(directory, names)
    }
    return names.get(fileIdentity(stat)) ?? []
  }

  /** Files of another class or machine are passed over by the loader: an i386 twin stays what it is. */
  private usable(loader: Loader, soname: string): readonly string[] {
    const { fs, context } = this.host
    return searchNames(fs, loader, context, soname).filter(path => {
      const real = leadsTo(fs, path)
      const stat = real === null ? null : fs.lstat(real)
      // What is no ELF file at all, no file, or a link in a circle is not passed over: the loader stops there.
      if (real === null || stat?.kind !== 'file') return true
      return !isPassedOver(this.facts.inspect(fs, real, stat), stat.size, loader)
    })
  }
}
