import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { type Canonicalizer, canonicalizer } from '../host/canonical.js'
import { type PackageDatabase, readPackageDatabase } from '../host/dpkg.js'
import type { Package } from '../host/packages.js'
import { FactsCache } from '../loader/facts-cache.js'
import { join, parent, resolvePath } from '../loader/file-system.js'
import type { FileStat, FileSystem, OpenFile } from '../loader/types.js'
import { unreadable } from '../loader/unreadable.js'

/** As many links as the kernel follows (path_resolution(7)). */
const MAX_LINKS = 40

/** A symlink's chain: the links themselves, canonical, and where it ends; null when it leads nowhere. */
export interface Chain {
  readonly links: readonly string[]
  readonly end: { readonly path: string; readonly stat: FileStat } | null
}

/** The tree that is packed, with what was already learnt of it. */
export class Tree {
  readonly fs: FileSystem
  readonly canonical: Canonicalizer
  /** null where the tree has no package database. */
  readonly database: PackageDatabase | null
  readonly cache = new FactsCache()

  constructor(fs: FileSystem) {
    this.fs = fs
    this.canonical = canonicalizer(fs)
    this.database = readPackageDatabase(fs)
  }

  /** Follows the links of a path's last component; links of directories are resolved away on the way. */
  chain(path: string): Chain {
    const links: string[] = []
    let at = this.canonical.path(path)
    for (;;) {
      const stat = this.fs.lstat(at)
      if (stat === null) return { links, end: null }
      if (stat.kind !== 'symlink') return { links, end: { path: at, stat } }
      links.push(at)
      const next = this.#target(at)
      if (next === null || links.length > MAX_LINKS) return { links, end: null }
      at = next
    }
  }

  /** What a link's text names, canonical, without following it any further. */
  #target(link: string): string | null {
    const text = this.fs.readlink(link)
    const absolute = text.startsWith('/') ? text : `${parent(link)}/${text}`
    const name = absolute.slice(absolute.lastIndexOf('/') + 1)
    if (name === '' || name === '.' || name === '..') return resolvePath(this.fs, absolute).path
    // By the file system and not by the text: `..` after a linked directory is that directory's own parent.
    const directory = resolvePath(this.fs, absolute.slice(0, -name.length)).path
    return directory === null ? null : join(directory, name)
  }

  /** The package that ships a canonical path; null when none does or there is no database. */
  owner(path: string): Package | null {
    return this.database?.ownersOf(path)[0] ?? null
  }

  /** The facts of a regular file that the loader could use; null for anything else, damaged ELF files included. */
  facts(path: string, stat: FileStat): ElfFacts | null {
    return reading(path, () => this.cache.inspect(this.fs, path, stat)).facts
  }

  /** As `facts`, but says why there are none. Throws ELF_NOT, ELF_MALFORMED. */
  requireFacts(path: string, stat: FileStat): ElfFacts {
    const { facts, code, because } = reading(path, () => this.cache.inspect(this.fs, path, stat))
    if (facts !== null) return facts
    const what = code === 'ELF_MALFORMED' ? 'is a damaged ELF file' : 'is not an ELF file'
    throw new AppcError(code ?? 'ELF_NOT', `${path} ${what}`, { because })
  }

  /** Opens a regular file; failures of the tree's disk are told from those of the store's. */
  open(path: string): OpenFile {
    const file = reading(path, () => this.fs.open(path))
    return {
      size: file.size,
      read: (buffer, position) => reading(path, () => file.read(buffer, position)),
      close: () => file.close(),
    }
  }
}

function reading<T>(path: string, fn: () => T): T {
  try {
    return fn()
  } catch (error) {
    if (error instanceof AppcError || !(error instanceof Error && 'code' in error)) throw error
    throw unreadable(path, error)
  }
}
