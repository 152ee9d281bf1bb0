import { createHash } from 'node:crypto'
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/* What a store looks like, file by file. Nothing here comes from lib/: a mistake there must not hide itself. */

/** What lies at one path. */
export interface Seen {
  readonly kind: 'file' | 'directory' | 'link' | 'special'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly inode: bigint
  /** Of a file the sha256, of a link its text, of a device its number. */
  readonly content: string
}

/** By path below the store's home. */
export type Picture = ReadonlyMap<string, Seen>

/** Made anew at will, or no part of what is kept. */
const PASSED_OVER = new Set(['cache', 'quarantine', 'tmp', 'state'])

/** A change within the clock's tick in which a file was looked at would not show in its times. */
const SETTLED_NS = 50_000_000n

/** Remembers the digests of files by their identity, so that what has not changed is read once. */
export class Looker {
  readonly #digests = new Map<string, string>()

  picture(home: string, below = ''): Picture {
    const seen = new Map<string, Seen>()
    this.#walk(home, below, seen)
    return seen
  }

  #walk(home: string, path: string, seen: Map<string, Seen>): void {
    const stat = lstatSync(join(home, path), { bigint: true, throwIfNoEntry: false })
    if (stat === undefined) return
    if (path !== '') seen.set(path, this.#look(join(home, path), stat))
    if (!stat.isDirectory()) return
    for (const name of readdirSync(join(home, path)))
      if (path !== '' || !PASSED_OVER.has(name)) this.#walk(home, path === '' ? name : `${path}/${name}`, seen)
  }

  #look(path: string, stat: BigIntStats): Seen {
    const { uid, gid, size, ino } = stat
    const facts = { mode: Number(stat.mode) & 0o7777, uid: Number(uid), gid: Number(gid), inode: ino }
    if (stat.isFile()) return { kind: 'file', ...facts, size: Number(size), content: this.digest(path, stat) }
    if (stat.isDirectory()) return { kind: 'directory', ...facts, size: 0, content: '' }
    if (stat.isSymbolicLink()) return { kind: 'link', ...facts, size: 0, content: readlinkSync(path) }
    return { kind: 'special', ...facts, size: 0, content: `${Number(stat.mode) >> 12} ${stat.rdev}` }
  }

  digest(path: string, { dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
    const identity = [dev, ino, size, mtimeNs, ctimeNs].join(' ')
    const known = this.#digests.get(identity)
    if (known !== undefined) return known
    const isSettled = BigInt(Date.now()) * 1_000_000n - ctimeNs > SETTLED_NS
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex')
    if (isSettled) this.#digests.set(identity, digest)
    return digest
  }
}

/** Paths at which something else is than there was, its inode and links aside. */
export function differences(before: Picture, now: Picture): ReadonlySet<string> {
  const paths = new Set<string>()
  for (const [path, was] of before) {
    const is = now.get(path)
    if (is === undefined || !isSame(was, is)) paths.add(path)
  }
  for (const path of now.keys()) if (!before.has(path)) paths.add(path)
  return paths
}

export function isSame(a: Seen, b: Seen): boolean {
  // Of a link the mode says nothing.
  const hasMode = a.kind === 'link' || a.mode === b.mode
  return a.kind === b.kind && a.content === b.content && hasMode && a.uid === b.uid
}

/** Whether other bytes are there, or something else than the file that was. */
export function hasOtherBytes(was: Seen | undefined, is: Seen | undefined): boolean {
  return was?.kind === 'file' && (is?.kind !== 'file' || is.content !== was.content)
}

export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}
