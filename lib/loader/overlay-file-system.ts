import { symbolsAt } from './content.js'
import { parent } from './file-system.js'
import type { FileStat, FileSystem } from './types.js'

/** What a planned overlay puts at a path. Directories merge with what lies below; anything else hides it. */
export type OverlayNode =
  | { readonly kind: 'file'; readonly from: FileSystem; readonly path: string }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'directory' }
  | { readonly kind: 'whiteout' }

const LINK_DEVICE = 0xfffe_0000n

/**
 * A file system as it will be once `nodes` (by absolute path, without symlinks before the last component) are laid over
 * `lower`. Parents of added paths appear. A file keeps the device and inode of what backs it, so that one file under two
 * names stays one for the loader.
 */
export function overlayFileSystem(lower: FileSystem, nodes: ReadonlyMap<string, OverlayNode>): FileSystem {
  const upper = withParents(lower, nodes)
  const children = childNames(upper)
  // A directory that takes the place of a file or symlink does not merge with what that led to.
  const opaque = new Set<string>()
  for (const [path, node] of [...upper].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (node.kind === 'directory' && (opaque.has(parent(path)) || lower.lstat(path)?.kind !== 'directory'))
      opaque.add(path)
  }
  const inodes = new Map([...upper.keys()].map((path, index) => [path, BigInt(index + 1)]))

  /** True where nothing above hides what the lower file system has at a path. */
  const shows = (path: string): boolean => {
    for (let up = path; up !== '/'; up = parent(up)) {
      if (up !== path && opaque.has(up)) return false
      const node = upper.get(up)
      if (node !== undefined && node.kind !== 'directory') return false
    }
    return true
  }
  const lowerDirectory = (path: string) => shows(path) && lower.lstat(path)?.kind === 'directory'
  const invented = (path: string, kind: 'symlink' | 'directory', size: number): FileStat => ({
    kind,
    dev: LINK_DEVICE,
    ino: inodes.get(path) as bigint,
    size,
    mode: kind === 'symlink' ? 0o120777 : 0o40755,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    ctimeNs: 0n,
  })
  /** Where the bytes of a file are. */
  const backing = (path: string): { from: FileSystem; path: string } => {
    const node = upper.get(path)
    return node?.kind === 'file' ? node : { from: lower, path }
  }
  return {
    lstat(path) {
      const node = upper.get(path)
      if (node === undefined) return shows(path) ? lower.lstat(path) : null
      if (node.kind === 'whiteout') return null
      if (node.kind === 'file') return node.from.lstat(node.path)
      if (node.kind === 'symlink') return invented(path, 'symlink', node.target.length)
      return lowerDirectory(path) ? lower.lstat(path) : invented(path, 'directory', 4096)
    },
    readlink(path) {
      const node = upper.get(path)
      return node?.kind === 'symlink' ? node.target : lower.readlink(path)
    },
    readdir(path) {
      const own = upper.get(path)
      if (own !== undefined && own.kind !== 'directory') return null
      const base = lowerDirectory(path) ? lower.readdir(path) : null
      if (own === undefined) return base
      const names = new Set(base)
      for (const [name, full] of children.get(path) ?? []) {
        if (upper.get(full)?.kind === 'whiteout') names.delete(name)
        else names.add(name)
      }
      return [...names]
    },
    hostPath(path) {
      const { from, path: inner } = backing(path)
      return from.hostPath(inner)
    },
    open(path) {
      const { from, path: inner } = backing(path)
      return from.open(inner)
    },
    symbols(path) {
      const { from, path: inner } = backing(path)
      return symbolsAt(from, inner)
    },
  }
}

function withParents(lower: FileSystem, nodes: ReadonlyMap<string, OverlayNode>): Map<string, OverlayNode> {
  const upper = new Map(nodes)
  for (const [path, node] of nodes) {
    for (let up = path; up !== '/'; ) {
      up = parent(up)
      if (upper.has(up)) break
      // A whiteout below a directory that is not there changes nothing, and must not make it appear.
      if (node.kind === 'whiteout' && lower.lstat(up)?.kind !== 'directory') break
      upper.set(up, { kind: 'directory' })
    }
  }
  return upper
}

function childNames(upper: ReadonlyMap<string, OverlayNode>): Map<string, [name: string, path: string][]> {
  const children = new Map<string, [string, string][]>()
  for (const path of upper.keys()) {
    if (path === '/') continue
    const up = parent(path)
    const list = children.get(up)
    const child: [string, string] = [path.slice(path.lastIndexOf('/') + 1), path]
    if (list === undefined) children.set(up, [child])
    else list.push(child)
  }
  return children
}
