import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { AppcError } from '../errors.js'
import { hasCode } from './writing.js'

/** Never waits: opening a FIFO for reading blocks until somebody writes. Never follows: the store's own files are no links. */
export const OPEN_OWN = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW

/**
 * The bytes of one of the store's own files. STORE_CORRUPT, with this hint, for what is no regular file or has more than
 * `maxSize` bytes; errors of the system calls are left as they are.
 */
export function readRegular(path: string, maxSize: number, hint: string): Buffer {
  const fd = openRegular(path, hint)
  try {
    const stat = fstatSync(fd)
    if (stat.size > maxSize) throw damaged(path, `it has ${stat.size} bytes, and at most ${maxSize} are believed`, hint)
    const bytes = Buffer.alloc(stat.size)
    let filled = 0
    for (let got = 1; got > 0 && filled < bytes.length; filled += got)
      got = readSync(fd, bytes, filled, bytes.length - filled, filled)
    return bytes.subarray(0, filled)
  } finally {
    closeSync(fd)
  }
}

/** Opens it, to be closed by the caller. STORE_CORRUPT, with this hint, for what is no regular file. */
export function openRegular(path: string, hint: string, access = constants.O_RDONLY): number {
  const fd = open(path, hint, access)
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  throw damaged(path, NOT_REGULAR, hint)
}

function open(path: string, hint: string, access: number): number {
  try {
    return openSync(path, OPEN_OWN | access)
  } catch (error) {
    // open(2): a link with O_NOFOLLOW; a socket, or a device that is not there; a directory that is to be written.
    if (hasCode(error, 'ELOOP', 'ENXIO', 'EISDIR')) throw damaged(path, NOT_REGULAR, hint, error)
    throw error
  }
}

const NOT_REGULAR = 'it is not a regular file'

function damaged(path: string, because: string, hint: string, cause?: unknown): AppcError {
  return new AppcError('STORE_CORRUPT', `the store's ${path} is damaged`, { because, hint, cause })
}
