import {
  type BigIntStats,
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs'
import { AppcError } from '../errors.js'
import { errorCode, parent, systemError } from './file-system.js'
import { remember } from './remember.js'
import type { FileStat, FileSystem, OpenFile } from './types.js'

const S_IFMT = 0o170000
const KINDS: ReadonlyMap<number, FileStat['kind']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
])

/**
 * The tree at `root` (an absolute path, '/' for this machine itself) as a root. `looked`: what lstat(2) told just now of paths
 * of this machine, for whoever looked at many together.
 */
export function rootFileSystem(root: string, looked: ReadonlyMap<string, FileStat> = new Map()): FileSystem {
  const prefix = root.replace(/\/+$/, '')
  if (lstatOrNull(`${prefix}/`)?.isDirectory() !== true) {
    throw new AppcError('ROOT_INVALID', `${root} is no directory`, {
      hint: 'name the directory that holds usr, etc and so on',
    })
  }
  const host = (path: string) => (path === '/' ? `${prefix}/` : prefix + path)
  const known = new Map([['/', true]])
  /** False behind a link: the kernel would follow an absolute one out of the tree. */
  const isInside = (directory: string): boolean =>
    prefix === '' ||
    remember(known, directory, () => isInside(parent(directory)) && !lstatOrNull(host(directory))?.isSymbolicLink())
  const inside = (path: string): string => {
    if (!isInside(parent(path))) throw systemError('ENOENT', path)
    return host(path)
  }
  return {
    lstat(path) {
      if (!isInside(parent(path))) return null
      const known = looked.get(host(path))
      if (known !== undefined) return known
      const stat = lstatOrNull(host(path))
      if (stat === null) return null
      const mode = Number(stat.mode)
      return {
        kind: kindOf(mode),
        dev: stat.dev,
        ino: stat.ino,
        size: Number(stat.size),
        links: Number(stat.nlink),
        mode,
        uid: Number(stat.uid),
        gid: Number(stat.gid),
        mtimeNs: stat.mtimeNs,
        ctimeNs: stat.ctimeNs,
      }
    },
    readlink: path => readlinkSync(inside(path)),
    readdir(path) {
      try {
        return isInside(path) ? readdirSync(host(path)) : null
      } catch (error) {
        return nullIfAbsent(error)
      }
    },
    entries(path) {
      try {
        return isInside(path) ? readdirSync(host(path), { withFileTypes: true }).map(asEntry) : null
      } catch (error) {
        return nullIfAbsent(error)
      }
    },
    hostPath: host,
    open: path => openHostFile(inside(path)),
  }
}

function asEntry(entry: Dirent): { name: string; kind: FileStat['kind'] } {
  const { name } = entry
  if (entry.isFile()) return { name, kind: 'file' }
  if (entry.isDirectory()) return { name, kind: 'directory' }
  return { name, kind: entry.isSymbolicLink() ? 'symlink' : 'other' }
}

/** The kind of file that an st_mode tells of. */
export function kindOf(mode: number): FileStat['kind'] {
  return KINDS.get(mode & S_IFMT) ?? 'other'
}

function lstatOrNull(path: string): BigIntStats | null {
  try {
    // An exception costs four times the call itself; only ENOENT, the usual case, comes without one.
    return lstatSync(path, { bigint: true, throwIfNoEntry: false }) ?? null
  } catch (error) {
    return nullIfAbsent(error)
  }
}

function nullIfAbsent(error: unknown): null {
  if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return null
  throw error
}

/** Opens a regular file of this machine; anything else (a FIFO would block, a device act) is refused as EINVAL. */
export function openHostFile(path: string): OpenFile {
  // O_NONBLOCK: opening a FIFO must not wait for a writer. O_NOFOLLOW: a link of a tree may lead out of it. Node opens
  // close-on-exec.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  const stat = fstatSync(descriptor)
  if (!stat.isFile()) {
    closeSync(descriptor)
    throw systemError(stat.isDirectory() ? 'EISDIR' : 'EINVAL', path)
  }
  return {
    size: stat.size,
    read: (buffer, position) => readFully(descriptor, buffer, position),
    close: () => closeSync(descriptor),
  }
}

/** Reads up to buffer.length bytes at `position`; returns how many, fewer only at the end of the file. */
export function readFully(descriptor: number, buffer: Uint8Array, position: number): number {
  let done = 0
  while (done < buffer.length) {
    const count = readSync(descriptor, buffer, done, buffer.length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}
