import { AppcError } from '../errors.js'
import { base, parent, systemError } from './file-system.js'
import type { FileStat, FileSystem } from './types.js'

/** What lies at a path of a made-up tree: a file by its bytes alone, or one of the following. */
export type MemoryNode = Uint8Array | MemoryFile | MemoryLink | MemorySymlink | MemoryDirectory

export interface MemoryFile {
  readonly bytes: Uint8Array
  /** Permission bits, with those of setuid and setgid; [0o644]. */
  readonly mode?: number
}

/** A second name of the same file: one inode, which loaders take for one object. */
export interface MemoryLink {
  readonly sameAs: string
}

export interface MemorySymlink {
  readonly target: string
}

/** Only for one that is empty or that not everybody may look into: what has files in it is there by itself. */
export type MemoryDirectory = 'directory' | { readonly directoryMode: number }

/** A made-up tree, by absolute path without symlinks; parents come into being by themselves. */
export type MemoryTree = Readonly<Record<string, MemoryNode>>

interface Inode {
  readonly node: MemoryFile | MemorySymlink | { readonly directoryMode: number }
  readonly ino: bigint
}

let lastDevice = 0xffff_0000n

/**
 * A made-up tree as a file system. All in it is root's, and it is looked at as a user who is nobody in particular: what others may
 * not read (or, of a directory, search) gives EACCES. Every tree has a device number of its own, so that no two files are taken
 * for one.
 */
export function memoryFileSystem(tree: MemoryTree): FileSystem {
  const inodes = inodesOf(tree)
  const names = new Map<string, string[]>()
  for (const path of inodes.keys()) {
    if (path === '/') continue
    const siblings = names.get(parent(path))
    if (siblings === undefined) names.set(parent(path), [base(path)])
    else siblings.push(base(path))
  }
  const dev = ++lastDevice
  /** undefined where there is nothing; EACCES behind a directory that may not be searched. */
  const find = (path: string): Inode | undefined => {
    for (let up = path; up !== '/'; ) {
      up = parent(up)
      const inode = inodes.get(up)
      if (inode !== undefined && 'directoryMode' in inode.node && !mayExecute(inode.node.directoryMode))
        throw systemError('EACCES', path)
    }
    return inodes.get(path)
  }
  const existing = (path: string): Inode['node'] => {
    const inode = find(path)
    if (inode !== undefined) return inode.node
    const above = inodes.get(parent(path))
    throw systemError(above === undefined || 'directoryMode' in above.node ? 'ENOENT' : 'ENOTDIR', path)
  }
  return {
    lstat(path) {
      const inode = find(path)
      if (inode === undefined) return null
      return { dev, ino: inode.ino, uid: 0, gid: 0, mtimeNs: 0n, ctimeNs: 0n, ...shape(inode.node) }
    },
    readlink(path) {
      const node = existing(path)
      if (!('target' in node)) throw systemError('EINVAL', path)
      return node.target
    },
    readdir(path) {
      const node = find(path)?.node
      if (node === undefined || !('directoryMode' in node)) return null
      if (!mayRead(node.directoryMode)) throw systemError('EACCES', path)
      return names.get(path) ?? []
    },
    hostPath: () => null,
    open(path) {
      const node = existing(path)
      if ('target' in node) throw systemError('ELOOP', path)
      if (!mayRead('bytes' in node ? modeOf(node) : node.directoryMode)) throw systemError('EACCES', path)
      if ('directoryMode' in node) throw systemError('EISDIR', path)
      const { bytes } = node
      return {
        size: bytes.length,
        read(buffer, position) {
          const part = bytes.subarray(position, position + buffer.length)
          buffer.set(part)
          return part.length
        },
        close() {},
      }
    },
  }
}

function inodesOf(tree: MemoryTree): ReadonlyMap<string, Inode> {
  const inodes = new Map<string, Inode>()
  const add = (path: string, node: Inode['node']) => inodes.set(path, { node, ino: BigInt(inodes.size + 1) })
  const entries = Object.entries(tree)
  for (const [path, node] of entries) {
    if (!/^(?:\/(?!\.{1,2}(?:\/|$))[^/]+)+$|^\/$/.test(path))
      throw invalid(`'${path}' is no absolute path, or not the shortest`)
    if (node instanceof Uint8Array) add(path, { bytes: node })
    else if (node === 'directory') add(path, { directoryMode: 0o755 })
    else if (!('sameAs' in node)) add(path, node)
  }
  for (const [path, node] of entries) {
    if (!(typeof node === 'object' && 'sameAs' in node)) continue
    const file = inodes.get(node.sameAs)
    if (file === undefined || !('bytes' in file.node))
      throw invalid(`${path} is a name of ${node.sameAs}, which is no file`)
    inodes.set(path, file)
  }
  for (const path of [...inodes.keys(), '/']) {
    for (let up = path; up !== '/'; ) {
      up = parent(up)
      const above = inodes.get(up)
      if (above === undefined) add(up, { directoryMode: 0o755 })
      else if (!('directoryMode' in above.node)) throw invalid(`${path} lies below ${up}, which is no directory`)
    }
  }
  if (!inodes.has('/')) add('/', { directoryMode: 0o755 })
  return inodes
}

function invalid(message: string): AppcError {
  return new AppcError('FIXTURE_INVALID', message)
}

function modeOf({ mode = 0o644 }: MemoryFile): number {
  return mode
}

/** The bits for others. */
function mayRead(mode: number): boolean {
  return (mode & 0o4) !== 0
}

function mayExecute(mode: number): boolean {
  return (mode & 0o1) !== 0
}

function shape(node: Inode['node']): Pick<FileStat, 'kind' | 'size' | 'mode'> {
  if ('directoryMode' in node) return { kind: 'directory', size: 4096, mode: 0o40000 | node.directoryMode }
  if ('target' in node) return { kind: 'symlink', size: Buffer.byteLength(node.target), mode: 0o120777 }
  return { kind: 'file', size: node.bytes.length, mode: 0o100000 | modeOf(node) }
}

/** A symbolic link. */
export function symlink(target: string): MemoryNode {
  return { target }
}

/** Another name of the file at a path of the tree. */
export function hardLink(path: string): MemoryNode {
  return { sameAs: path }
}

/** A file with permission bits of its own: 0o600 is one that cannot be read. */
export function file(bytes: Uint8Array, mode: number): MemoryNode {
  return { bytes, mode }
}

/** A directory: an empty one, or one that with 0o700 cannot be looked into. */
export function directory(mode = 0o755): MemoryNode {
  return { directoryMode: mode }
}
