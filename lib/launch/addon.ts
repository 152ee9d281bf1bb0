import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { AppcError } from '../errors.js'

/**
 * The system calls that Node lacks (native/addon). A wrong type is a TypeError. What the kernel refuses is an Error
 * with `code` (`EACCES`), `errno`, `step`, and where there are such `path` and `hint`.
 */
export interface Addon {
  /**
   * Replaces this process. The program finds default signal dispositions, an empty signal mask, and of the descriptors only
   * those to be kept, 0 to 2 among them; standard streams block. Comes back only by throwing.
   */
  execve(path: string, argv: readonly Bytes[], env: readonly Bytes[], keep: readonly number[]): never
  /**
   * Runs a program to its end inside `root` ('' for this one) and `directory` there, and keeps what it prints. It gets this
   * environment and nothing else of this process; /dev/null is its input. Killed (`limit`) after so many milliseconds, or when it
   * prints more than 4 MiB. Rejects where the kernel refuses to start it.
   */
  capture(
    root: string,
    directory: string,
    path: string,
    argv: readonly string[],
    env: readonly string[],
    milliseconds: number,
  ): Promise<Captured>
  /** flock(2). False when `wait` is false and somebody holds the lock. Released when the descriptor is closed. */
  flock(fd: number, mode: 'shared' | 'exclusive', wait: boolean): boolean
  /**
   * Waits for the exclusive lock of one byte of a file, which need not be there; the descriptor is open for writing. Released when it is
   * closed: fcntl(2), "Open file description locks".
   */
  lockByte(fd: number, offset: number): void
  /** renameat2(2), RENAME_EXCHANGE: each gets the other's name, in one step. */
  exchange(one: string, other: string): void
  enableVerity(fd: number): boolean
  /** linkat(2): gives a name to a file that has none (O_TMPFILE). */
  linkOpen(fd: number, path: string): void
  /** pipe2(2): the ends to read from and to write to, both close-on-exec. Reading does not block. */
  makePipe(): [read: number, write: number]
  /** What is in a pipe, and closes this end; null, and leaves it as it is, as long as somebody can write to it. */
  drainPipe(fd: number): string | null
  /** syncfs(2): everything written to the file system of this descriptor is on disk when it returns. */
  syncfs(fd: number): void
  /** mknod(2) of the character device 0/0: what overlayfs takes for "nothing here". */
  makeWhiteout(path: string): void
  /**
   * The host's mount points that can be seen from here, without appc's own: those that a plan's overlays have to
   * carry.
   */
  mountPoints(): string[]
  /**
   * Tries in a child what the launcher would do: null, or the failure, with what it would say. An overlay is of the directory `layer`
   * over `lower`, or without them of two on a file system of its own.
   */
  probe(attempt: Attempt, layer?: string, lower?: string): Refusal | null
  /** The version of Landlock's rules, or a negative errno where there is none. */
  landlockVersion(): number
  /**
   * lstat(2) of each path: STAT_COLUMNS numbers a file, of which the first is 0 or the errno, and the others then 0. See
   * lib/launch/batch.ts.
   */
  lstatMany(paths: readonly Bytes[]): BigUint64Array
  /**
   * Begins to open regular files, links not followed, in a thread, and to read the first `headBytes` of each, or all that it has, to its
   * place in `heads`, one behind the other. Nobody may look at these until takeOpened has come back.
   */
  openAhead(paths: readonly Bytes[], heads: Uint8Array, headBytes: number): Opening
  /**
   * Waits for that, and gives, once, for each a descriptor or a negative errno (EINVAL: it is something else), what fstat(2) tells, as
   * above, and how many bytes were read, or a negative errno. Whoever takes them has them closed.
   */
  takeOpened(opening: Opening): { descriptors: Int32Array; stats: BigUint64Array; counts: Int32Array }
  /**
   * What lies in directories, links not followed: of each how many entries it has, or a negative errno; the names of all, each with a
   * slash behind it; and of each what lstat(2) tells, as above.
   */
  listMany(directories: readonly Bytes[]): { counts: Int32Array; names: string; stats: BigUint64Array }
  /**
   * Opens regular files, links not followed: for each a descriptor or a negative errno (EINVAL: it is something else), and what fstat(2)
   * tells, as above. `fromDisk`: what is read of them comes from the disk where it can, not from memory, and begins to be read. Whoever
   * opens them has them closed.
   */
  openMany(paths: readonly Bytes[], fromDisk: boolean): { descriptors: Int32Array; stats: BigUint64Array }
  /**
   * From each descriptor at its position, to fill buffer from starts[i] up to starts[i + 1]: how many bytes there were, fewer
   * only at the end of the file, or a negative errno.
   */
  readMany(descriptors: Int32Array, positions: Float64Array, starts: Uint32Array, buffer: Uint8Array): Int32Array
  /** Negative ones are passed over. */
  closeMany(descriptors: Int32Array): void
  /** pidfd_open(2). Whoever opens it has it closed. */
  openProcess(pid: number): number
  /** pidfd_send_signal(2), by the signal's number. */
  signalProcess(process: number, signal: number): void
  /** Waits until one of these has ended, at most so long, and gives all that have by then. */
  awaitEnds(processes: readonly number[], milliseconds: number): Promise<readonly number[]>
  /** ioctl_ns(2): the user namespace (its inode) to which a namespace belongs, and who made that; null where it is out of sight. */
  ownerOf(namespace: number): Owner | null
  /**
   * The first file that a program with this root directory would see otherwise than the plan (a file's bytes) has it; null where there
   * is none.
   */
  checkView(plan: Uint8Array, root: number): string | null
  /**
   * Exchanges the overlays of a plan (a file's bytes) for new ones with this source, in namespaces that a process enters for it, in this
   * order; `mounts` is the mount namespace among them.
   */
  renewOverlays(plan: Uint8Array, source: string, namespaces: readonly number[], mounts: number): void
  /**
   * Begins to watch by fanotify(7), which tells root whose doing a change is, or by inotify(7). `changed` is called as long as there is
   * something to take; until closeWatch the process goes on.
   */
  openWatch(method: WatchMethod, changed: () => void): Watch
  /** Of each a number, the same for all names of a file, or a negative errno. Links are not followed. */
  watchMany(watch: Watch, paths: readonly Bytes[], areDirectories: boolean): Int32Array
  /** What has changed since; `lost`: there was more than the kernel kept. */
  takeChanges(watch: Watch): { readonly changes: readonly Change[]; readonly lost: boolean }
  closeWatch(watch: Watch): void
  /** To a socket of AF_UNIX; a name that begins with @ is an abstract one. */
  sendDatagram(name: string, text: string): void
  /** With the seed 0. */
  xxHash32(bytes: Uint8Array): number
  /** The x86-64 level 1..4 as glibc's loader finds it; 0 on other processors. */
  cpuLevel(): number
  /** An x86 processor of Intel's. */
  cpuIsIntel(): boolean
}

/** In the order of native/addon/probe.cpp. Those from `processes` on are parts of a confinement. */
export type Attempt =
  | 'userNamespace'
  | 'mountNamespace'
  | 'overlay'
  | 'binds'
  | 'exchange'
  | 'processes'
  | 'otherNamespaces'
  | 'seccomp'
  | 'landlock'
  | 'memoryLimit'
  | 'processLimit'
  | 'processorLimit'

export interface Refusal extends Error {
  readonly code: string
  readonly step: string
  readonly hint?: string
}

/** Files that are being opened. Those that nobody takes are closed with it. */
export interface Opening {
  readonly opening: unique symbol
}

export interface Watch {
  readonly watch: unique symbol
}

export type WatchMethod = 'fanotify' | 'inotify'

export interface Change {
  readonly watch: number
  /** Of what lies in a directory; empty for that itself, and for files. */
  readonly name: string
  /** Bits, as below. */
  readonly kinds: number
  /** Whose doing it was; 0 where the kernel does not tell. */
  readonly process: number
}

/** As native/addon/changes.h has them: written to; mode, owner or number of names; names in a directory; moved away, or no more. */
export const [BYTES, ATTRIBUTES, NAMES, PLACE] = [1, 2, 4, 8]

export interface Owner {
  readonly userNamespace: number
  readonly uid: number
}

export interface Captured {
  /** null where a signal ended it. */
  readonly status: number | null
  readonly signal: number | null
  readonly limit: 'time' | 'output' | null
  readonly stdout: Buffer
  readonly stderr: Buffer
}

/** Text, or bytes where they need not be UTF-8, as arguments and variables need not. */
export type Bytes = string | Uint8Array

const path = fileURLToPath(new URL('../../../build/Release/appc.node', import.meta.url))
let loaded: Addon | null = null

/** The addon; loaded at the first call. ADDON_MISSING, with what to do about it. */
export function addon(): Addon {
  loaded ??= load()
  return loaded
}

function load(): Addon {
  try {
    return createRequire(import.meta.url)(path) as Addon
  } catch (cause) {
    throw new AppcError('ADDON_MISSING', `the native part of appc does not load on linux-${process.arch}`, {
      because: cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause),
      hint: [
        'one of these helps:',
        '  - it was never built, as with npm install --ignore-scripts: npm rebuild appc --foreground-scripts',
        '  - the compiler is missing: apt-get install g++ make python3, or your distribution’s like, then as above',
        `  - it was built for another system or Node.js (this is ${process.version}): npm rebuild appc`,
      ].join('\n'),
      cause,
    })
  }
}

/** The arguments as this process got them, before and after `--`: process.argv has lost bytes that are not UTF-8. */
export function rawArguments(): { readonly before: readonly Buffer[]; readonly after: readonly Buffer[] } {
  const all = allArguments()
  const dashes = all.findIndex(argument => argument.length === 2 && argument.toString() === '--')
  return dashes < 0 ? { before: all, after: [] } : { before: all.slice(0, dashes), after: all.slice(dashes + 1) }
}

/** The same, all of them. */
export function allArguments(): readonly Buffer[] {
  return splitAtNul(readFileSync('/proc/self/cmdline'))
}

/** Before the names of variables that the launcher keeps from Node (native/launcher/cold.cpp). */
const CALLER_PREFIX = 'APPC_CALLER_'

/** Begins the launcher's own variable (docs/formats.md, "Planning anew"). */
const REPLANNED = 'APPC_REPLANNED='

/**
 * The environment that the launcher was started with, `NAME=VALUE` each, byte for byte. To its own variable it adds the
 * descriptor of the lock that the launcher is to close.
 */
export function originalEnvironment(lock: number): Uint8Array[] {
  return splitAtNul(readFileSync('/proc/self/environ')).map(variable => {
    if (variable.indexOf(CALLER_PREFIX) === 0) return variable.subarray(CALLER_PREFIX.length)
    return variable.indexOf(REPLANNED) === 0 ? Buffer.concat([variable, Buffer.from(`:${lock}`)]) : variable
  })
}

/** This process's environment, byte for byte, but for some variables; null unsets. */
export function changedEnvironment(
  changes: readonly { readonly name: string; readonly value: string | null }[],
): Uint8Array[] {
  const isChanged = (variable: Buffer) => changes.some(({ name }) => variable.indexOf(`${name}=`) === 0)
  const kept = splitAtNul(readFileSync('/proc/self/environ')).filter(variable => !isChanged(variable))
  return [...kept, ...changes.flatMap(({ name, value }) => (value === null ? [] : [Buffer.from(`${name}=${value}`)]))]
}

/** Gives process.env the launcher's environment: planning asks there for the loader's variables. */
export function restoreEnvironment(): void {
  const hidden = Object.entries(process.env).filter(([name]) => name.startsWith(CALLER_PREFIX))
  // All first: without the prefix, one may have the name that another has with it.
  for (const [name] of hidden) delete process.env[name]
  for (const [name, value] of hidden) process.env[name.slice(CALLER_PREFIX.length)] = value
}

/** Whether the launcher comes back, in one launch, with what it was given before: the first part of APPC_REPLANNED. */
export function isSecondRound(): boolean {
  return Number(replannedPart(0)) > 1
}

/** The descriptors that the launcher's caller gave to the program: the third part of APPC_REPLANNED. */
export function inheritedDescriptors(): number[] {
  return replannedPart(2)
    .split(',')
    .filter(text => /^\d+$/.test(text))
    .map(Number)
}

/** See docs/formats.md, "Planning anew". */
function replannedPart(index: number): string {
  return process.env.APPC_REPLANNED?.split(':')[index] ?? ''
}

/** Each part ends with a NUL. */
function splitAtNul(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0, start)
    parts.push(bytes.subarray(start, end))
    start = end + 1
  }
  return parts
}
