import { parent, systemError } from './file-system.js'
import type { FileStat, FileSystem } from './types.js'

/** What lies at a path of a made-up tree; parents come into being by themselves. */
export type MemoryNode =
  | { readonly bytes: Uint8Array; readonly mode?: number }
  | { readonly target: string }
  | 'directory'

let lastDevice = 0xffff_0000n

/** A made-up tree, by absolute path. Every tree has a device number of its own, so that no two files are taken for one. */
export function memoryFileSystem(tree: Readonly<Record<string, MemoryNode>>): FileSystem {
  const nodes = new Map<string, MemoryNode>(Object.entries(tree))
  for (const path of [...nodes.keys()]) {
    for (let up = path; up !== '/'; ) {
      up = parent(up)
      if (!nodes.has(up)) nodes.set(up, 'directory')
    }
  }
  nodes.set('/', 'directory')
  const inodes = new Map([...nodes.keys()].map((path, index) => [path, BigInt(index + 1)]))
  const dev = ++lastDevice
  return {
    lstat(path) {
      const node = nodes.get(path)
      if (node === undefined) return null
      return { dev, ino: inodes.get(path) as bigint, uid: 0, gid: 0, mtimeNs: 0n, ctimeNs: 0n, ...shape(node) }
    },
    readlink(path) {
      const node = nodes.get(path)
      if (node === undefined || node === 'directory' || !('target' in node)) throw systemError('EINVAL', path)
      return node.target
    },
    readdir(path) {
      if (nodes.get(path) !== 'directory') return null
      const names = []
      for (const child of nodes.keys()) {
        if (child !== '/' && parent(child) === path) names.push(child.slice(child.lastIndexOf('/') + 1))
      }
      return names
    },
    hostPath: () => null,
    open(path) {
      const node = nodes.get(path)
      if (node === undefined) throw systemError('ENOENT', path)
      if (node === 'directory') throw systemError('EISDIR', path)
      if (!('bytes' in node)) throw systemError('ELOOP', path)
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

function shape(node: MemoryNode): Pick<FileStat, 'kind' | 'size' | 'mode'> {
  if (node === 'directory') return { kind: 'directory', size: 4096, mode: 0o40755 }
  if ('target' in node) return { kind: 'symlink', size: node.target.length, mode: 0o120777 }
  return { kind: 'file', size: node.bytes.length, mode: 0o100000 | (node.mode ?? 0o644) }
}
