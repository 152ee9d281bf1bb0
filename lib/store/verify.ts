import { dirname } from 'node:path'
import { getSystemErrorName } from 'node:util'
import { type HashedBatch, type HashJob, planHashing } from './hashing.js'
import { digestIn, Identities, isExecutableKey, type ObjectKey, pathOf } from './identities.js'
import { type IdentityWords, inodeIn, isSameContent, Looks, sizeIn } from './looks.js'
import { listObjects } from './object-list.js'
import { hashPath } from './objects.js'
import { type Catalogue, type Check, type NeededBy, type Problem, problem } from './problems.js'
import { beginScrub, endScrub, interruptedScrub } from './scrub-state.js'
import { checkSecrets } from './secret-check.js'
import { type Store, withLock } from './store.js'
import { checkDirectories, checkMode, checkOwner, type Owner, ownerOf } from './structure.js'

/** Hashes a job's files, with as many threads as it likes, and tells of each batch. May end early. */
export type HashAll = (job: HashJob, bytes: number, tell: (hashed: HashedBatch) => void) => Promise<void>

export interface VerifyRequest {
  /** What this container needs; null: the whole store. */
  readonly name: string | null
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
  // Under the lock nothing is removed; and names are read before objects are listed, so what they need was there by then.
  const survey = withLock(store, 'shared', () => surveyOf(store, request))
  const resumed = request.full && !request.restart ? interruptedScrub(store, request.name) : null
  const began = resumed ?? seconds()
  if (request.full && resumed === null) beginScrub(store, { name: request.name, began })
  const unsure = survey.present.filter(({ key, identity }) => {
    if (!request.full) return !identities.isKnown(key, identity)
    return resumed === null || !isReadSince(identities, key, identity, resumed)
  })
  const { suspects, hashed } = await hashUnsure(identities, unsure, request)
  const complete = !request.isStopped()
  if (request.name === null && complete) identities.keepOnly(new Set(survey.present.map(({ key }) => key)))
  identities.save()
  if (request.full && complete) endScrub(store)
  const problems = withLock(store, 'shared', () => [
    ...confirm(store, [...survey.suspects, ...suspects], survey.needed),
    ...survey.problems,
    ...request.checks.flatMap(check => check(request.name)),
  ])
  const bytes = survey.present.reduce((sum, { identity }) => sum + sizeIn(identity), 0)
  return {
    problems: withNeededBy(problems, request.catalogue, request.name),
    objects: survey.present.length,
    bytes,
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

interface Present {
  readonly key: ObjectKey
  readonly path: string
  readonly identity: IdentityWords
}

/** What must be looked at once more before it is told: somebody else may have mended, replaced or removed it meanwhile. */
interface Suspect {
  readonly key: ObjectKey
  readonly path: string
  readonly outcome: { readonly digest: string } | { readonly errorCode: string }
  /** As it was when that was found; null where there was nothing to be seen. */
  readonly identity: IdentityWords | null
}

interface Survey {
  readonly present: readonly Present[]
  readonly suspects: readonly Suspect[]
  readonly problems: readonly Problem[]
  readonly needed: ReadonlySet<ObjectKey>
}

function surveyOf(store: Store, { name, catalogue }: VerifyRequest): Survey {
  const needs = (name === null ? catalogue.names() : [name]).map(each => catalogue.needsOf(each))
  const needed = new Set(needs.flatMap(({ keys }) => keys))
  const { keys, paths, fanOuts, strays } = name === null ? listObjects(store) : listOf(store, needed)
  const looks = Looks.at(store.system, paths)
  const owner = ownerOf(store)
  const [present, suspects, problems]: [Present[], Suspect[], Problem[]] = [[], [], []]
  for (const [index, key] of keys.entries()) {
    const path = paths[index] as string
    const errno = looks.errno(index)
    if (errno !== 0) suspects.push({ key, path, outcome: { errorCode: getSystemErrorName(-errno) }, identity: null })
    else {
      present.push({ key, path, identity: looks.identity(index) })
      problems.push(...attributesOf(key, path, looks, index, owner))
    }
  }
  const listed = new Set(keys)
  for (const key of needed)
    if (!listed.has(key))
      suspects.push({ key, path: pathOf(store, key), outcome: { errorCode: 'ENOENT' }, identity: null })
  problems.push(
    ...needs.flatMap(({ faults }) => faults),
    ...checkSecrets(store, new Set(needs.flatMap(({ secrets }) => secrets))),
    ...checkDirectories(store, fanOuts),
    ...strays.map(path => problem('stray', path, 'it has no name that an object can have')),
  )
  return { present, suspects, problems, needed }
}

function listOf(store: Store, needed: ReadonlySet<ObjectKey>): ReturnType<typeof listObjects> {
  const keys = [...needed]
  const paths = keys.map(key => pathOf(store, key))
  return { keys, paths, fanOuts: [...new Set(paths.map(dirname))], strays: [] }
}

const [S_IFMT, S_IFREG] = [0o170000, 0o100000]

/** What is no regular file is told when it cannot be hashed. */
function attributesOf(key: ObjectKey, path: string, looks: Looks, index: number, owner: Owner): readonly Problem[] {
  const mode = looks.mode(index)
  if ((mode & S_IFMT) !== S_IFREG) return []
  const expected = isExecutableKey(key) ? 0o555 : 0o444
  if ((mode & 0o7777) === expected && looks.uid(index) === owner.uid) return []
  const found = [...checkMode(path, mode, expected), ...checkOwner(path, looks.uid(index), owner)]
  return found.map(each => ({ ...each, object: key }))
}

async function hashUnsure(
  identities: Identities,
  unsure: readonly Present[],
  { full, maxRate, hashAll, progress }: VerifyRequest,
): Promise<{ readonly suspects: readonly Suspect[]; readonly hashed: Verified['hashed'] }> {
  const candidates = unsure.map(({ path, identity }) => ({ path, size: sizeIn(identity), inode: inodeIn(identity) }))
  const ofBytes = candidates.reduce((sum, { size }) => sum + size, 0)
  const { job, order } = planHashing(candidates, { fromDisk: full, maxRate })
  const suspects: Suspect[] = []
  let [objects, bytes, savedAt] = [0, 0, performance.now()]
  const tell = ({ first, outcomes, stats }: HashedBatch): void => {
    const looks = new Looks(stats)
    const now = seconds()
    for (const [at, outcome] of outcomes.entries()) {
      const { key, path } = unsure[order[first + at] as number] as Present
      const identity = looks.identity(at)
      if ('digest' in outcome && outcome.digest === digestIn(key)) {
        identities.record(key, identity, full ? now : undefined)
      } else {
        identities.forget(key)
        suspects.push({ key, path, outcome, identity: identity.slice() })
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
function confirm(store: Store, suspects: readonly Suspect[], needed: ReadonlySet<ObjectKey>): readonly Problem[] {
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
      const isRegular = (looks.mode(index) & S_IFMT) === S_IFREG
      if (!isRegular) return [problem('type', path, 'it is not a regular file', { object: key })]
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
