import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { AppcError } from '../errors.js'
import type { Store } from './store.js'

/** Runs system calls that change the store; their failure (no space, no permission, read-only …) is STORE_UNWRITABLE. */
export function writing<T>(home: string, fn: () => T): T {
  try {
    return fn()
  } catch (error) {
    // System calls fail with an errno, Node's and the addon's alike; anything else is not the store's disk.
    if (error instanceof AppcError || !(error instanceof Error && 'errno' in error && 'code' in error)) throw error
    const own = 'hint' in error ? String(error.hint) : undefined
    throw new AppcError('STORE_UNWRITABLE', `the store at ${home} cannot be written`, {
      because: error.message,
      hint: own ?? HINTS[String(error.code)] ?? 'see that the directory is yours and that its file system is sound',
      cause: error,
    })
  }
}

const HINTS: Readonly<Record<string, string>> = {
  EACCES: 'choose a directory of yours with APPC_HOME, or run as its owner',
  EPERM: 'choose a directory of yours with APPC_HOME, or run as its owner',
  EROFS: 'choose a directory that is not read-only with APPC_HOME',
  ENOSPC: 'free some space, or choose another directory with APPC_HOME',
  EDQUOT: 'free some space, or choose another directory with APPC_HOME',
}

/**
 * Replaces a file below the store's home as a whole: after a crash there is the old one or the new one. To be called under a
 * lock of the store.
 */
export function writeDurably(store: Store, path: string, content: string | Uint8Array, mode: number): void {
  writing(store.home, () => {
    const aside = join(store.home, 'tmp', `file-${crypto.randomUUID()}`)
    const unnamed = openUnnamed(dirname(aside), mode)
    const fd = unnamed ?? openSync(aside, 'wx', mode)
    try {
      // Once more by fchmod, since open's mode is cut by the umask.
      fchmodSync(fd, mode)
      writeFileSync(fd, content)
      fsyncSync(fd)
      if (unnamed === null || !linkedAt(store, fd, path, aside)) renameSync(aside, path)
    } finally {
      closeSync(fd)
      rmSync(aside, { force: true })
    }
    syncDirectory(dirname(path))
  })
}

/**
 * A file that goes with whoever dies before it has a name: open(2), O_TMPFILE, which Node does not know. null on a file system that has
 * no such files.
 */
function openUnnamed(directory: string, mode: number): number | null {
  const flags = constants.O_RDWR | constants.O_DIRECTORY | 0o20000000
  try {
    return openSync(directory, flags, mode)
  } catch (error) {
    if (hasCode(error, 'ENOTSUP', 'EISDIR')) return null
    throw error
  }
}

/** Gives the file its name; where that is taken, which no link(2) replaces, it becomes `aside`, and false. */
function linkedAt(store: Store, fd: number, path: string, aside: string): boolean {
  try {
    store.system.linkOpen(fd, path)
    return true
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    store.system.linkOpen(fd, aside)
    return false
  }
}

/**
 * Replaces a file that only saves time as a whole, where that can be done: on a read-only or full disk the next run will do the
 * work again, as this one did. Not synced: losing it loses nothing. Written to by its owner alone, whatever the umask: it is
 * believed.
 */
export function replaceIfPossible(path: string, content: string | Uint8Array): void {
  const aside = `${path}.${process.pid}`
  try {
    makeDirectory(dirname(path), 0o755)
    removeLeftBehind(path)
    // Left by a process that was killed and had the same number.
    rmSync(aside, { force: true })
    writeFileSync(aside, content, { mode: 0o644, flag: 'wx' })
    renameSync(aside, path)
  } catch {
    removeIfPossible(aside)
  }
}

/** What processes that were killed began. One that lives in another PID namespace, if it loses its own so, does without it. */
function removeLeftBehind(path: string): void {
  const begun = `${basename(path)}.`
  for (const name of readdirSync(dirname(path))) {
    const pid = name.startsWith(begun) ? name.slice(begun.length) : ''
    if (/^[0-9]+$/.test(pid) && !existsSync(`/proc/${pid}`)) removeIfPossible(join(dirname(path), name))
  }
}

/**
 * Makes a directory and those above it; true where it was not there before. Node's own recursive mkdir comes to no end where a
 * directory that is there takes no others, which in /proc is ENOENT.
 */
export function makeDirectory(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode })
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST') && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return false
    if (!hasCode(error, 'ENOENT') || existsSync(dirname(path))) throw error
    makeDirectory(dirname(path), mode)
    return makeDirectory(path, mode)
  }
}

function removeIfPossible(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It never came to be.
  }
}

export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
