import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { OPEN_OWN, readRegular } from './regular.js'
import type { Store } from './store.js'
import { hasCode } from './writing.js'

const DIGEST = /^[0-9a-f]{64}$/

export function isDigest(text: string): boolean {
  return DIGEST.test(text)
}

/** Where the object with these bytes and this kind of mode (0555 or 0444) is or would be. */
export function objectPath(store: Pick<Store, 'home'>, digest: string, executable: boolean): string {
  return join(store.home, 'objects', digest.slice(0, 2), digest.slice(2) + (executable ? '.x' : ''))
}

/** An object's bytes, verified. STORE_CORRUPT, with the hint of what mends it, when it is absent or its bytes are not what its name says. */
export function readObject(
  store: Store,
  digest: string,
  executable: boolean,
  maxSize: number,
  hint = PACK_AGAIN,
): Buffer {
  const path = objectPath(store, digest, executable)
  let bytes: Buffer
  try {
    bytes = readRegular(path, maxSize, hint)
  } catch (error) {
    if (error instanceof AppcError) throw error
    throw corrupt(path, hasCode(error, 'ENOENT') ? 'it is not there' : String(error), hint, error)
  }
  if (createHash('sha256').update(bytes).digest('hex') !== digest)
    throw corrupt(path, 'its bytes do not have the digest that it is named by', hint)
  return bytes
}

/** Mode in the store: never writable, so that a program that finds the file through a view cannot spoil it for others. */
export function objectMode(executable: boolean): number {
  return executable ? 0o555 : 0o444
}

/** Whether a file is a regular file with these bytes. An unreadable one (EIO) is as bad as a wrong one. */
export function isSound(path: string, digest: string, size: number, mode: number): boolean {
  let fd: number
  try {
    fd = openSync(path, OPEN_OWN)
  } catch {
    return false
  }
  try {
    const stat = fstatSync(fd)
    // The size first: after a power cut a file is often just empty.
    if (!stat.isFile() || stat.size !== size || (stat.mode & 0o7777) !== mode) return false
    return hashDescriptor(fd) === digest
  } catch (error) {
    if (hasCode(error, 'EIO')) return false
    throw error
  } finally {
    closeSync(fd)
  }
}

/** The sha256 of a regular file's bytes, or the code of what failed: EINVAL where it is none. */
export function hashPath(path: string): { readonly digest: string } | { readonly errorCode: string } {
  let fd: number | null = null
  try {
    fd = openSync(path, OPEN_OWN)
    return fstatSync(fd).isFile() ? { digest: hashDescriptor(fd) } : { errorCode: 'EINVAL' }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    return { errorCode: String(error.code) }
  } finally {
    if (fd !== null) closeSync(fd)
  }
}

/** The sha256 of what an open file holds. */
export function hashDescriptor(fd: number): string {
  const hash = createHash('sha256')
  eachPiece(
    (buffer, position) => readSync(fd, buffer, 0, buffer.length, position),
    piece => hash.update(piece),
  )
  return hash.digest('hex')
}

/** Large enough that the calls cost nothing beside the hash. */
const PIECE = 1 << 18
let space: Buffer | null = null

/**
 * Reads a file to its end, and has each piece used before the next is read; returns the size. All files share one buffer: memory
 * that is new to the process takes longer than reading most files, so `use` must not read another.
 */
export function eachPiece(read: (buffer: Buffer, position: number) => number, use: (piece: Buffer) => void): number {
  space ??= Buffer.allocUnsafeSlow(PIECE)
  for (let size = 0; ; ) {
    const got = read(space, size)
    if (got === 0) return size
    use(space.subarray(0, got))
    size += got
  }
}

const PACK_AGAIN = 'pack the container again from its source: what is damaged is replaced'

function corrupt(path: string, because: string, hint: string, cause?: unknown): AppcError {
  return new AppcError('STORE_CORRUPT', `the store's object ${path} is damaged`, {
    because,
    hint,
    cause,
  })
}
