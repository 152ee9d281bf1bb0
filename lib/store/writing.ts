import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { AppcError } from '../errors.js'

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
export function writeDurably(
  store: { readonly home: string },
  path: string,
  content: string | Uint8Array,
  mode: number,
): void {
  writing(store.home, () => {
    const aside = join(store.home, 'tmp', `file-${crypto.randomUUID()}`)
    try {
      const fd = openSync(aside, 'wx', mode)
      try {
        // Once more by fchmod, since open's mode is cut by the umask.
        fchmodSync(fd, mode)
        writeFileSync(fd, content)
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(aside, path)
    } finally {
      rmSync(aside, { force: true })
    }
    syncDirectory(dirname(path))
  })
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
    // Left by a process that was killed and had the same number.
    rmSync(aside, { force: true })
    writeFileSync(aside, content, { mode: 0o644, flag: 'wx' })
    renameSync(aside, path)
  } catch {
    removeIfPossible(aside)
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
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
