import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { getSystemErrorName } from 'node:util'
import { objectMode } from '../store/objects.js'
import type { Store } from '../store/store.js'
import { isExecutableKey, type ObjectKey, pathOf, pathsOf } from './identities.js'
import { type IdentityWords, Looks } from './looks.js'
import { decodeListing, type Listing, type ObjectList, readListing } from './object-list.js'
import { areAllTold, type Catalogue, type Needs, type Problem, problem } from './problems.js'
import { checkSecrets, checkUnneededSecrets } from './secret-check.js'
import { checkDirectories, checkFiles, checkMode, checkNames, checkOwner, type Owner, ownerOf } from './structure.js'

/** What a store looks like, before anything in it is read. */
export interface Survey {
  /** Objects that are there. */
  readonly objects: number
  readonly bytes: number
  readonly listed: ReadonlySet<ObjectKey>
  /** Those that must be hashed. */
  readonly unsure: readonly Unsure[]
  readonly looks: Looks
  /** What is not there, or cannot be looked at. */
  readonly suspects: readonly Suspect[]
  readonly problems: readonly Problem[]
  readonly needed: readonly ObjectKey[]
  /** Sums up all that was found; null where it is not the whole store. */
  readonly seal: string | null
  /** All is as it was when nothing was wrong and everything known: then it was not looked at one by one. */
  readonly isSealed: boolean
}

/** An object that is to be hashed. */
export interface Unsure {
  readonly key: ObjectKey
  /** Where it is among what was looked at. */
  readonly place: number
}

/** What must be looked at once more before it is told: somebody else may have mended, replaced or removed it meanwhile. */
export interface Suspect {
  readonly key: ObjectKey
  readonly path: string
  readonly outcome: { readonly digest: string } | { readonly errorCode: string }
  /** As it was when that was found; null where there was nothing to be seen. */
  readonly identity: IdentityWords | null
}

export interface SurveyRequest {
  /** A container's, or null for the whole store. */
  readonly name: string | null
  /** Of all objects these alone; null: all. */
  readonly changed: ReadonlySet<ObjectKey> | null
  readonly catalogue: Catalogue
  /** Whether an object need not be hashed. */
  readonly isSure: (key: ObjectKey, looks: Looks, place: number) => boolean
  /** Of the state in which everything was sure and nothing wrong; null where each is to be asked for. */
  readonly sealed: string | null
}

/** Under the shared lock nothing is removed; and names are read before objects are listed, so what they need was there by then. */
export function survey(store: Store, { name, changed, catalogue, isSure, sealed }: SurveyRequest): Survey {
  const needs = (name === null ? catalogue.names() : [name]).map(each => catalogue.needsOf(each))
  const isAll = name === null && changed === null
  const secrets = needs.flatMap(({ secrets }) => secrets)
  const problems = [
    ...needs.flatMap(({ faults }) => faults),
    ...checkSecrets(store, secrets),
    ...(isAll ? checkUnneededSecrets(store, secrets, areAllTold(needs)) : []),
    ...checkFiles(store),
    ...(isAll ? checkNames(store) : []),
  ]
  const owner = ownerOf(store)
  const neededBy = () => needs.flatMap(({ keys }) => keys())
  if (!isAll) {
    const needed = changed === null ? neededBy() : neededBy().filter(key => changed.has(key))
    const list = listOf(store, changed ?? new Set(needed))
    return { ...surveyObjects(store, owner, list, needed, problems, isSure), seal: null, isSealed: false }
  }
  const listing = readListing(store)
  const seal = sealOf(listing, needs, owner)
  if (seal === sealed) return { ...surveySealed(store, listing, problems), seal, isSealed: true }
  const list = decodeListing(listing)
  return { ...surveyObjects(store, owner, list, neededBy(), problems, isSure), seal, isSealed: false }
}

/** All that the findings about objects rest on. */
function sealOf({ names, counts, entries, stats }: Listing, needs: readonly Needs[], { uid }: Owner): string {
  const hash = createHash('sha256').update(JSON.stringify([uid, names, ...needs.map(({ essence }) => essence)]))
  return hash.update(counts).update(entries).update(stats).digest('hex')
}

type Found = Omit<Survey, 'seal' | 'isSealed'>

function surveySealed(store: Store, { stats, fanOuts }: Listing, problems: readonly Problem[]): Found {
  const looks = new Looks(stats)
  let bytes = 0
  for (let place = 0; place < looks.length; place++) bytes += looks.size(place)
  return {
    objects: looks.length,
    bytes,
    looks,
    listed: new Set(),
    unsure: [],
    suspects: [],
    problems: [...problems, ...checkDirectories(store, fanOuts)],
    needed: [],
  }
}

/** One walk over all: of ten thousand, what is done for each counts. */
function surveyObjects(
  store: Store,
  owner: Owner,
  { keys, looks, places, fanOuts, strays }: ObjectList,
  needed: readonly ObjectKey[],
  found: readonly Problem[],
  isSure: SurveyRequest['isSure'],
): Found {
  const [unsure, suspects, problems]: [Unsure[], Suspect[], Problem[]] = [[], [], [...found]]
  let [objects, bytes] = [0, 0]
  for (let index = 0; index < keys.length; index++) {
    const [key, place] = [keys[index] as ObjectKey, places[index] as number]
    if (looks.errno(place) !== 0) {
      suspects.push(unseen(store, key, getSystemErrorName(-looks.errno(place))))
      continue
    }
    objects++
    bytes += looks.size(place)
    if (!hasRightAttributes(key, looks, place, owner)) problems.push(...attributesOf(store, key, looks, place, owner))
    if (!isSure(key, looks, place)) unsure.push({ key, place })
  }
  const listed = new Set(keys)
  for (const key of needed) if (!listed.has(key)) suspects.push(unseen(store, key, 'ENOENT'))
  problems.push(
    ...checkDirectories(store, fanOuts),
    ...strays.map(path => problem('stray', path, 'it has no name that an object can have')),
  )
  return { objects, bytes, listed, unsure, looks, suspects: distinct(suspects), problems, needed }
}

/** Several containers may need what is missing. */
function distinct(suspects: readonly Suspect[]): readonly Suspect[] {
  return [...new Map(suspects.map(suspect => [suspect.key, suspect])).values()]
}

function unseen(store: Store, key: ObjectKey, errorCode: string): Suspect {
  return { key, path: pathOf(store, key), outcome: { errorCode }, identity: null }
}

function listOf(store: Store, needed: ReadonlySet<ObjectKey>): ObjectList {
  const keys = [...needed]
  const paths = pathsOf(store, keys)
  const looks = Looks.at(store.system, paths)
  return { keys, looks, places: [...keys.keys()], fanOuts: [...new Set(paths.map(dirname))], strays: [] }
}

const [S_IFMT, S_IFREG] = [0o170000, 0o100000]

export function isRegular(mode: number): boolean {
  return (mode & S_IFMT) === S_IFREG
}

/** What is no regular file is told when it cannot be hashed. */
function hasRightAttributes(key: ObjectKey, looks: Looks, place: number, owner: Owner): boolean {
  const mode = looks.mode(place)
  return !isRegular(mode) || ((mode & 0o7777) === modeOf(key) && looks.uid(place) === owner.uid)
}

/** Objects that are not there, are no regular files, or have another mode or owner than they should. */
export function withWrongAttributes(store: Store, keys: readonly ObjectKey[]): readonly ObjectKey[] {
  const owner = ownerOf(store)
  const { looks } = listOf(store, new Set(keys))
  return keys.filter((key, at) => {
    if (looks.errno(at) !== 0 || !isRegular(looks.mode(at))) return true
    return !hasRightAttributes(key, looks, at, owner)
  })
}

function attributesOf(store: Store, key: ObjectKey, looks: Looks, place: number, owner: Owner): readonly Problem[] {
  const path = pathOf(store, key)
  const found = [...checkMode(path, looks.mode(place), modeOf(key)), ...checkOwner(path, looks.uid(place), owner)]
  return found.map(each => ({ ...each, object: key }))
}

function modeOf(key: ObjectKey): number {
  return objectMode(isExecutableKey(key))
}
