import type { ElfSymbols } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { base, join, parent, systemError } from '../loader/file-system.js'
import type { FileStat, FileSystem, OpenFile } from '../loader/types.js'
import { type DescribedContent, type DescribedDirectory, type DescribedHost, invalidInventory } from './described.js'

type Described = Pick<DescribedHost<unknown>, 'directories' | 'sameFiles' | 'closed' | 'contents'>

/** What is known of files whose bytes are not there. */
export interface Known {
  symbols(path: string): ElfSymbols
  sha256(path: string): string
}

/** Of a hundred thousand of them few are asked for: no more than what is told. */
interface Node {
  readonly kind: FileStat['kind']
  readonly size: number
  readonly mode: number
  readonly ino: number
  readonly links: number
  /** A link's text; '' for all else. */
  readonly target: string
}

interface Piece {
  readonly at: number
  readonly bytes: Buffer
}

const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000

let lastDevice = 0xfffd_0000n

/**
 * The file system of a host that is known by its description alone. What may not be looked into is what whoever described it could not
 * look into. Every one has a device number of its own, so that no two files are taken for one. Throws INVENTORY_INVALID.
 */
export function knownFileSystem(described: Described, known: Known): FileSystem {
  const { nodes, names } = treeOf(described)
  const dev = ++lastDevice
  const closed = new Map(Object.entries(described.closed))
  const contents = contentsOf(described.contents, nodes)
  const barred = (by: string, path = by) => {
    const code = closed.get(by)
    if (code !== undefined) throw systemError(code, path)
  }
  const existing = (path: string): Node => {
    const node = nodes.get(path)
    if (node !== undefined) return node
    throw systemError('ENOENT', path)
  }
  return {
    lstat(path) {
      const node = nodes.get(path)
      if (node !== undefined) return statOf(node, dev)
      barred(path)
      // What is in a directory that could not be listed, nobody knows.
      barred(parent(path), path)
      return null
    },
    readlink(path) {
      const { kind, target } = existing(path)
      if (kind !== 'symlink') throw systemError('EINVAL', path)
      return target
    },
    readdir(path) {
      barred(path)
      return names.get(path) ?? null
    },
    hostPath: () => null,
    open(path) {
      const { kind, size } = existing(path)
      barred(path)
      if (kind !== 'file') throw systemError(kind === 'directory' ? 'EISDIR' : 'EINVAL', path)
      return openPieces(size, contents.get(path) ?? [])
    },
    symbols(path) {
      barred(path)
      return known.symbols(path)
    },
    sha256(path) {
      barred(path)
      return known.sha256(path)
    },
  }
}

function statOf({ kind, size, mode, ino, links }: Node, dev: bigint): FileStat {
  return { kind, dev, ino: BigInt(ino), size, links, mode, uid: 0, gid: 0, mtimeNs: 0n, ctimeNs: 0n }
}

function treeOf({ directories, sameFiles }: Described) {
  const nodes = new Map<string, Node>()
  const names = new Map<string, string[]>()
  const add = (path: string, kind: FileStat['kind'], size: number, mode: number, target = '') => {
    if (nodes.has(path)) throw invalidInventory(`it has ${path} twice`)
    nodes.set(path, { kind, size, mode, ino: nodes.size + 1, links: 1, target })
    if (path !== '/') names.get(parent(path))?.push(base(path))
  }
  for (const row of directories) {
    if (row.path === '/' ? nodes.size > 0 : !names.has(parent(row.path)))
      throw invalidInventory(`${row.path} does not come after the directory that it lies in`)
    add(row.path, 'directory', 4096, S_IFDIR | row.mode)
    names.set(row.path, [])
    addEntries(row, add)
  }
  for (const paths of sameFiles) {
    const files = paths.map(path => nodes.get(path))
    if (files.some(node => node?.kind !== 'file'))
      throw invalidInventory(`of ${paths[0]} and its other names not all are files`)
    for (const path of paths) nodes.set(path, { ...(files[0] as Node), links: paths.length })
  }
  // As Node has them from the kernel, by which some things come before others.
  for (const list of names.values()) list.sort()
  return { nodes, names }
}

function addEntries(
  { path, files, links, others }: DescribedDirectory,
  add: (path: string, kind: FileStat['kind'], size: number, mode: number, target?: string) => void,
): void {
  for (const [name, [size, mode]] of Object.entries(files)) add(join(path, name), 'file', size, S_IFREG | mode)
  for (const [name, target] of Object.entries(links))
    add(join(path, name), 'symlink', Buffer.byteLength(target), S_IFLNK | 0o777, target)
  for (const name of others) add(join(path, name), 'other', 0, 0)
}

function contentsOf(
  contents: readonly DescribedContent[],
  nodes: ReadonlyMap<string, Node>,
): ReadonlyMap<string, readonly Piece[]> {
  if (new Set(contents.map(({ path }) => path)).size < contents.length)
    throw invalidInventory('it has the bytes of a file twice')
  return new Map(
    contents.map(({ path, parts }) => {
      const node = nodes.get(path)
      if (node?.kind !== 'file') throw invalidInventory(`${path} has bytes and is no file`)
      const pieces = parts.map(part => ({
        at: part.at,
        bytes: 'text' in part ? Buffer.from(part.text) : Buffer.from(part.base64, 'base64'),
      }))
      if (pieces.some(({ at, bytes }) => at + bytes.length > node.size))
        throw invalidInventory(`${path} has more bytes than its size`)
      return [path, pieces]
    }),
  )
}

/** Where nothing was noted, nobody asked: the file is none that a loader could load. */
function openPieces(size: number, pieces: readonly Piece[]): OpenFile {
  return {
    size,
    read(buffer, position) {
      if (position >= size) return 0
      const piece = pieces.find(({ at, bytes }) => position >= at && position < at + bytes.length)
      if (piece === undefined) throw new AppcError('ELF_NOT', 'not an ELF file')
      const part = piece.bytes.subarray(position - piece.at, position - piece.at + buffer.length)
      buffer.set(part)
      return part.length
    },
    close() {},
  }
}
