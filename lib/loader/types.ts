import type { ElfFacts, ElfSymbols, OpenFile } from '../elf/types.js'

export type { OpenFile } from '../elf/types.js'

/**
 * A file system as the loader's code sees it: a real root, a tree that stands for a root, an overlay that is only planned,
 * or one that is made up in memory for a test. Paths are absolute and normalised ('/a/b', no '.', '..' or double slash).
 * No method follows a symlink in the last component, and none may be given a path with a symlink before the last
 * component: `resolvePath` of file-system.ts walks links, inside the root, and is what everybody calls.
 */
export interface FileSystem {
  /** null when there is nothing (ENOENT, ENOTDIR); other failures (EACCES, ELOOP, EIO) throw the system's error. */
  lstat(path: string): FileStat | null
  /** The link's text. */
  readlink(path: string): string
  /** Names in a directory, unsorted; null when there is no such directory. */
  readdir(path: string): readonly string[] | null
  /** The same with the kind of each, where it comes without a look at each. */
  entries?(path: string): readonly { readonly name: string; readonly kind: FileStat['kind'] }[] | null
  /** The real path of the file's bytes on this machine, or null for a made-up file. Only for display and hashing. */
  hostPath(path: string): string | null
  /** Opens a regular file for positioned reads. Throws the system's error. */
  open(path: string): OpenFile
  /** What symbolsAt and sha256At (content.ts) tell, where it is known without the bytes. */
  symbols?(path: string): ElfSymbols
  sha256?(path: string): string
}

export interface FileStat {
  readonly kind: 'file' | 'directory' | 'symlink' | 'other'
  readonly dev: bigint
  readonly ino: bigint
  readonly size: number
  /** How many names the file has; absent where nobody knows. */
  readonly links?: number
  /** Permission bits and file type, as st_mode. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

/** How a library was found: the loader's own steps, in the order in which it takes them. A closed list. */
export type How =
  | 'program' // the program itself, or a file that was named on the command line
  | 'interpreter' // PT_INTERP, or a NEEDED entry that names it
  | 'preload' // LD_PRELOAD or /etc/ld.so.preload
  | 'loaded' // already loaded under this name or soname
  | 'path' // the name holds a slash
  | 'rpath'
  | 'ld-library-path'
  | 'runpath'
  | 'cache'
  | 'system-directory'
  | 'not-found'

/** What the loader does in one root, read from its own file. */
export interface Loader {
  readonly kind: 'glibc' | 'musl'
  /** As asked for (PT_INTERP), and where its symlinks end. */
  readonly path: string
  readonly realPath: string
  /** e.g. [2, 36]; musl [1, 2]. */
  readonly version: readonly [number, number]
  /** In order, without a trailing slash. */
  readonly systemDirectories: readonly string[]
  /** What $LIB stands for, e.g. `lib/x86_64-linux-gnu`; and $PLATFORM, e.g. `x86_64`. */
  readonly lib: string
  readonly platform: string
  /** It ends a program over a versioned reference to a library that has lost its versions, where newer ones just bind it. */
  readonly assertsVersions?: true
  readonly class: 32 | 64
  readonly data: 'little' | 'big'
  readonly machine: number
}

/** What decides a search besides the files: the CPU and the environment. */
export interface SearchContext {
  /** x86-64 micro-architecture level 1..4; 0 for another machine. */
  readonly cpuLevel: number
  /** LD_LIBRARY_PATH, split at its colons; empty when unset. */
  readonly libraryPath: readonly string[]
  /** LD_PRELOAD, split. */
  readonly preload: readonly string[]
  /** What relative names and empty path elements refer to; absent: not known, and what rests on it is undecidable. */
  readonly workingDirectory?: string
  /** The program is started with more rights than its caller's (AT_SECURE): setuid, setgid, or with capabilities. */
  readonly secure?: boolean
  /** The CPU is Intel's, which glibc may give a $PLATFORM and sub-directories of its own. */
  readonly intel?: boolean
}

export interface LoadedObject {
  /** The path as the loader opens it, symlinks not resolved: what $ORIGIN is taken from. */
  readonly path: string
  /** Where the symlinks end. */
  readonly realPath: string
  /** Names that it answers to, the soname included. */
  readonly names: readonly string[]
  readonly facts: ElfFacts
}

/** One NEEDED entry (or preload, filter) of one object, and what became of it. */
export interface Edge {
  /** Index into `objects` of who asks; -1 for preloads. */
  readonly from: number
  /** The name as the loader reports it: tokens expanded. */
  readonly name: string
  /** Index into `objects`, or -1 when it was not found. */
  readonly to: number
  readonly how: How
  /** Paths that were tried before, in order: each was absent or passed over. Directories that do not exist count once. */
  readonly tried: readonly string[]
  /** Every symlink that was walked and every name whose absence was relied upon: with `tried`, what a guard must watch. */
  readonly watched: readonly string[]
}

export interface Graph {
  /** In load order: the program, preloads, then breadth-first; the interpreter is at the place where it is first needed, else last. */
  readonly objects: readonly LoadedObject[]
  readonly edges: readonly Edge[]
  /** How many objects behind the program come before it where symbols are looked up: it is a filter for them. Absent: none. */
  readonly filtees?: number
  /** null for a static program or a library that was asked about by itself without an interpreter to be found. */
  readonly loader: Loader | null
  readonly problems: readonly Problem[]
  /** The same as each edge's `watched`, for the program's own path, its interpreter's and the list of preloads. */
  readonly watched: readonly string[]
}

export type Problem =
  | { readonly kind: 'missing-library'; readonly name: string; readonly by: string }
  | { readonly kind: 'missing-version'; readonly file: string; readonly version: string; readonly by: string }
  | { readonly kind: 'unusable'; readonly path: string; readonly by: string; readonly because: string }
  | { readonly kind: 'undecidable'; readonly by: string; readonly because: string }
