import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { unreadable } from '../loader/unreadable.js'
import { generationsOrNone, renewSpare, writeGenerations } from '../store/generations.js'
import { isDigest } from '../store/objects.js'
import { listRefs, refPath, sparePath } from '../store/refs.js'
import { readRegular } from '../store/regular.js'
import { addChecksum, listSecrets } from '../store/secrets.js'
import { type Store, withLinks, withLock } from '../store/store.js'
import { whileSyncing } from '../store/syncing.js'
import { hasCode, writeDurably } from '../store/writing.js'
import { encodeGeneration } from './generation.js'
import { NO_SETTINGS } from './settings.js'

/** The layout of stores that this appc reads and writes (docs/formats.md, "Store"). */
const VERSION = 3
const MAX_BYTES = 16

/**
 * Brings a store of an older layout up to date; a new one is born so. Throws STORE_VERSION for a newer one. Each step leaves what this
 * can go on with, whenever it is killed, and the version is written last.
 */
export function upgradeStore(store: Store): void {
  if (readVersion(store) === VERSION) return
  withLock(store, 'exclusive', () => {
    if (readVersion(store) === VERSION) return
    whileSyncing(store, store.home, sync => {
      for (const name of listRefs(store)) upgradeRef(store, name)
      for (const id of listSecrets(store)) addChecksum(store, id)
      // Whoever was killed here before had not synced all of what is found as it is to be; nor are the names of new directories.
      sync(['', 'refs', 'spare', 'secrets'].map(name => join(store.home, name)).filter(existsSync))
    })
    writeDurably(store, versionPath(store), `${VERSION}\n`, 0o644)
  })
}

/** The same for a store that the caller cannot write. Throws STORE_VERSION for an older one as well. */
export function requireVersion(store: Store): void {
  if (readVersion(store) === VERSION) return
  throw new AppcError('STORE_VERSION', `the store at ${store.home} was made by an older appc`, {
    hint: 'have its owner run appc list once, which brings it up to date',
  })
}

function versionPath({ home }: Store): string {
  return join(home, 'version')
}

/** null for a store from before there were versions. */
function readVersion(store: Store): number | null {
  let text: string
  try {
    text = readRegular(versionPath(store), MAX_BYTES, `write ${VERSION} into it`).toString()
  } catch (error) {
    if (error instanceof AppcError) throw error
    if (hasCode(error, 'ENOENT')) return null
    throw unreadable(versionPath(store), error)
  }
  const version = /^[0-9]{1,9}\n$/.test(text) ? Number(text) : 0
  if (version >= 1 && version <= VERSION) return version
  throw new AppcError('STORE_VERSION', `the store at ${store.home} cannot be used`, {
    because: version > VERSION ? `it was made by a newer appc: its version is ${version}` : 'its version is damaged',
    hint:
      version > VERSION ? 'use that one' : `if no newer appc has used it, write ${VERSION} into ${versionPath(store)}`,
  })
}

/** A digest and a newline. */
const FIRST_BYTES = 65

function readFirst(path: string): string {
  try {
    return readRegular(path, FIRST_BYTES, 'remove it').toString('latin1')
  } catch (error) {
    throw error instanceof AppcError ? error : unreadable(path, error)
  }
}

/** In version 1 a ref was the digest of a manifest and a newline. What is something else was converted, or is damaged and left. */
function upgradeRef(store: Store, name: string): void {
  const path = refPath(store, name)
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat?.isFile()) return
  const text = stat.size === FIRST_BYTES ? readFirst(path) : ''
  const container = text.slice(0, -1)
  if (text.endsWith('\n') && isDigest(container)) convertRef(store, name, container, stat.mtime)
  else completeRef(store, name)
}

function convertRef(store: Store, name: string, container: string, mtime: Date): void {
  const schema = 'appc.generation/1'
  const made = mtime.toISOString()
  const first = encodeGeneration({ schema, name, number: 1, made, by: 'upgrade', container, settings: NO_SETTINGS })
  withLinks(store, () => writeGenerations(store, name, [first]))
}

/** Whoever converted it may have been killed before its second copy. What is damaged, or lies where that is to be, a repair mends. */
function completeRef(store: Store, name: string): void {
  const spare = lstatSync(sparePath(store, name), { throwIfNoEntry: false })
  const isPossible = spare === undefined || spare.isFile()
  if (isPossible && generationsOrNone(store, name).length > 0) withLinks(store, () => renewSpare(store, name))
}
