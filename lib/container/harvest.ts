import { AppcError } from '../errors.js'
import { satisfiers } from '../host/dpkg.js'
import type { Dependency, Package } from '../host/packages.js'
import { base, join, parent } from '../loader/file-system.js'
import { REPLACEMENT } from '../loader/unreadable.js'
import { excluder, type Leaving } from './excluded.js'
import type { Chain, Tree } from './tree.js'

export interface HarvestOptions extends Leaving {
  readonly withEssential: boolean
}

/**
 * What is taken from a tree so far: files, links and directories by canonical path, and packages. It only grows, and in an
 * order that does not matter: each step is repeated until nothing is added.
 */
export class Harvest {
  readonly tree: Tree
  /** The package of each path; null where none ships it. */
  readonly paths = new Map<string, Package | null>()
  /** Packages that are taken whole; true for those that own an entry or an include. */
  readonly packages = new Map<Package, boolean>()
  /** Files that a recorded run opened. */
  readonly recorded = new Set<string>()
  readonly withEssential: boolean
  readonly #excluded: (path: string) => boolean

  constructor(tree: Tree, options: HarvestOptions) {
    this.tree = tree
    this.withEssential = options.withEssential
    this.#excluded = excluder(options)
  }

  /** A file by one of its names: the links on the way and the file itself, without the packages that they are from. */
  takeFile(path: string, owner?: Package): Chain {
    const chain = this.tree.chain(path)
    // Every host has a root, and nobody ships one.
    for (const taken of [...chain.links, ...(chain.end === null ? [] : [chain.end.path])])
      if (taken !== '/' && !this.paths.has(taken)) this.paths.set(taken, owner ?? this.tree.owner(taken))
    return chain
  }

  /** A file by one of its names, and every package that ships it or one of the links. */
  takeWithPackages(path: string, own: boolean): Chain {
    const chain = this.takeFile(path)
    for (const taken of [...chain.links, ...(chain.end?.stat.kind === 'file' ? [chain.end.path] : [])]) {
      const owner = this.tree.owner(taken)
      if (owner !== null) this.takePackage(owner, own)
    }
    return chain
  }

  /** A file by one of its names, and its packages as if something depended on them: essential ones are left to the host. */
  takeAsDependency(path: string): Chain {
    const chain = this.takeFile(path)
    for (const taken of [...chain.links, ...(chain.end === null ? [] : [chain.end.path])]) {
      const owner = this.paths.get(taken)
      if (owner && (this.withEssential || !owner.essential)) this.takePackage(owner, false)
    }
    return chain
  }

  /** Whether a canonical path is left behind, as documentation is. */
  leaves(path: string): boolean {
    return this.#excluded(path)
  }

  /** Throws FILE_UNREADABLE for a path that leads nowhere because its name has lost bytes. */
  requireNamed(path: string): void {
    const canonical = this.tree.canonical.path(path)
    if (this.#isDecoded(canonical)) throw unnameable(canonical, 'rename it')
  }

  /** A directory and all that is in it, with the packages of its files. */
  takeDirectory(path: string, own: boolean): void {
    for (const name of [...(this.tree.fs.readdir(path) ?? [])].sort()) {
      const inside = join(path, name)
      const kind = this.tree.fs.lstat(inside)?.kind
      if (kind === undefined) throw unnameable(inside, 'rename it, or leave it out by naming the others')
      if (kind === 'file' || kind === 'symlink') this.takeWithPackages(inside, own)
      if (kind !== 'directory') continue
      this.paths.set(inside, this.tree.owner(inside))
      this.takeDirectory(inside, own)
    }
  }

  /** A package, and what it depends on as it is installed in this tree. Recommendations are not followed. */
  takePackage(pkg: Package, own: boolean): void {
    const known = this.packages.get(pkg)
    if (known === true || (known === false && !own)) return
    this.packages.set(pkg, own)
    if (known !== undefined) return
    this.#takeShipped(pkg)
    for (const group of pkg.depends) {
      const provider = this.#installed(group, pkg)
      // Essential packages are what every package may count on without saying so; every Debian has them.
      if (provider !== null && (this.withEssential || !provider.essential)) this.takePackage(provider, false)
    }
  }

  /**
   * The package of an entry's own name, where it depends on exactly this version of a package that owns an entry. Debian splits
   * the bare minimum off an application (python3.13-minimal, perl-base); who asks for python3.13 means the whole of it.
   */
  takeNamesake(name: string): void {
    const { database } = this.tree
    if (database === null) return
    for (const pkg of database.named.get(name) ?? []) {
      const exact = pkg.depends.flat().filter(({ relation }) => relation === '=')
      const owners = exact.flatMap(wanted => satisfiers(wanted, pkg, database))
      if (owners.some(owner => this.packages.get(owner) === true)) this.takePackage(pkg, true)
    }
  }

  /** The package that meets a dependency in this tree; null where nothing does (dpkg was forced). */
  #installed(group: readonly Dependency[], asker: Package): Package | null {
    const { database } = this.tree
    if (database === null) return null
    return group.flatMap(wanted => satisfiers(wanted, asker, database))[0] ?? null
  }

  /** Listed files that are not there are left out: trees are often unpacked without their documentation. */
  #takeShipped(pkg: Package): void {
    for (const path of this.tree.database?.filesOf(pkg) ?? []) {
      if (this.#excluded(path)) continue
      const kind = this.tree.fs.lstat(path)?.kind
      if (kind === 'file' || kind === 'symlink' || kind === 'directory') this.paths.set(path, pkg)
      if (kind === undefined && this.#isDecoded(path))
        throw unnameable(path, `rename it; then ${pkg.name} is packed without it`)
    }
  }

  /** Whether a path that is not there is that of a file that is: lists and names come decoded, and what is not UTF-8 alike. */
  #isDecoded(path: string): boolean {
    return path.includes(REPLACEMENT) && this.tree.fs.readdir(parent(path))?.includes(base(path)) === true
  }
}

function unnameable(path: string, hint: string): AppcError {
  return new AppcError('FILE_UNREADABLE', `${path} cannot be packed`, {
    because: 'its name is not UTF-8, or it vanished',
    hint,
  })
}
