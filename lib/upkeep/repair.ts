import { chmodSync, lstatSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { hashPath, objectMode } from '../store/objects.js'
import { whileStaging } from '../store/staging.js'
import { type Store, withLinks, withLock } from '../store/store.js'
import type { Sync } from '../store/syncing.js'
import { makeFanOut, protect } from '../store/writer.js'
import { hasCode, syncDirectory, writing } from '../store/writing.js'
import { Evidence } from './evidence.js'
import { type Fetched, Fetcher, type FilesRead } from './fetch.js'
import { isExecutableKey, type ObjectKey, pathOf } from './identities.js'
import { type IdentityWords, inodeIn, isSameContent, Looks } from './looks.js'
import type { Problem } from './problems.js'
import type { Source, Wanted } from './sources.js'

/** An object that is not as it should be, and what is known of what it should be. */
export interface Damaged extends Wanted {
  readonly problem: Problem
}

export interface MendedObject {
  readonly problem: Problem
  /** The file that had the right bytes, and what it is. */
  readonly source: string
  readonly from: string
  /** Where the damaged one lies now; null where there was none. */
  readonly evidence: string | null
  /** Its inode, which processes may still have; null where there was none. */
  readonly inode: number | null
}

export interface RepairedObjects {
  readonly mended: readonly MendedObject[]
  /** Of which no sound copy was found. */
  readonly left: readonly Damaged[]
  /** Of sources, to find the right ones. */
  readonly bytesRead: number
}

export interface RepairObjectsOptions {
  readonly dryRun?: boolean
  /** Where what is damaged is kept. */
  readonly evidence?: Evidence
  /** Of earlier calls, which need not be read again. */
  readonly read?: FilesRead
}

/**
 * Puts right files into the places of damaged ones, in this order: copies are made in tmp/ and verified; they reach the disk; each damaged
 * file gets a second name in quarantine/; the right one is renamed over the first; the names reach the disk. So there is never nothing
 * where something was. Takes the shared lock. With `dryRun` what would be done is found out.
 */
export function repairObjects(
  store: Store,
  damaged: readonly Damaged[],
  sources: readonly Source[],
  { dryRun = false, evidence = new Evidence(store), read = new Map() }: RepairObjectsOptions = {},
): RepairedObjects {
  if (damaged.length === 0) return { mended: [], left: [], bytesRead: 0 }
  return withLock(store, 'shared', () =>
    whileStaging(store, 'repair', (directory, sync) => {
      const fetcher = new Fetcher(store.home, directory, damaged, read)
      return repairFrom(store, fetcher, damaged, sources, dryRun ? null : { evidence, sync })
    }),
  )
}

/** null in their place: nothing is changed. */
interface Means {
  readonly evidence: Evidence
  readonly sync: Sync
}

interface Found extends Damaged {
  readonly fetched: Fetched
  /** What was damaged; null where nothing was there. */
  readonly before: IdentityWords | null
}

function repairFrom(
  store: Store,
  fetcher: Fetcher,
  damaged: readonly Damaged[],
  sources: readonly Source[],
  means: Means | null,
): RepairedObjects {
  const [found, left]: [Found[], Damaged[]] = [[], []]
  for (const each of damaged) {
    const before = identityAt(store, pathOf(store, each.key))
    const fetched = fetcher.fetch(each, sources)
    if (fetched === null) left.push(each)
    else found.push({ ...each, fetched, before })
  }
  const { bytesRead } = fetcher
  if (means === null || found.length === 0) return { mended: found.map(each => mendedBy(each, null)), left, bytesRead }
  const mended = writing(store.home, () => placeAll(store, means, found))
  const done = new Set(mended.map(({ problem }) => problem))
  return { mended, left: [...left, ...found.filter(({ problem }) => !done.has(problem))], bytesRead }
}

function identityAt(store: Store, path: string): IdentityWords | null {
  const looks = Looks.at(store.system, [path])
  return looks.errno(0) === 0 ? looks.identity(0) : null
}

function mendedBy({ problem, fetched, before }: Found, evidence: string | null): MendedObject {
  const { path, from } = fetched.candidate
  return { problem, source: path, from, evidence, inode: before === null ? null : inodeIn(before) }
}

function placeAll(store: Store, { evidence, sync }: Means, found: readonly Found[]): readonly MendedObject[] {
  const copies = found.map(({ fetched }) => fetched.path)
  protect(store, copies)
  for (const { key, fetched } of found) chmodSync(fetched.path, objectMode(isExecutableKey(key)))
  sync(copies)
  evidence.note(found.flatMap(({ problem, before }) => (before === null ? [] : [problem])))
  const mended = withLinks(store, () => found.flatMap(each => placeIfMine(store, evidence, each) ?? []))
  const directories = found.map(({ key }) => dirname(pathOf(store, key)))
  for (const directory of new Set([...directories, join(store.home, 'objects')])) syncDirectory(directory)
  return mended
}

/** null where its directory is somebody else's, to whom it is left. */
function placeIfMine(store: Store, evidence: Evidence, found: Found): MendedObject | null {
  try {
    return place(store, evidence, found)
  } catch (error) {
    if (hasCode(error, 'EPERM', 'EACCES')) return null
    throw error
  }
}

function place(store: Store, evidence: Evidence, found: Found): MendedObject {
  const path = pathOf(store, found.key)
  makeFanOut(dirname(path))
  const now = identityAt(store, path)
  // Somebody else may have mended it meanwhile; then views may have that one already.
  const isAsBefore = now === null || (found.before !== null && isSameContent(found.before, now))
  if (!isAsBefore && isRight(path, found.key)) return mendedBy(found, null)
  const kept = now === null ? null : evidence.keep(path)
  renameSync(found.fetched.path, path)
  return mendedBy({ ...found, before: now }, kept)
}

function isRight(path: string, key: ObjectKey): boolean {
  const outcome = hashPath(path)
  const { mode } = lstatSync(path)
  return 'digest' in outcome && key.startsWith(outcome.digest) && (mode & 0o7777) === objectMode(isExecutableKey(key))
}
