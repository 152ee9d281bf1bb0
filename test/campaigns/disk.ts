import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { addon } from '../../lib/launch/addon.js'

/** A file system as a value: what has been done to it is a list of changes, and any part of them may have reached the disk. */

export type Kind = 'file' | 'directory' | 'symlink' | 'whiteout'

export interface Inode {
  readonly kind: Kind
  readonly mode: number
  /** Of a file; of a link, where it leads. */
  readonly bytes: Buffer
}

/** Inodes are numbered in the order in which they come to be. */
export type Change =
  /** One step of a journal: all of these names at once; null: the name is gone. `born` is made by it. */
  | { readonly kind: 'names'; readonly names: readonly Naming[]; readonly born?: Inode }
  | { readonly kind: 'bytes'; readonly inode: number; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'size'; readonly inode: number; readonly size: number }
  | { readonly kind: 'mode'; readonly inode: number; readonly mode: number }
  | { readonly kind: 'sync'; readonly inode: number }
  | { readonly kind: 'sync all' }
  /** Something was told to whom the command is run by. */
  | { readonly kind: 'told' }

export interface Naming {
  readonly directory: number
  readonly name: string
  readonly inode: number | null
}

/** Of the inode 0, which is the directory that the store lies in, all others are below. */
export interface Disk {
  readonly inodes: readonly Inode[]
  readonly names: ReadonlyMap<number, ReadonlyMap<string, number>>
}

/** What can be built upon: the same, to be changed. */
export class Building {
  readonly inodes: Inode[]
  readonly names: Map<number, Map<string, number>>

  constructor({ inodes, names }: Disk) {
    this.inodes = [...inodes]
    this.names = new Map([...names].map(([directory, entries]) => [directory, new Map(entries)]))
  }

  apply(change: Change): void {
    this.bear(change)
    switch (change.kind) {
      case 'names':
        for (const naming of change.names) this.name(naming)
        break
      case 'bytes':
        this.#change(change.inode, ({ bytes }) => ({ bytes: written(bytes, change.at, change.bytes) }))
        break
      case 'size':
        this.#change(change.inode, ({ bytes }) => ({ bytes: resized(bytes, change.size) }))
        break
      case 'mode':
        this.#change(change.inode, () => ({ mode: change.mode }))
        break
      default:
        break
    }
  }

  /** What a change makes, with or without its names: so that numbers stay. */
  bear(change: Change): void {
    if (change.kind === 'names' && change.born !== undefined) this.inodes.push(change.born)
  }

  name({ directory, name, inode }: Naming): void {
    const entries = this.names.get(directory) ?? new Map<string, number>()
    this.names.set(directory, entries)
    if (inode === null) entries.delete(name)
    else entries.set(name, inode)
  }

  #change(number: number, change: (inode: Inode) => Partial<Inode>): void {
    const inode = this.inodes[number]
    if (inode === undefined) throw new Error(`there is no inode ${number}`)
    this.inodes[number] = { ...inode, ...change(inode) }
  }

  /** Which inode has a path; null where there is none. */
  find(path: string): number | null {
    let found: number | undefined = 0
    for (const name of path.split('/').filter(name => name !== '')) found = this.names.get(found ?? -1)?.get(name)
    return found ?? null
  }
}

export function written(bytes: Buffer, at: number, piece: Buffer): Buffer {
  const result = resized(bytes, Math.max(bytes.length, at + piece.length))
  piece.copy(result, at)
  return result
}

export function resized(bytes: Buffer, size: number): Buffer {
  const result = Buffer.alloc(size)
  bytes.copy(result)
  return result
}

const nothing = Buffer.alloc(0)

/** What is below a directory, of which `top` is one name. */
export function readDisk(directory: string, top: string): Disk {
  const disk = new Building({ inodes: [{ kind: 'directory', mode: 0o755, bytes: nothing }], names: new Map() })
  const known = new Map<bigint, number>()
  const read = (parent: number, path: string, name: string): void => {
    const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
    if (stat === undefined) return
    const before = known.get(stat.ino)
    const inode = before ?? disk.inodes.length
    known.set(stat.ino, inode)
    if (before === undefined) disk.inodes.push(readInode(path))
    disk.name({ directory: parent, name, inode })
    if (stat.isDirectory()) for (const below of readdirSync(path)) read(inode, join(path, below), below)
  }
  read(0, join(directory, top), top)
  return disk
}

function readInode(path: string): Inode {
  const stat = lstatSync(path)
  const mode = stat.mode & 0o7777
  if (stat.isDirectory()) return { kind: 'directory', mode, bytes: nothing }
  if (stat.isSymbolicLink()) return { kind: 'symlink', mode, bytes: Buffer.from(readlinkSync(path)) }
  return stat.isFile() ? { kind: 'file', mode, bytes: readFileSync(path) } : { kind: 'whiteout', mode, bytes: nothing }
}

/** Makes it real below a directory. */
export function writeDisk({ inodes, names }: Disk, directory: string): void {
  const made = new Map<number, string>()
  const write = (parent: number, path: string): void => {
    for (const [name, number] of names.get(parent) ?? []) {
      const at = join(path, name)
      const inode = inodes[number]
      const before = made.get(number)
      if (before !== undefined) linkSync(before, at)
      else if (inode !== undefined) {
        made.set(number, at)
        writeInode(inode, at)
        if (inode.kind === 'directory') write(number, at)
      }
    }
  }
  write(0, directory)
}

function writeInode({ kind, mode, bytes }: Inode, path: string): void {
  if (kind === 'symlink') symlinkSync(bytes, path)
  else if (kind === 'whiteout') addon().makeWhiteout(path)
  else if (kind === 'directory') mkdirSync(path)
  else writeFileSync(path, bytes)
  if (kind === 'file' || kind === 'directory') chmodSync(path, mode)
}
