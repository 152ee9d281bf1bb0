import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { AppcError } from '../errors.js'

/**
 * Replaces a file that the caller named, wherever it is, as a whole; a link to one stays, and a device or a pipe is written to. Throws
 * OUTPUT_UNWRITABLE.
 */
export function replaceFile(path: string, content: string | Uint8Array, mode: number): void {
  try {
    const there = statSync(path, { throwIfNoEntry: false })
    if (there === undefined) replace(path, content, mode)
    else if (there.isFile()) replace(realpathSync(path), content, mode)
    else if (there.isDirectory()) throw asDirectory(path)
    else writeInto(path, content)
  } catch (error) {
    throw error instanceof AppcError ? error : unwritable(path, error)
  }
}

function asDirectory(path: string): AppcError {
  return new AppcError('OUTPUT_UNWRITABLE', `${path} cannot be written`, {
    because: 'it is a directory',
    hint: 'name a file in it, or - for standard output',
  })
}

/** Opening a pipe waits for a reader, who may never come, or fails at once: fifo(7). Writing to one that is full is to wait. */
function writeInto(path: string, content: string | Uint8Array): void {
  const probe = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  try {
    const fd = openSync(`/proc/self/fd/${probe}`, constants.O_WRONLY)
    try {
      writeFileSync(fd, content)
    } finally {
      closeSync(fd)
    }
  } finally {
    closeSync(probe)
  }
}

function replace(path: string, content: string | Uint8Array, mode: number): void {
  // Not after its own name, which may be as long as a name can be.
  const aside = join(dirname(path), `.appc-${crypto.randomUUID()}`)
  try {
    writeAside(aside, content, mode)
    renameSync(aside, path)
  } catch (error) {
    removeAside(aside)
    throw error
  }
}

function writeAside(aside: string, content: string | Uint8Array, mode: number): void {
  const fd = openSync(aside, 'wx', 0o600)
  try {
    writeFileSync(fd, content)
    fchmodSync(fd, mode)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** What it cannot remove it could not make: why that was is what the caller is to hear. */
function removeAside(aside: string): void {
  try {
    rmSync(aside, { force: true })
  } catch {}
}

const ELSEWHERE = 'name a file in a directory that you may write to'
const DENIED = { because: 'permission is denied in its directory', hint: ELSEWHERE }
const NO_ROOM = { because: 'there is no room for it', hint: 'make room, or name a file on another disk' }

interface Meaning {
  readonly because: string
  readonly hint: string
}

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENXIO: { because: 'nobody reads from it', hint: 'start the reader first, or name a file' },
  ENOTDIR: { because: 'something on the way to it is no directory', hint: 'name a file in a directory that there is' },
  ENAMETOOLONG: { because: 'its name is too long', hint: 'choose a shorter one' },
  EROFS: { because: 'its file system is read-only', hint: ELSEWHERE },
  EACCES: DENIED,
  EPERM: DENIED,
  ENOSPC: NO_ROOM,
  EDQUOT: NO_ROOM,
}

/** In words of its own: those of the system call name the file beside it, which nobody knows. */
function unwritable(path: string, error: unknown): AppcError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  const meaning = code === 'ENOENT' ? nowhere(path) : MEANINGS[code]
  return new AppcError('OUTPUT_UNWRITABLE', `${path} cannot be written`, {
    ...(meaning ?? { because: `the system says ${code}`, hint: ELSEWHERE }),
    cause: error,
  })
}

/** The kernel's own directories (/proc) are there, and no file can be made in them. */
function nowhere(path: string): Meaning {
  if (existsSync(dirname(path))) return { because: 'its directory takes no files', hint: ELSEWHERE }
  return {
    because: 'its directory does not exist',
    hint: 'make the directory first, or name a file in one that there is',
  }
}
