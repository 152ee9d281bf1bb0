import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { AppcError } from '../errors.js'

/** A new directory of the caller's alone among the temporary files. Throws OUTPUT_UNWRITABLE. */
export function makeTemporary(prefix: string): string {
  return inTemporary(() => mkdtempSync(join(resolve(tmpdir()), prefix)))
}

/** What fails among the temporary files, in words. */
export function inTemporary<T>(write: () => T): T {
  try {
    return write()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : null
    if (code === null) throw error
    throw new AppcError('OUTPUT_UNWRITABLE', `no temporary file can be made in ${tmpdir()}`, {
      because: MEANINGS[code] ?? `the system says ${code}`,
      hint: 'choose a directory that you may write to with TMPDIR',
      cause: error,
    })
  }
}

const MEANINGS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  ENOTDIR: 'it is no directory',
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  EROFS: 'its file system is read-only',
  ENOSPC: 'there is no room in it',
  EDQUOT: 'there is no room in it',
}
