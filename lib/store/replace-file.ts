import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { AppcError } from '../errors.js'

/** Replaces a file that the caller named, wherever it is, as a whole. Throws OUTPUT_UNWRITABLE. */
export function replaceFile(path: string, content: string | Uint8Array, mode: number): void {
  const aside = `${path}.${crypto.randomUUID()}`
  try {
    const there = statSync(path, { throwIfNoEntry: false })
    // A device or a pipe is not replaced, but written to.
    if (there !== undefined && !there.isFile() && !there.isDirectory()) {
      writeFileSync(path, content)
      return
    }
    const fd = openSync(aside, 'wx', 0o600)
    try {
      writeFileSync(fd, content)
      fchmodSync(fd, mode)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(aside, path)
  } catch (error) {
    rmSync(aside, { force: true })
    throw new AppcError('OUTPUT_UNWRITABLE', `${path} cannot be written`, {
      because: error instanceof Error ? error.message : String(error),
      hint: 'name a file in a directory that you may write to and that has room',
      cause: error,
    })
  }
}
