import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { AppcError } from '../errors.js'

/** Replaces a file that the caller named, wherever it is, as a whole. Throws OUTPUT_UNWRITABLE. */
export function replaceFile(path: string, content: string | Uint8Array, mode: number): void {
  // Not after its own name, which may be as long as a name can be.
  const aside = join(dirname(path), `.appc-${crypto.randomUUID()}`)
  try {
    requireReplaceable(path)
    writeAside(aside, content, mode)
    renameSync(aside, path)
  } catch (error) {
    removeAside(aside)
    throw error instanceof AppcError ? error : unwritable(path, error)
  }
}

/** A directory or device is not to become a file, and opening a pipe waits for a reader, who may never come. */
function requireReplaceable(path: string): void {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there === undefined || there.isFile()) return
  const kind = there.isDirectory() ? 'a directory' : 'no regular file'
  throw new AppcError('OUTPUT_UNWRITABLE', `${path} cannot be written`, {
    because: `it is ${kind}`,
    hint: 'name a file; - is standard output, from which it goes into pipes and devices',
  })
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
