/**
 * A plan: a decision compiled for one container on one host, as the launcher reads it. All paths are absolute paths of the
 * machine (with `--root` they begin with the tree's path, but for targets and programs, which are seen from inside).
 */
export interface Plan {
  /** The container's name; for a plain program its path. What messages and APPC_CONTAINER say. */
  readonly name: string
  /** Everything that was asked for and took part in the decision (a container's name, or a program and its --lib directories): the launcher compares it where it builds it itself. */
  readonly request: readonly string[]
  /** The tree that serves as the host, or null for this machine's own root. */
  readonly root: string | null
  readonly uid: number
  readonly gid: number
  /** utsname.release, e.g. `6.1.0-18-amd64`. */
  readonly kernelRelease: string
  /** x86-64 level 1..4, 0 elsewhere. */
  readonly cpuLevel: number
  /** Values of the variables that the loader obeys, for each of LOADER_VARIABLES that was set. */
  readonly loaderEnvironment: Readonly<Record<string, string>>
  readonly guards: readonly Guard[]
  readonly objects: GuardedObjects
  /** Mounted in order: a directory comes before those below it. */
  readonly overlays: readonly OverlayMount[]
  /** After the overlays: directories and files of the machine that a --root tree sees. */
  readonly binds: readonly BindMount[]
  /** The first is run when none is named. Empty for a plain program: it is run by the path that the user gave. */
  readonly programs: readonly { readonly name: string; readonly path: string }[]
  /** Set for the program, on top of the caller's environment; null unsets. */
  readonly environment: readonly { readonly name: string; readonly value: string | null }[]
  /** What its programs need of the host when they are confined, in the words of `appc-run --allow`. */
  readonly needs: readonly string[]
}

export type Guard = IdentityGuard | AbsentGuard | NamesGuard

export interface IdentityGuard {
  readonly kind: 'identity'
  /** lstat of this path, symlinks not followed, must give exactly these. Directories are compared by dev, ino and times too. */
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
  readonly size: number
  readonly mode: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  /** Path as seen from inside, when it must be compared once more through the mounted view (by ino, size and times); else null. */
  readonly seenAs: string | null
}

export interface AbsentGuard {
  readonly kind: 'absent'
  readonly path: string
  /** The same, where it must be absent there as well; else null. */
  readonly seenAs: string | null
}

export interface NamesGuard {
  readonly kind: 'names'
  /** A directory, links followed. As long as it is this one, and its times are these, the names in it are as they were. */
  readonly path: string
  /** Looked up one by one when that has changed. */
  readonly names: readonly GuardedName[]
  readonly dev: bigint
  readonly ino: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

export interface GuardedName {
  readonly name: string
  /** The text of the link of this name, or null where there is nothing. */
  readonly link: string | null
}

/** The private files, as what they are in the store: the view's are hard links of these, so whatever happens to the one does to the other. */
export interface GuardedObjects {
  /** Of the file system that they all are on; 0 where there are none. */
  readonly dev: bigint
  /** Each once, in the order of their paths. */
  readonly files: readonly GuardedObject[]
}

/** An object with its identity when its bytes were found to be those that it is named by. Its mode is fixed. */
export interface GuardedObject {
  readonly sha256: string
  readonly executable: boolean
  readonly ino: bigint
  readonly size: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

export interface OverlayMount {
  /** Directory as seen from inside (below `root` when there is one). It exists on the host. */
  readonly target: string
  /** Directory of the view that is laid over it. */
  readonly layer: string
  /** Mount points that were below `target` when this was planned, as seen from inside: cloned and put back on top. */
  readonly carried: readonly string[]
}

export interface BindMount {
  /** On the machine. */
  readonly source: string
  /** As seen from inside; must exist there. */
  readonly target: string
}

/** The variables that change what the loader does; a plan holds for their values alone. In this order in the plan's key. */
export const LOADER_VARIABLES = [
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'LD_AUDIT',
  'LD_ORIGIN_PATH',
  'LD_HWCAP_MASK',
  'LD_ASSUME_KERNEL',
  'GLIBC_TUNABLES',
] as const
