import { createHash } from 'node:crypto'
import { readSymbols } from '../elf/symbols.js'
import type { ElfSymbols } from '../elf/types.js'
import type { FileSystem } from './types.js'

/*
 * What is asked of a file's bytes besides its facts. A file system that has no bytes may know the answers nevertheless.
 */

/** The dynamic symbols of a file. Throws as readSymbols does, and the system's error where it cannot be opened. */
export function symbolsAt(fs: FileSystem, path: string): ElfSymbols {
  if (fs.symbols !== undefined) return fs.symbols(path)
  const file = fs.open(path)
  try {
    return readSymbols(file)
  } finally {
    file.close()
  }
}

export function sha256At(fs: FileSystem, path: string): string {
  if (fs.sha256 !== undefined) return fs.sha256(path)
  const file = fs.open(path)
  try {
    const hash = createHash('sha256')
    const buffer = Buffer.alloc(1 << 16)
    for (let at = 0, got = 1; got > 0; at += got) {
      got = file.read(buffer, at)
      hash.update(buffer.subarray(0, got))
    }
    return hash.digest('hex')
  } finally {
    file.close()
  }
}
