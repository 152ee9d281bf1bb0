import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { unreadable } from '../loader/unreadable.js'
import { checkedBody, withChecksum } from './checksum.js'
import { isDigest } from './objects.js'
import { refPath, sparePath, unknownContainer } from './refs.js'
import { readRegular } from './regular.js'
import { type Store, withLinks, withPublishing } from './store.js'
import { hasCode, syncDirectory, writeDurably, writing } from './writing.js'

/** One state of a container, as its ref has it. */
export interface Generation {
  /** From 1; the newest is run. */
  readonly number: number
  /** The sha256 of the container's manifest. */
  readonly container: string
  /** The whole document, one line of JSON (lib/container/generation.ts). */
  readonly document: string
}

/** A container that has generations has at least one. */
export type Generations = readonly [Generation, ...Generation[]]

/** Generations that a ref holds at most: `appc gc --keep` forgets old ones. */
const MAX_GENERATIONS = 1_000
const MAX_BYTES = 1 << 26
const FIRST_LINE = 'appc.ref/1'

/** All generations of a container, oldest first; null when there is no container of that name. Throws STORE_CORRUPT. */
export function readGenerations(store: Pick<Store, 'home'>, name: string): Generations | null {
  const path = refPath(store, name)
  const hint = () => hintFor(store, name)
  const generations = readList(path, name, hint)
  // Whoever makes a container writes the ref first, and whoever removes it removes that last.
  if (generations === null && lstatSync(sparePath(store, name), { throwIfNoEntry: false }) !== undefined)
    throw damaged(path, 'it is gone, and its second copy is there', hint())
  return generations
}

/** The same from the second copy of the ref. */
export function readSpare(store: Pick<Store, 'home'>, name: string): Generations | null {
  return readList(sparePath(store, name), name, () => 'appc repair copies the ref, where that is sound')
}

function hintFor(store: Pick<Store, 'home'>, name: string): string {
  if (hasSpare(store, name)) return 'appc repair mends it from its second copy'
  return `its second copy is of no use, either: appc remove ${name}, and pack it again`
}

function hasSpare(store: Pick<Store, 'home'>, name: string): boolean {
  try {
    return readSpare(store, name) !== null
  } catch (error) {
    if (error instanceof AppcError) return false
    throw error
  }
}

/** `hint` is asked for where it is damaged. */
function readList(path: string, name: string, hint: () => string): Generations | null {
  let text: string
  try {
    text = readRegular(path, MAX_BYTES, '').toString()
  } catch (error) {
    if (error instanceof AppcError) throw damaged(path, error.because ?? error.message, hint(), error)
    if (hasCode(error, 'ENOENT')) return null
    if (hasCode(error, 'EACCES') && isOwn(path)) throw damaged(path, 'its owner may not read it', hint())
    throw unreadable(path, error)
  }
  const generations = decode(text, name)
  if (generations !== null) return generations
  throw damaged(path, `it does not hold a list of generations of ${name} with its checksum`, hint())
}

function isOwn(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.uid === process.geteuid?.()
}

function damaged(path: string, because: string, hint: string, cause?: unknown): AppcError {
  return new AppcError('STORE_CORRUPT', `the store's ref ${path} is damaged`, { because, hint, cause })
}

/** The generation that is run; null when there is no container of that name. Throws STORE_CORRUPT. */
export function currentOf(store: Pick<Store, 'home'>, name: string): Generation | null {
  return readGenerations(store, name)?.at(-1) ?? null
}

/** The same; CONTAINER_UNKNOWN, with the names that there are, when there is none. */
export function requireCurrent(store: Store, name: string): Generation {
  const current = currentOf(store, name)
  if (current !== null) return current
  throw unknownContainer([store], name)
}

/** All generations; none too of a damaged ref, which must not keep its container from being removed. */
export function generationsOrNone(store: Pick<Store, 'home'>, name: string): readonly Generation[] {
  try {
    return readGenerations(store, name) ?? []
  } catch (error) {
    if (error instanceof AppcError && error.code === 'STORE_CORRUPT') return []
    throw error
  }
}

/**
 * Makes `next` the newest generation, if `next.number - 1` is the newest there is (0: the name is free); else false, and nothing is
 * changed. What it leads to must be on the disk. The lock `links` is held, so that of two at once one comes second.
 */
export function publish(store: Store, name: string, next: Generation): boolean {
  return withPublishing(store, () => withLinks(store, () => publishAlone(store, name, next)))
}

function publishAlone(store: Store, name: string, next: Generation): boolean {
  const known = readGenerations(store, name) ?? []
  if ((known.at(-1)?.number ?? 0) !== next.number - 1) return false
  if (known.length >= MAX_GENERATIONS)
    throw new AppcError('STORE_UNWRITABLE', `${name} has ${known.length} generations`, {
      because: 'a ref cannot hold more',
      hint: `forget old ones: appc gc --keep 10`,
    })
  writeGenerations(store, name, [...known, next])
  return true
}

/**
 * Replaces the list as a whole: the ref, which is what counts, and then its second copy. Whoever is killed in between leaves a copy that
 * is behind, which the next one here brings up to date (renewSpare): one that were ahead would, after damage of the ref, bring back what
 * nobody was told of, and of which the collector may have taken the files. Under the lock `links`.
 */
export function writeGenerations(store: Store, name: string, generations: Generations | readonly Generation[]): void {
  const text = encode(generations)
  // Nobody could read it again.
  if (Buffer.byteLength(text) > MAX_BYTES)
    throw new AppcError('STORE_UNWRITABLE', `${name} has more generations than a ref can hold`, {
      hint: 'forget old ones: appc gc --keep 10',
    })
  writeDurably(store, refPath(store, name), text, 0o644)
  writeDurably(store, sparePath(store, name), text, 0o644)
}

/**
 * For whoever finds a ref as it is to be and tells so: whoever made it may have been killed, or have been refused the sync, right after the
 * rename of it or of its second copy, and then that is not on the disk yet.
 */
export function syncRefs(store: Store): void {
  writing(store.home, () => {
    for (const name of ['refs', 'spare']) syncDirectory(join(store.home, name))
  })
}

/**
 * Brings the second copy up to date where it is not as the ref is, which must be sound: a repair by it would return to generations of
 * which the files may be gone. Under the lock `links`.
 */
export function renewSpare(store: Store, name: string): void {
  const generations = readGenerations(store, name)
  if (generations === null) return
  const text = encode(generations)
  if (textOf(sparePath(store, name)) !== text) writeDurably(store, sparePath(store, name), text, 0o644)
}

/** null for what is no such file, not there or not to be read. */
function textOf(path: string): string | null {
  try {
    return readRegular(path, MAX_BYTES, '').toString()
  } catch (error) {
    if (error instanceof AppcError || hasCode(error, 'ENOENT', 'EACCES', 'EIO')) return null
    throw error
  }
}

function encode(generations: readonly Generation[]): string {
  return withChecksum([FIRST_LINE, ...generations.map(({ document }) => document), ''].join('\n'))
}

/** null for what is no such list, or another container's: from that a repair would renew the second copy. */
function decode(text: string, name: string): Generations | null {
  const body = checkedBody(text)
  if (body === null) return null
  const [first, ...lines] = body.slice(0, -1).split('\n')
  if (first !== FIRST_LINE || lines.length === 0) return null
  const generations = lines.map(line => decodeLine(line, name))
  const sound = generations.every(
    (generation, index) => generation !== null && generation.number > (generations[index - 1]?.number ?? 0),
  )
  return sound ? (generations as unknown as Generations) : null
}

function decodeLine(line: string, name: string): Generation | null {
  const { name: itsName, number, container } = parse(line) ?? {}
  if (itsName !== name) return null
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 1) return null
  return typeof container === 'string' && isDigest(container) ? { number, container, document: line } : null
}

interface Line {
  readonly name?: unknown
  readonly number?: unknown
  readonly container?: unknown
}

function parse(line: string): Line | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' ? value : null
  } catch {
    // A list with a right checksum that is none: the caller tells.
    return null
  }
}
