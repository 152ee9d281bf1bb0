import { type Dirent, readdirSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { getSystemErrorName } from 'node:util'
import type { AppcError } from '../errors.js'
import { errorCode, systemError } from '../loader/file-system.js'
import { asUndecodable, unreadable } from '../loader/unreadable.js'
import type { Addon } from './addon.js'

const CHUNK = 256
/** Up to e_type. */
const HEAD_BYTES = 18
const MAGIC = 0x7f454c46
const ET_EXEC = 2
const ET_DYN = 3

type Native = Pick<Addon, 'openAhead' | 'takeOpened' | 'closeMany'>
type Tell = (error: AppcError) => void

/**
 * The programs and libraries below a directory of this machine, in the order of their paths: regular files that begin as such.
 * Links are not followed. Directories and files that cannot be looked into are told to `closed` and passed over.
 */
export function findElfFiles(native: Native, directory: string, closed: Tell): string[] {
  const files = [...regularFiles(directory, closed)]
  const found: string[] = []
  for (let at = 0; at < files.length; ) {
    const chunk = files.slice(at, at + CHUNK)
    const types = elfTypes(native, chunk)
    // Where this process may not have so many files open, the others' turn comes when these are closed.
    const open = types.findIndex(type => type === -constants.errno.EMFILE || type === -constants.errno.ENFILE)
    const taken = open > 0 ? chunk.slice(0, open) : chunk
    for (const [index, path] of taken.entries()) {
      const type = types[index] as number
      if (type === ET_EXEC || type === ET_DYN) found.push(path)
      else if (type < 0) tell(path, getSystemErrorName(type), closed)
    }
    at += taken.length
  }
  return found
}

function* regularFiles(directory: string, closed: Tell): Generator<string> {
  for (const entry of entriesOf(directory, closed)) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) yield* regularFiles(path, closed)
    else if (entry.isFile()) yield path
  }
}

function entriesOf(directory: string, closed: Tell): Dirent[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true })
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    tell(directory, errorCode(error), closed)
    return []
  }
}

/** Since its directory was read, it has vanished, or become a link or something else. */
const CHANGED = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL', 'ENXIO']

function tell(path: string, code: string, closed: Tell): void {
  const error = CHANGED.includes(code) ? asUndecodable(path) : unreadable(path, systemError(code, path))
  if (error !== null) closed(error)
}

/** e_type of each file; 0 for what is no ELF file; a negative errno for what cannot be read. */
function elfTypes(native: Native, paths: readonly string[]): number[] {
  const heads = Buffer.alloc(paths.length * HEAD_BYTES)
  const { descriptors, counts } = native.takeOpened(native.openAhead(paths, heads, HEAD_BYTES))
  native.closeMany(descriptors)
  return Array.from(counts, (count, index) => {
    if (count < 0) return count
    return count < HEAD_BYTES ? 0 : elfType(heads, index * HEAD_BYTES)
  })
}

function elfType(heads: Buffer, at: number): number {
  if (heads.readUInt32BE(at) !== MAGIC) return 0
  return heads[at + 5] === 2 ? heads.readUInt16BE(at + 16) : heads.readUInt16LE(at + 16)
}
