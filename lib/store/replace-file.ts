import {
  accessSync,
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import { asUnwritable, unwritable } from './unwritable.js'
import { hasCode } from './writing.js'

/**
 * Replaces a file that the caller named, wherever it is, as a whole; a link to one stays, and a device or a pipe is written to. Throws
 * OUTPUT_UNWRITABLE.
 */
export function replaceFile(path: string, content: string | Uint8Array, mode: number): void {
  replaceBy(path, mode, fd => writeFileSync(fd, content))
}

/** As replaceFile, with what `write` puts into this descriptor; it may throw anything, and then the old file stays. */
export function replaceBy(path: string, mode: number, write: (fd: number) => void): void {
  try {
    const found = find(path)
    if (found === null) makeNew(path, mode, write)
    else holding(found, () => replaceFound(path, found, mode, write))
  } catch (error) {
    throw asUnwritable(path, error)
  }
}

/** O_PATH, which Node does not know: finds a file without opening it, and so neither waits nor needs a right to it: open(2). */
const O_PATH = 0o10000000

/**
 * null: there is none. The kernel alone looks it up, once: of links that others made in a directory like /tmp it knows which to follow
 * (fs.protected_symlinks: proc(5)), and nobody can exchange them between two looks.
 */
function find(path: string): number | null {
  try {
    return openSync(path, O_PATH)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null
    if (hasCode(error, 'EACCES') && isLink(path))
      throw unwritable(path, {
        because: 'a link that another user made leads there, or a directory on the way is closed',
        hint: 'name the file itself',
      })
    throw error
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink()
  } catch {
    // Not to be told: then the first error says why.
    return false
  }
}

function makeNew(path: string, mode: number, write: (fd: number) => void): void {
  if (path === '' || path.endsWith('/')) throw asDirectory(path)
  const directory = openDirectory(dirname(path))
  holding(directory, () => replaceIn(directory, basename(path), mode, write))
}

function replaceFound(path: string, found: number, mode: number, write: (fd: number) => void): void {
  const stat = fstatSync(found, { bigint: true })
  if (stat.isDirectory()) throw asDirectory(path)
  if (stat.isFile()) replaceNamed(path, found, stat, mode, write)
  else writeInto(path, stat, write)
}

function replaceNamed(path: string, found: number, stat: BigIntStats, mode: number, write: (fd: number) => void): void {
  const real = readlinkSync(`/proc/self/fd/${found}`)
  const directory = openDirectory(dirname(real))
  holding(directory, () => {
    // The name leads there by other links, perhaps: only of this directory it is known that the file is in it.
    requireSame(path, stat, lstatSync(inside(directory, basename(real)), { bigint: true, throwIfNoEntry: false }))
    replaceIn(directory, basename(real), mode, write)
  })
}

function requireSame(path: string, one: BigIntStats, other: BigIntStats | undefined): void {
  if (one.dev === other?.dev && one.ino === other.ino) return
  throw unwritable(path, {
    because: 'it became another file meanwhile',
    hint: 'name a file in a directory that nobody else may write to',
  })
}

function asDirectory(path: string): Error {
  return unwritable(path, { because: 'it is a directory', hint: 'name a file in it, or - for standard output' })
}

/**
 * Opening a pipe waits for a reader, who may never come, or fails at once: fifo(7). Writing to one that is full is to wait. O_CREAT,
 * though it is there: only so the kernel refuses pipes and files that others laid into a directory like /tmp (fs.protected_fifos).
 */
function writeInto(path: string, found: BigIntStats, write: (fd: number) => void): void {
  const wait = found.isFIFO() ? constants.O_NONBLOCK : 0
  const fd = openLaidOut(path, constants.O_WRONLY | constants.O_CREAT | wait)
  holding(fd, () => {
    requireSame(path, found, fstatSync(fd, { bigint: true }))
    if (found.isFIFO()) writeWaiting(fd, write)
    else write(fd)
  })
}

function writeWaiting(probe: number, write: (fd: number) => void): void {
  const fd = openSync(`/proc/self/fd/${probe}`, constants.O_WRONLY)
  holding(fd, () => write(fd))
}

function openLaidOut(path: string, flags: number): number {
  try {
    return openSync(path, flags, 0o600)
  } catch (error) {
    if (!hasCode(error, 'EACCES')) throw error
    throw unwritable(path, {
      because: mayWrite(path)
        ? 'another user made it, in a directory that everybody may write to, where it is not trusted'
        : 'you may not write to it',
      hint: 'name a file in a directory of yours, or a pipe that you made',
    })
  }
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function replaceIn(directory: number, name: string, mode: number, write: (fd: number) => void): void {
  // Not after its own name, which may be as long as a name can be.
  const aside = inside(directory, `.appc-${crypto.randomUUID()}`)
  try {
    const fd = openSync(aside, 'wx', 0o600)
    holding(fd, () => {
      write(fd)
      fchmodSync(fd, mode)
      fsyncSync(fd)
    })
    renameSync(aside, inside(directory, name))
  } catch (error) {
    removeAside(aside)
    throw error
  }
}

/** What it cannot remove it could not make: why that was is what the caller is to hear. */
function removeAside(aside: string): void {
  try {
    rmSync(aside, { force: true })
  } catch {}
}

function openDirectory(path: string): number {
  return openSync(path, O_PATH | constants.O_DIRECTORY)
}

/** Whatever becomes of the directory's own name. */
function inside(directory: number, name: string): string {
  return `/proc/self/fd/${directory}/${name}`
}

function holding(fd: number, fn: () => void): void {
  try {
    fn()
  } finally {
    closeSync(fd)
  }
}
