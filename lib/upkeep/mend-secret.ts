import {
  chmodSync,
  copyFileSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  renameSync,
  rmSync,
  type Stats,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { AppcError } from '../errors.js'
import { hashPath } from '../store/objects.js'
import {
  type Access,
  isSoundSecret,
  listSecrets,
  readFactsOf,
  readSecretFacts,
  type SecretFacts,
  secretFactsPath,
  secretPath,
} from '../store/secrets.js'
import { type Store, withLinks } from '../store/store.js'
import { whileSyncing } from '../store/syncing.js'
import { hasCode, syncDirectory } from '../store/writing.js'
import type { Evidence } from './evidence.js'
import type { Problem } from './problems.js'
import { readableFilesBelow } from './sources.js'

/**
 * Mends a secret where its own two files were exchanged with those of another, where a view, another secret or the quarantine has the same bytes, and where
 * only mode or owner differ. Nothing else can have its bytes: it does not travel, and its digest is nowhere but beside it.
 */
export function mendSecret(store: Store, evidence: Evidence, problem: Problem): string | null {
  const id = basename(problem.path)
  return withLinks(store, () => {
    const facts = factsIn(store, id) ?? takeFacts(store, id)
    if (facts === null) return null
    const path = secretPath(store, id)
    if (isClosedToOwner(path, facts)) chmodSync(path, 0o400)
    const from = hasRightBytes(store, id) ? null : takeBytes(store, evidence, problem, facts)
    if (from === null && !hasRightBytes(store, id)) return null
    giveAccess(store, path, facts)
    syncDirectory(dirname(path))
    return from ?? 'given its mode and owner'
  })
}

/**
 * What has other names may be another's, an object even, which then would be its owner's to change: a copy takes its place, and a view is
 * mended by that.
 */
function giveAccess(store: Store, path: string, access: Access): void {
  const stat = lstatSync(path)
  if (hasAccess(stat, access)) return
  if (stat.nlink === 1) setAccess(path, access)
  else
    replace(store, path, beside => {
      copyFileSync(path, beside)
      setAccess(beside, access)
    })
}

function hasAccess(stat: Stats, { mode, uid, gid }: Access): boolean {
  const isOwners = process.geteuid?.() !== 0 || (stat.uid === uid && stat.gid === gid)
  return isOwners && (stat.mode & 0o7777) === mode
}

/** chown(2) first, which takes bits of the mode; only root can give files away. */
function setAccess(path: string, { mode, uid, gid }: Access): void {
  if (process.geteuid?.() === 0) lchownSync(path, uid, gid)
  chmodSync(path, mode)
}

/**
 * In a directory that is closed, as the file's own mode may let others read it. False, and all stays, where what was made is not what is
 * `wanted` by then.
 */
function replace(
  store: Store,
  path: string,
  make: (beside: string) => void,
  wanted: SecretFacts | null = null,
  keep = () => {},
): boolean {
  const directory = mkdtempSync(join(store.home, 'tmp', 'secret-'))
  try {
    const beside = join(directory, basename(path))
    return whileSyncing(store, directory, sync => {
      make(beside)
      sync([beside])
      if (wanted !== null && !isFileOf(beside, wanted)) return false
      keep()
      renameSync(beside, path)
      return true
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Whether that can be, as far as is seen without a change. */
export function isSecretMendable(store: Store, id: string): boolean {
  const facts = factsIn(store, id) ?? factsElsewhere(store, id)?.facts ?? null
  if (facts === null) return false
  // What its bytes are is only seen when it is opened: they most likely are those.
  const canBe = hasRightBytes(store, id) || isClosedToOwner(secretPath(store, id), facts)
  return (
    canBe ||
    bytesElsewhere(store, secretPath(store, id), facts) !== null ||
    bytesBelow(store, 'views', facts) !== null ||
    bytesBelow(store, 'quarantine', facts) !== null
  )
}

function factsIn(store: Store, id: string): SecretFacts | null {
  return unlessDamaged(() => readSecretFacts(store, id))
}

/** All that lies in the closed area under a name that the store gives. */
function* placesOf(store: Store): Generator<Place> {
  for (const id of listSecrets(store)) {
    yield { path: secretPath(store, id), isRight: () => isSound(store, id) }
    yield { path: secretFactsPath(store, id), isRight: () => factsIn(store, id) !== null }
  }
}

interface Place {
  readonly path: string
  /** Whether what lies there belongs there. */
  readonly isRight: () => boolean
}

/** What says of itself that it is this one's, in another place. */
function factsElsewhere(store: Store, id: string): { readonly path: string; readonly facts: SecretFacts } | null {
  for (const { path } of placesOf(store)) {
    const facts = unlessDamaged(() => readFactsOf(path, id))
    if (facts !== null) return { path, facts }
  }
  return null
}

function takeFacts(store: Store, id: string): SecretFacts | null {
  const found = factsElsewhere(store, id)
  if (found === null) return null
  const path = secretFactsPath(store, id)
  changePlaces(store, found.path, path)
  const { uid, gid } = lstatSync(store.home)
  giveAccess(store, path, { mode: 0o600, uid, gid })
  syncDirectory(dirname(path))
  return found.facts
}

/** What is in the way may be what belongs into the other's place. */
function changePlaces(store: Store, from: string, to: string): void {
  if (lstatSync(to, { throwIfNoEntry: false }) === undefined) renameSync(from, to)
  else store.system.exchange(from, to)
}

/** Says from where. */
function takeBytes(store: Store, evidence: Evidence, problem: Problem, facts: SecretFacts): string | null {
  const { path } = problem
  giveBack(store, basename(path))
  const other = bytesElsewhere(store, path, facts)
  if (other?.isRight() === false) {
    changePlaces(store, other.path, path)
    return 'it had another’s place'
  }
  const inView = bytesBelow(store, 'views', facts)
  const source = inView ?? other?.path ?? bytesBelow(store, 'quarantine', facts)
  if (source === null) return null
  const make = (beside: string) => {
    // Of a view's file the very inode, so that the view is right, too; another secret keeps its own.
    if (inView !== null && hasAccess(lstatSync(inView), facts)) return linkSync(inView, beside)
    copyFileSync(source, beside)
    setAccess(beside, facts)
  }
  // Its owner may write to what was just found right.
  const isMade = replace(store, path, make, facts, () => {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return
    evidence.note([problem])
    evidence.keep(path)
  })
  if (!isMade) return null
  const from = inView !== null ? 'a view' : other !== null ? 'another secret' : 'the quarantine'
  return `taken from ${from}: ${source}`
}

/** What lies in its place may be all that there is of another. */
function giveBack(store: Store, id: string): void {
  const path = secretPath(store, id)
  for (const other of listSecrets(store)) {
    if (other === id) continue
    const facts = factsIn(store, other)
    if (facts === null) {
      if (factsElsewhere(store, other)?.path === path) takeFacts(store, other)
    } else if (isFileOf(path, facts) && !hasRightBytes(store, other)) {
      changePlaces(store, path, secretPath(store, other))
      giveAccess(store, secretPath(store, other), facts)
    }
  }
}

/** Another's place, in which the bytes are; rather one where they do not belong. */
function bytesElsewhere(store: Store, path: string, facts: SecretFacts): Place | null {
  const having = [...placesOf(store)].filter(place => place.path !== path && isFileOf(place.path, facts))
  return having.find(place => !place.isRight()) ?? having[0] ?? null
}

/** A file that is no other secret's. */
function bytesBelow(store: Store, directory: 'views' | 'quarantine', facts: SecretFacts): string | null {
  const inodes = new Set([...placesOf(store)].map(({ path }) => lstatSync(path, { throwIfNoEntry: false })?.ino))
  for (const file of readableFilesBelow(join(store.home, directory)))
    if (file.size === facts.size && !inodes.has(file.inode) && isFileOf(file.path, facts)) return file.path
  return null
}

function isFileOf(path: string, { sha256, size }: SecretFacts): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat?.isFile() !== true || stat.size !== size) return false
  const outcome = hashPath(path)
  return 'digest' in outcome && outcome.digest === sha256
}

function isSound(store: Store, id: string): boolean {
  return unlessDamaged(() => isSoundSecret(store, id)) === true
}

/** Its owner's, who yet may not read it for its mode; root may read all. */
function isClosedToOwner(path: string, { size }: SecretFacts): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  const isOwn = stat?.isFile() === true && stat.uid !== 0 && stat.uid === process.geteuid?.()
  return isOwn && stat.size === size && (stat.mode & 0o400) === 0
}

function hasRightBytes(store: Store, id: string): boolean {
  const facts = factsIn(store, id)
  return facts !== null && isFileOf(secretPath(store, id), facts)
}

/** null for what is damaged, or not there. */
export function unlessDamaged<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof AppcError || hasCode(error, 'EISDIR', 'ENOENT')) return null
    throw error
  }
}
