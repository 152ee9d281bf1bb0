import { lstatSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { UNSERVED } from '../loader/unreadable.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { digestsIn } from './evidence.js'
import { digestIn, isExecutableKey, type ObjectKey, objectKey, pathOf } from './identities.js'
import { inodeIn } from './looks.js'
import { listObjects } from './object-list.js'
import type { Problem } from './problems.js'
import { listQuarantine } from './quarantine.js'

/** An object whose bytes are to be found. */
export interface Wanted {
  readonly key: ObjectKey
  /** null where nothing says it. */
  readonly size: number | null
  /** Where it lies in containers. */
  readonly paths: readonly string[]
}

/** A file that may have the right bytes: nothing is believed of it. */
export interface Candidate {
  readonly path: string
  /** Where it is found, in words. */
  readonly from: string
  /** It is an object's own file under another name, which need only be linked. */
  readonly isObject?: true
}

/** Somewhere to look. In the order of what it costs: the next is asked only when this one has nothing. */
export type Source = (wanted: Wanted) => Iterable<Candidate>

/** What the store itself may still have. */
export interface StoreSources {
  readonly near: readonly Source[]
  /** What has the right size, and no more that speaks for it. */
  readonly bySize: readonly Source[]
}

/** `problems`: what is damaged in it, and so no source under its own name. */
export function storeSources(store: Store, problems: readonly Problem[]): StoreSources {
  const damaged = new Set(problems.flatMap(({ object }) => object ?? []))
  const found = [inViews(store), elsewhereInQuarantine(store)]
  return {
    near: [twin(store, damaged), otherDamaged(problems), inQuarantine(store), ...found.map(({ byName }) => byName)],
    bySize: found.map(({ bySize }) => bySize),
  }
}

/** The same bytes with the other mode. */
function twin(store: Store, damaged: ReadonlySet<ObjectKey>): Source {
  return function* ({ key }) {
    const other = objectKey(digestIn(key), !isExecutableKey(key))
    if (!damaged.has(other)) yield { path: pathOf(store, other), from: 'the same object with another mode' }
  }
}

/** Two that were swapped have each other's bytes. */
function otherDamaged(problems: readonly Problem[]): Source {
  return function* ({ key }) {
    for (const { path, actualDigest } of problems)
      if (actualDigest === digestIn(key)) yield { path, from: 'another damaged object' }
  }
}

/** What the collector has taken out, and what repairs have: of that it is known what it really is. */
function inQuarantine(store: Store): Source {
  let evidence: ReadonlyMap<string, string> | null = null
  return function* ({ key }) {
    for (const { directory, kind } of listQuarantine(store))
      if (kind === 'collected')
        for (const name of [key, objectKey(digestIn(key), !isExecutableKey(key))])
          yield { path: pathOf({ home: directory }, name), from: 'the quarantine' }
    evidence ??= new Map(listQuarantine(store).flatMap(each => [...digestsIn(each)]))
    const path = evidence.get(digestIn(key))
    if (path !== undefined) yield { path, from: 'the quarantine' }
  }
}

/**
 * Files of views that are no object's: of an object that is gone, or of another inode than when the view was built, and copies.
 */
function inViews(store: Store): Found {
  return amongFiles(() => filesBut(store, join(store.home, 'views')), { from: 'a view', isObject: true })
}

/** What of the quarantine nothing is known of: views that were taken out whole, or what lay where nothing should. */
function elsewhereInQuarantine(store: Store): Found {
  return amongFiles(() => filesBut(store, join(store.home, 'quarantine')), { from: 'the quarantine' })
}

interface Found {
  readonly byName: Source
  readonly bySize: Source
}

/** By their size, those first that are called as the object is in a container. They are looked for when they are asked for. */
function amongFiles(look: () => readonly FoundFile[], what: Omit<Candidate, 'path'>): Found {
  let files: ReadonlyMap<number, readonly string[]> | null = null
  const ofSize = (size: number): readonly string[] => {
    files ??= pathsBySize(look())
    return files.get(size) ?? []
  }
  return {
    *byName({ size, paths }) {
      if (size === null) return
      const names = new Set(paths.map(path => basename(path)))
      for (const path of ofSize(size)) if (names.has(basename(path))) yield { path, ...what }
    },
    *bySize({ size }) {
      if (size === null) return
      for (const path of ofSize(size)) yield { path, ...what }
    },
  }
}

/** Those that are no objects. */
function filesBut(store: Store, directory: string): readonly FoundFile[] {
  const { looks, places } = listObjects(store)
  const objects = new Set(places.map(place => inodeIn(looks.identity(place))))
  return [...readableFilesBelow(directory)].filter(({ inode }) => !objects.has(inode))
}

/** Of several names of one file one. */
function pathsBySize(files: readonly FoundFile[]): ReadonlyMap<number, readonly string[]> {
  const bySize = new Map<number, Map<number, string>>()
  for (const { path, size, inode } of files) {
    const known = bySize.get(size) ?? new Map<number, string>()
    bySize.set(size, known.set(inode, path))
  }
  return new Map([...bySize].map(([size, paths]) => [size, [...paths.values()]]))
}

export interface FoundFile {
  readonly path: string
  readonly size: number
  readonly inode: number
}

/** Regular files, links not followed. What cannot be looked into is passed over. */
export function* readableFilesBelow(directory: string): Generator<FoundFile> {
  for (const entry of readable(() => readdirSync(directory, { withFileTypes: true })) ?? []) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) yield* readableFilesBelow(path)
    else if (entry.isFile()) {
      const stat = readable(() => lstatSync(path))
      if (stat?.isFile()) yield { path, size: stat.size, inode: stat.ino }
    }
  }
}

const UNSEEN = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EIO', 'ELOOP', 'ENAMETOOLONG']

/** null for what went meanwhile, or may not be seen. */
export function readable<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (hasCode(error, ...UNSEEN, ...UNSERVED)) return null
    throw error
  }
}

/** Another store that the caller may read. */
export function inStore(other: Store, from: string): Source {
  return function* ({ key }) {
    for (const name of [key, objectKey(digestIn(key), !isExecutableKey(key))]) yield { path: pathOf(other, name), from }
  }
}
