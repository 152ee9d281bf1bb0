import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppcError } from '../errors.js'

const ELSEWHERE = 'name a file in a directory that you may write to'
const DENIED = { because: 'permission is denied in its directory', hint: ELSEWHERE }
const NO_ROOM = { because: 'there is no room for it', hint: 'make room, or name a file on another disk' }

interface Meaning {
  readonly because: string
  readonly hint: string
}

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENXIO: { because: 'nobody reads from it', hint: 'start the reader first, or name a file' },
  EPIPE: { because: 'its reader has gone', hint: 'see why the reader ended, or name a file' },
  ENOTDIR: { because: 'something on the way to it is no directory', hint: 'name a file in a directory that there is' },
  ENAMETOOLONG: { because: 'its name is too long', hint: 'choose a shorter one' },
  ELOOP: { because: 'links lead in a circle', hint: 'name a file that no such link leads to' },
  EROFS: { because: 'its file system is read-only', hint: ELSEWHERE },
  EACCES: DENIED,
  EPERM: DENIED,
  ENOSPC: NO_ROOM,
  EDQUOT: NO_ROOM,
}

/** In words of its own: those of the system call name the file beside it, which nobody knows. What no system call said stays as it is. */
export function asUnwritable(path: string, error: unknown): unknown {
  if (error instanceof AppcError || !(error instanceof Error && 'errno' in error && 'code' in error)) return error
  const code = String(error.code)
  const meaning = code === 'ENOENT' ? nowhere(path) : MEANINGS[code]
  return unwritable(path, meaning ?? { because: `the system says ${code}`, hint: ELSEWHERE }, error)
}

/** The kernel's own directories (/proc) are there, and no file can be made in them. */
function nowhere(path: string): Meaning {
  if (existsSync(dirname(path))) return { because: 'its directory takes no files', hint: ELSEWHERE }
  return {
    because: 'its directory does not exist',
    hint: 'make the directory first, or name a file in one that there is',
  }
}

export function unwritable(path: string, meaning: Meaning, cause?: unknown): AppcError {
  return new AppcError('OUTPUT_UNWRITABLE', `${path} cannot be written`, { ...meaning, cause })
}
