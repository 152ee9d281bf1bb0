import type { ElfFacts, ElfSymbols } from '../elf/types.js'
import type { Package } from '../host/packages.js'
import type { Loader } from '../loader/types.js'
import type { PolicyRule } from './policy.js'

/**
 * A container: what it consists of and what deciding must know about it, so that a host can decide before it has the bytes.
 * Paths are those of the tree it was packed from with symlinks in the directories resolved (`/usr/lib/…`, never `/lib/…` of
 * a merged tree). The digest of a container is the sha256 of the manifest's bytes; nothing in it depends on time or place.
 */
export interface Manifest {
  readonly schema: 'appc.manifest/1'
  readonly name: string
  readonly source: {
    /** ID, VERSION_ID and PRETTY_NAME of os-release; null where the tree has none. */
    readonly os: { readonly id: string; readonly version: string; readonly name: string } | null
    readonly machine: number
    /** The loader of the entries as read from the tree; null when every entry is static. */
    readonly loader: Loader | null
  }
  /** In the order in which they were asked for: the first is run when none is named. */
  readonly entries: readonly Entry[]
  /** Sorted by name. Empty where the tree has no package database. */
  readonly packages: readonly PackedPackage[]
  /** What the packager fixes; absent where nothing. */
  readonly policy?: readonly PolicyRule[]
  /** What its programs need of the host when they are confined, in the words of `appc-run --allow`; absent where nothing. */
  readonly needs?: readonly string[]
  /** Sorted by path. */
  readonly files: readonly PackedFile[]
}

export interface Entry {
  /** The last part of the path as asked for: what follows the slash in NAME/ENTRY. */
  readonly name: string
  readonly path: string
}

export interface PackedPackage extends Package {
  /** It owns an entry (or an --include): its files are private whatever the host has. */
  readonly own: boolean
}

export type PackedFile = PackedRegular | PackedLink | PackedDirectory

interface PackedBase {
  readonly path: string
  /** The package that ships it; null when none does. */
  readonly package: string | null
}

export interface PackedRegular extends PackedBase {
  readonly type: 'file'
  /** Permission bits only; setuid, setgid and sticky are never kept. */
  readonly mode: number
  readonly size: number
  readonly sha256: string
  /** A recorded run opened or executed it: it must be there, whether or not anything is known to need it. */
  readonly recorded?: true
  readonly elf?: PackedElf
}

export interface PackedLink extends PackedBase {
  readonly type: 'symlink'
  /** The link's text, as it is in the tree. */
  readonly target: string
  /** Where it ends in the tree, canonical; absent when it leads nowhere, or to the root. Unlike the text it needs no links of directories. */
  readonly end?: string
}

export interface PackedDirectory extends PackedBase {
  readonly type: 'directory'
  readonly mode: number
}

export interface PackedElf extends ElfFacts {
  readonly symbols: ElfSymbols
  /**
   * What it is to the container. `library`: the loader reaches it by name in its search directories, so it is decided by
   * soname. `program` and `module` (a plugin, a compiled module) belong to their package.
   */
  readonly role: 'library' | 'program' | 'module'
  /** Where each NEEDED name (tokens expanded) led in the tree it was packed from; a name that led nowhere is absent. */
  readonly resolved: Readonly<Record<string, string>>
  /**
   * The same for what its notes say that it opens by dlopen: of the names in each note that is not `suggested`, the first that led
   * somewhere. Absent when there is none.
   */
  readonly dlopened?: Readonly<Record<string, string>>
}
