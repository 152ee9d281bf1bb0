import type { PolicyRule } from '../container/policy.js'
import type { PackedRegular } from '../container/types.js'
import type { PackageDatabase } from '../host/dpkg.js'
import type { FactsCache } from '../loader/facts-cache.js'
import type { FileSystem, SearchContext } from '../loader/types.js'

/** A host as deciding sees it. Nothing of it is run; another root, or one made up in a test, serves as well as this machine's. */
export interface Host {
  readonly fs: FileSystem
  /** null where the root has no package database. */
  readonly packages: PackageDatabase | null
  readonly context: SearchContext
  /** What this host fixes; absent where nothing. */
  readonly policy?: readonly PolicyRule[]
  /** The user's half of the kernel's drivers, by soname, each with what tells it. */
  readonly drivers?: (directories: readonly string[]) => ReadonlyMap<string, string>
  /** What is known of the host's files. */
  readonly facts: FactsCache
  /** Puts facts of many files into the cache together, where that is faster than one by one. */
  readonly lookAhead?: (paths: readonly string[]) => void
}

export type Rule = 'presence' | 'versions' | 'symbols' | 'lockstep' | 'neighbours' | 'policy'

/** Why, with the rule that decided and a sentence that a packager understands. */
export interface Reason {
  readonly rule: Rule
  readonly text: string
}

/** Who asks for a library in the mix, and for what. */
export interface Asker {
  /** Its name, and whose it is: `libcurl.so.4 (private)`. */
  readonly by: string
  /** The versions that it asks of it; empty where it asks for none. */
  readonly versions: readonly string[]
}

/** What was chosen for one soname. */
export interface LibraryChoice {
  readonly soname: string
  readonly choice: 'shared' | 'private'
  /** Where the loader finds it on the host: the host's file, or where the private one will lie. */
  readonly path: string
  readonly bytes: number
  /** The container's file; null for a host library that the container does not hold. */
  readonly file: PackedRegular | null
  readonly reasons: readonly Reason[]
  /** Sorted by name; empty for a member of a family that nobody in the mix asks for. */
  readonly askedBy: readonly Asker[]
}

/** What was chosen for the files of a package that are not libraries. */
export interface PackageChoice {
  readonly name: string
  readonly choice: 'shared' | 'private'
  readonly reasons: readonly Reason[]
}

export interface DecisionProblem {
  /** `missing` and `clash` make the container unable to run; `neighbour` is a program of the host's that breaks; `note` is worth knowing. */
  readonly kind: 'missing' | 'clash' | 'neighbour' | 'note'
  readonly text: string
  /** Libraries of which one would have to be there, or be another, to mend it; absent where no library would. */
  readonly sonames?: readonly string[]
}

export interface Decision {
  readonly runnable: boolean
  /** Sorted by soname. */
  readonly libraries: readonly LibraryChoice[]
  readonly packages: readonly PackageChoice[]
  readonly problems: readonly DecisionProblem[]
  readonly placement: Placement
  /**
   * Canonical host paths that the decision rests on, sorted: files used and files replaced, links walked, and names that were
   * looked for and were not there. While each is as it was, present or absent, the decision holds.
   */
  readonly evidence: readonly string[]
  /** Canonical host paths of the container's entries and of all that their programs load before they begin, private or shared. */
  readonly startUp: ReadonlySet<string>
}

/** What is laid over the host: canonical host path → what will be there. */
export type Placement = ReadonlyMap<string, PlacedNode>

export type PlacedNode =
  | { readonly kind: 'file'; readonly file: PackedRegular }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'directory'; readonly mode: number }
  | { readonly kind: 'whiteout' }
