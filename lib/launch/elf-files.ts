import { type Dirent, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AppcError } from '../errors.js'
import { asUnreadable } from '../loader/unreadable.js'
import type { Addon } from './addon.js'

const CHUNK = 256
/** Up to e_type. */
const HEAD_BYTES = 18
const MAGIC = 0x7f454c46
const ET_EXEC = 2
const ET_DYN = 3

/**
 * The programs and libraries below a directory of this machine, in the order of their paths: regular files that begin as such.
 * Links are not followed. What cannot be looked into is told to `closed` and passed over.
 */
export function findElfFiles(
  native: Pick<Addon, 'openMany' | 'readMany' | 'closeMany'>,
  directory: string,
  closed: (error: AppcError) => void,
): string[] {
  const files = [...regularFiles(directory, closed)]
  const found: string[] = []
  for (let at = 0; at < files.length; at += CHUNK) {
    const chunk = files.slice(at, at + CHUNK)
    const types = elfTypes(native, chunk)
    found.push(...chunk.filter((_, index) => types[index] === ET_EXEC || types[index] === ET_DYN))
  }
  return found
}

function* regularFiles(directory: string, closed: (error: AppcError) => void): Generator<string> {
  for (const entry of entriesOf(directory, closed)) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) yield* regularFiles(path, closed)
    else if (entry.isFile()) yield path
  }
}

function entriesOf(directory: string, closed: (error: AppcError) => void): Dirent[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true })
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    const known = asUnreadable(error)
    if (known === null) throw error
    closed(known)
    return []
  }
}

/** e_type of each file; 0 for what is no ELF file, or cannot be read. */
function elfTypes(native: Pick<Addon, 'openMany' | 'readMany' | 'closeMany'>, paths: readonly string[]): number[] {
  const { descriptors } = native.openMany(paths)
  try {
    const starts = Uint32Array.from({ length: paths.length + 1 }, (_, index) => index * HEAD_BYTES)
    const heads = Buffer.alloc(paths.length * HEAD_BYTES)
    const counts = native.readMany(descriptors, new Float64Array(paths.length), starts, heads)
    return Array.from(counts, (count, index) => (count < HEAD_BYTES ? 0 : elfType(heads, index * HEAD_BYTES)))
  } finally {
    native.closeMany(descriptors)
  }
}

function elfType(heads: Buffer, at: number): number {
  if (heads.readUInt32BE(at) !== MAGIC) return 0
  return heads[at + 5] === 2 ? heads.readUInt16BE(at + 16) : heads.readUInt16LE(at + 16)
}
