import { getSystemErrorName } from 'node:util'
import { hashPath } from '../store/objects.js'
import { type Store, withLock } from '../store/store.js'
import { type HashedBatch, type HashJob, planHashing } from './hashing.js'
import { digestIn, Identities, type ObjectKey, pathOf, pathsOf } from './identities.js'
import { type IdentityWords, inodeIn, isSameContent, Looks, sizeIn } from './looks.js'
import { type Catalogue, type Check, type NeededBy, type Problem, problem } from './problems.js'
import { beginScrub, endScrub, interruptedScrub } from './scrub-state.js'
import { isRegular, type Survey, type Suspect, survey, type Unsure } from './survey.js'

/** Hashes a job's files, with as many threads as it likes, and tells of each batch. May end early. */
export type HashAll = (job: HashJob, bytes: number, tell: (hashed: HashedBatch) => void) => Promise<void>

export interface VerifyRequest {
  /** What this container needs; null: the whole store. */
  readonly name: string | null
  /** Of all objects these alone, which are read whatever is known of them; null: all. */
  readonly changed: ReadonlySet<ObjectKey> | null
  /** Every object is read from the disk and hashed, not only those that are not known as they are. */
  readonly full: boolean
  /** A full check that was interrupted is not gone on with. */
  readonly restart: boolean
  /** Bytes a second; null: as fast as it can be. */
  readonly maxRate: number | null
  readonly catalogue: Catalogue
  readonly checks: readonly Check[]
  readonly hashAll: HashAll
  /** Looked at when hashAll comes back: what was not hashed by then is not checked. */
  readonly isStopped: () => boolean
  readonly progress: (progress: Progress) => void
}

export interface Progress {
  readonly objects: number
  readonly bytes: number
  readonly ofObjects: number
  readonly ofBytes: number
}

export interface Verified {
  readonly problems: readonly Problem[]
  /** What was looked at. */
  readonly objects: number
  readonly bytes: number
  /** What was read whole for it, in this run. */
  readonly hashed: { readonly objects: number; readonly bytes: number }
  /** When the full check that this run went on with began, in seconds; null where it is none, or began now. */
  readonly resumed: number | null
  /** False where it was stopped: the next full check goes on. */
  readonly complete: boolean
}

/** What is known is saved as often as this. */
const SAVE_EVERY_MS = 2000

/** Checks a store, or what one container needs of it. Nothing is changed but cache/. */
export async function verifyStore(store: Store, request: VerifyRequest): Promise<Verified> {
  const identities = Identities.open(store)
  const resumed = request.full && !request.restart ? interruptedScrub(store, request.name) : null
  const isSure = (key: ObjectKey, looks: Looks, place: number): boolean => {
    if (request.changed !== null) return false
    if (!request.full) return identities.isKnownAs(key, looks, place)
    return resumed !== null && isReadSince(identities, key, looks.identity(place), resumed)
  }
  const sealed = request.full ? null : identities.seal
  const seen = withLock(store, 'shared', () => survey(store, { ...request, isSure, sealed }))
  if (request.full && resumed === null) beginScrub(store, { name: request.name, began: seconds() })
  const { suspects, hashed } = await hashUnsure(store, identities, seen, request)
  const complete = !request.isStopped()
  const isAll = request.name === null && request.changed === null
  if (isAll && complete && !seen.isSealed) identities.keepOnly(seen.listed)
  identities.save()
  if (request.full && complete) endScrub(store)
  const problems = withLock(store, 'shared', () => [
    ...confirm(store, [...seen.suspects, ...suspects], seen.needed),
    ...seen.problems,
    ...request.checks.flatMap(check => check(request.name)),
  ])
  // In this state nothing need be looked at one by one.
  if (problems.length === 0 && complete && hashed.objects === 0) identities.save(seen.seal)
  return {
    problems: withNeededBy(problems, request.catalogue, request.name),
    objects: seen.objects,
    bytes: seen.bytes,
    hashed,
    resumed,
    complete,
  }
}

function seconds(): number {
  return Math.floor(Date.now() / 1000)
}

/** Not within the second in which it began: what was read just before would count, too. */
function isReadSince(identities: Identities, key: ObjectKey, identity: IdentityWords, began: number): boolean {
  const readAt = identities.readAt(key, identity)
  // A clock that was wrong then must not hide it for ever.
  return readAt > began && readAt <= seconds()
}

async function hashUnsure(
  store: Store,
  identities: Identities,
  { unsure, looks: surveyed }: Survey,
  { full, maxRate, hashAll, progress }: VerifyRequest,
): Promise<{ readonly suspects: readonly Suspect[]; readonly hashed: Verified['hashed'] }> {
  const paths = pathsOf(
    store,
    unsure.map(({ key }) => key),
  )
  const candidates = unsure.map(({ place }, index) => {
    const identity = surveyed.identity(place)
    return { path: paths[index] as string, size: sizeIn(identity), inode: inodeIn(identity) }
  })
  const ofBytes = candidates.reduce((sum, { size }) => sum + size, 0)
  const { job, order } = planHashing(candidates, { fromDisk: full, maxRate })
  const suspects: Suspect[] = []
  let [objects, bytes, savedAt] = [0, 0, performance.now()]
  const tell = ({ first, outcomes, stats }: HashedBatch): void => {
    const looks = new Looks(stats)
    const now = seconds()
    for (const [at, outcome] of outcomes.entries()) {
      const { key } = unsure[order[first + at] as number] as Unsure
      const identity = looks.identity(at)
      if ('digest' in outcome && outcome.digest === digestIn(key)) {
        identities.record(key, identity, full ? now : undefined)
      } else {
        identities.forget(key)
        suspects.push({ key, path: pathOf(store, key), outcome, identity: identity.slice() })
      }
      objects++
      bytes += sizeIn(identity)
    }
    progress({ objects, bytes, ofObjects: unsure.length, ofBytes })
    savedAt = saveNowAndThen(identities, savedAt)
  }
  if (unsure.length > 0) await hashAll(job, ofBytes, tell)
  return { suspects, hashed: { objects, bytes } }
}

/** So that whoever is killed has lost little; where saving takes long, less often. Returns when it was done last. */
function saveNowAndThen(identities: Identities, savedAt: number): number {
  const began = performance.now()
  if (began - savedAt < SAVE_EVERY_MS) return savedAt
  identities.save()
  const ended = performance.now()
  return Math.max(ended, ended + (ended - began) * 10 - SAVE_EVERY_MS)
}

/** Under the lock, when nothing is removed. */
function confirm(store: Store, suspects: readonly Suspect[], all: readonly ObjectKey[]): readonly Problem[] {
  if (suspects.length === 0) return []
  const needed = new Set(all)
  const looks = Looks.at(
    store.system,
    suspects.map(({ path }) => path),
  )
  return suspects.flatMap((suspect, index) => {
    const { key, path } = suspect
    const errno = looks.errno(index)
    const code = errno === 0 ? null : getSystemErrorName(-errno)
    // Nobody needed it any more, and it was removed; or it is in a directory that is not there.
    if (code === 'ENOENT') return needed.has(key) ? [problem('missing', path, 'it is not there', { object: key })] : []
    if (code !== null) return [unreadable(suspect, code)]
    const identity = looks.identity(index)
    const isSame = suspect.identity !== null && isSameContent(suspect.identity, identity)
    const outcome = isSame ? suspect.outcome : hashPath(path)
    if ('errorCode' in outcome) {
      if (!isRegular(looks.mode(index))) return [problem('type', path, 'it is not a regular file', { object: key })]
      return [unreadable(suspect, outcome.errorCode)]
    }
    if (outcome.digest === digestIn(key)) return []
    const because = `its ${sizeIn(identity)} bytes have another sha256 than its name says`
    return [problem('bytes', path, because, { object: key, actualDigest: outcome.digest })]
  })
}

function unreadable({ key, path }: Suspect, code: string): Problem {
  return problem('unreadable', path, `it cannot be read (${code})`, { object: key })
}

/** Decoding what describes the containers takes long: only where something is wrong. */
function withNeededBy(problems: readonly Problem[], catalogue: Catalogue, name: string | null): readonly Problem[] {
  const damaged = new Set(problems.flatMap(({ object }) => object ?? []))
  if (damaged.size === 0) return problems
  const needers = new Map<ObjectKey, NeededBy[]>()
  for (const each of name === null ? catalogue.names() : [name])
    for (const { key, path } of catalogue.filesOf(each)) {
      if (!damaged.has(key)) continue
      const known = needers.get(key)
      if (known === undefined) needers.set(key, [{ name: each, path }])
      else known.push({ name: each, path })
    }
  return problems.map(each =>
    each.object === null || each.neededBy.length > 0 ? each : { ...each, neededBy: needers.get(each.object) ?? [] },
  )
}
