import { createHash } from 'node:crypto'
import { chmodSync, closeSync, constants, fchmodSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { openRegular } from './regular.js'
import { joinBytes } from './walk.js'
import { hasCode, makeDirectory, writing } from './writing.js'

/** The system calls that the store needs and Node lacks. */
export interface StoreSystem {
  /** flock(2). False when `wait` is false and somebody holds the lock. Released when the descriptor is closed. */
  flock(fd: number, mode: 'shared' | 'exclusive', wait: boolean): boolean
  /** fcntl(2): the exclusive lock of one byte. Waits for it; released when the descriptor is closed. */
  lockByte(fd: number, offset: number): void
  /** linkat(2): gives a name to a file that has none (O_TMPFILE). */
  linkOpen(fd: number, path: string): void
  /** renameat2(2), RENAME_EXCHANGE: each gets the other's name, in one step. */
  exchange(one: string, other: string): void
  /** FS_IOC_ENABLE_VERITY: from now on the kernel verifies what is read. False where the file system has no such files. */
  enableVerity(fd: number): boolean
  /** syncfs(2): everything written to the file system of this descriptor is on disk when it returns. */
  syncfs(fd: number): void
  /** lstat(2) of each path: nine numbers a file (lib/upkeep/looks.ts), of which the first is 0 or the errno. */
  lstatMany(paths: readonly string[]): BigUint64Array
  /** What lies in directories: how many entries, or a negative errno; all names, each with a slash behind it; rows as above. */
  listMany(directories: readonly string[]): { counts: Int32Array; names: string; stats: BigUint64Array }
  /** Opens regular files, and `fromDisk` has what is read of them come from there; else a negative errno, EINVAL for other kinds. */
  openMany(paths: readonly string[], fromDisk: boolean): { descriptors: Int32Array; stats: BigUint64Array }
  /** Negative ones are passed over. Node's own close() warns of descriptors that a thread did not open by it. */
  closeMany(descriptors: Int32Array): void
  /** XXH32 with the seed 0. */
  xxHash32(bytes: Uint8Array): number
}

/**
 * Content-addressed files of one user (or of root, for all users) on this machine:
 *
 *     objects/AA/REST[.x]   raw bytes by sha256; `.x` where they are executable: an inode has one mode
 *     refs/NAME spare/NAME  its generations, each a document and a manifest, which are objects too; and a second copy of that
 *     secrets/ID[.json]     settings that not everybody may read, and what each is to be; closed to others
 *     state/NAME/           what a container's programs may write; no part of a generation
 *     quarantine/           what was taken out: evidence of damage, and what the collector found unneeded
 *     version               of this layout
 *     plans/ views/         derived, by the planning code: plans/NAME, NAME@…, NAME~…; views/<container's sha256>/…
 *     tmp/                  what is being written; anything found there under the exclusive lock was left by the dead
 *     lock                  flock: shared by writers, exclusive for removal
 *     turn                  flock: passed on the way to `lock`, and held exclusively by who waits to be alone
 *     publishing            flock: exclusive for whoever makes a generation; taken after `lock`
 *     links                 flock: exclusive for whoever links or unlinks objects; taken after these
 *     planning              fcntl: one byte for each plan, for whoever makes it; taken before `lock`
 */
export interface Store {
  readonly home: string
  readonly system: StoreSystem
}

type Environment = Readonly<Record<string, string | undefined>>

const SYSTEM_HOME = '/var/lib/appc'

/** Where the caller's store is: $APPC_HOME, else root's, else the user's by the XDG base directory specification. */
export function storeHome(environment: Environment, uid: number): string {
  if (environment.APPC_HOME) return absolute('APPC_HOME', environment.APPC_HOME)
  if (uid === 0) return SYSTEM_HOME
  // The specification has relative values ignored.
  if (environment.XDG_DATA_HOME?.startsWith('/')) return join(environment.XDG_DATA_HOME, 'appc')
  if (environment.HOME) return join(absolute('HOME', environment.HOME), '.local/share/appc')
  throw new AppcError('STORE_UNWRITABLE', 'there is no place for the store', {
    because: 'neither APPC_HOME nor HOME is set',
    hint: 'set APPC_HOME to a directory of yours',
  })
}

/**
 * Where root's store is, for an ordinary user, who finds its containers too; null where the caller's store stands alone: for root, and
 * where APPC_HOME says which one is meant.
 */
export function systemHome(environment: Environment, uid: number): string | null {
  return environment.APPC_HOME || uid === 0 ? null : SYSTEM_HOME
}

/** The directories that every store has, beside those that are closed to others whoever owns it. */
export const DIRECTORIES = ['objects', 'refs', 'spare', 'plans', 'state', 'tmp'] as const
/** A view may have secrets of other users, who could else change them there, as their owners. */
export const CLOSED = ['secrets', 'quarantine', 'views'] as const
export const LOCKS = ['lock', 'turn', 'publishing', 'links', 'planning'] as const

/** Makes what is missing of the store's frame (lib/store/frame.ts). Root's may be read by users, a user's by nobody else. */
export function createStore(store: Store, uid: number): void {
  writing(store.home, () => {
    const mode = uid === 0 ? 0o755 : 0o700
    for (const name of ['', ...DIRECTORIES]) createDirectory(store, name, mode)
    for (const name of CLOSED) createDirectory(store, name, 0o700)
    for (const name of LOCKS) createLock(join(store.home, name))
  })
}

function createDirectory({ home }: Store, name: string, mode: number): void {
  const directory = join(home, name)
  // Once more by chmod, since mkdir's mode is cut by the umask.
  if (makeDirectory(directory, mode)) chmodSync(directory, mode)
}

/** Readable by all who may enter the store: a shared lock needs no more. */
export function createLock(path: string): void {
  try {
    const lock = openSync(path, 'wx', 0o644)
    fchmodSync(lock, 0o644)
    closeSync(lock)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
}

/**
 * Runs `fn` while this process holds the store's lock. The kernel lets go of it when the process dies. flock(2) lets those who share
 * a lock in as long as there is one, so whoever waits to be alone bars the way meanwhile: but not to one who shares it already, for
 * whom he waits.
 */
export function withLock<T>(store: Store, mode: 'shared' | 'exclusive', fn: () => T): T {
  const held = sharing.get(store.home) ?? 0
  const lock = held > 0 ? takeLock(store, 'lock', mode) : takeInTurn(store, mode)
  if (mode === 'shared') sharing.set(store.home, held + 1)
  try {
    return fn()
  } finally {
    if (mode === 'shared') sharing.set(store.home, held)
    closeSync(lock)
  }
}

/** How many times this process shares the lock of which store. */
const sharing = new Map<string, number>()

function takeInTurn(store: Store, mode: 'shared' | 'exclusive'): number {
  const turn = takeLock(store, 'turn', mode)
  try {
    return takeLock(store, 'lock', mode)
  } finally {
    closeSync(turn)
  }
}

/** Runs `fn`, which makes a generation. Under the shared lock, and before the lock `links` is taken. */
export function withPublishing<T>(store: Store, fn: () => T): T {
  return holding(takeLock(store, 'publishing', 'exclusive'), fn)
}

/** Runs `fn` while nobody makes a generation: for a plan that others would again and again make out of date. Under the shared lock. */
export function whileUnpublished<T>(store: Store, fn: () => T): T {
  return holding(takeLock(store, 'publishing', 'shared'), fn)
}

/**
 * Runs `fn`, which links or unlinks objects. Their change times, by which plans know them, stay as they are for whoever holds the
 * lock `links`: kept short, since launches wait for it.
 */
export function withLinks<T>(store: Store, fn: () => T): T {
  return holding(holdLinks(store), fn)
}

function holding<T>(lock: number, fn: () => T): T {
  try {
    return fn()
  } finally {
    closeSync(lock)
  }
}

/** Takes the lock `links` for a launch, which lets go by closing the descriptor. */
export function holdLinks(store: Store): number {
  return takeLock(store, 'links', 'exclusive')
}

/**
 * Runs `fn`, which makes the plan of this key, while nobody else makes it. All plans share one file, in which each has the byte at a
 * hash of its key: a file for each would stay behind, or be removed while somebody waits for it.
 */
export function withPlanning<T>(store: Store, key: string, fn: () => T): T {
  const offset = createHash('sha256').update(key).digest().readUIntBE(0, 6)
  const lock = openLock(store, 'planning', constants.O_RDWR)
  try {
    writing(store.home, () => store.system.lockByte(lock, offset))
    return fn()
  } finally {
    closeSync(lock)
  }
}

/** Runs `fn` under the exclusive lock if nobody holds any; else does nothing. */
export function ifAlone(store: Store, fn: () => void): void {
  const lock = openLock(store, 'lock')
  try {
    if (writing(store.home, () => store.system.flock(lock, 'exclusive', false))) fn()
  } finally {
    closeSync(lock)
  }
}

/** Removes what killed writers left in tmp/. Only under the exclusive lock: whoever writes there holds the shared one. */
export function clearTemporary(store: Store): void {
  writing(store.home, () => {
    const directory = join(store.home, 'tmp')
    const names = readdirSync(directory, 'buffer')
    if (names.length === 0) return
    withLinks(store, () => {
      for (const name of names) rmSync(joinBytes(Buffer.from(directory), name), { recursive: true, force: true })
    })
  })
}

function takeLock(store: Store, name: LockName, mode: 'shared' | 'exclusive'): number {
  const lock = openLock(store, name)
  try {
    writing(store.home, () => store.system.flock(lock, mode, true))
    return lock
  } catch (error) {
    closeSync(lock)
    throw error
  }
}

type LockName = (typeof LOCKS)[number]

function openLock(store: Store, name: LockName, access = constants.O_RDONLY): number {
  return writing(store.home, () => openRegular(join(store.home, name), 'appc repair', access))
}

function absolute(variable: string, path: string): string {
  if (path.startsWith('/')) return path
  throw new AppcError('USAGE', `${variable} is not an absolute path`, {
    because: `it is ${JSON.stringify(path)}`,
    hint: 'set it to an absolute path',
  })
}
