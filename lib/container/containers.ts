import { AppcError } from '../errors.js'
import { collectReplaced, type Freed, removeContainer as removeFromStore } from '../store/collect.js'
import { readObject } from '../store/objects.js'
import { digestOf, listRefs, requireRef } from '../store/refs.js'
import { ifAlone, type Store, withLock } from '../store/store.js'
import { listNames, type Stores } from '../store/stores.js'
import { decodeManifest } from './manifest.js'
import { MAX_MANIFEST_BYTES } from './schema.js'
import type { Manifest } from './types.js'

export interface Container {
  readonly name: string
  /** The home of the store that it is kept in. */
  readonly store: string
  readonly digest: string
  readonly manifest: Manifest
}

/**
 * The container of a name. Its manifest is verified against the digest and the schema. Throws CONTAINER_UNKNOWN,
 * STORE_CORRUPT, MANIFEST_INVALID.
 */
export function readContainer(store: Store, name: string): Container {
  const digest = requireRef(store, name)
  const manifest = readManifest(store, digest)
  if (manifest.name !== name)
    throw new AppcError('STORE_CORRUPT', `the store's ref of ${name} leads to another container`, {
      because: `its manifest is that of ${manifest.name}`,
      hint: `remove ${name} and pack it again`,
    })
  return { name, store: store.home, digest, manifest }
}

/** All containers that a caller finds, sorted by name. */
export function listContainers(stores: Stores): readonly Container[] {
  return listNames(stores).map(({ name, store }) => readContainer(store, name))
}

/** Removes a container, its plans and views, and the objects that no other one needs. */
export function removeContainer(store: Store, name: string): Freed {
  requireRefToRemove(store, name)
  return withLock(store, 'exclusive', () => {
    // Once more: another process may have removed it while this one waited for the lock.
    requireRefToRemove(store, name)
    return removeFromStore(store, name, digest => referencesOf(readManifest(store, digest)))
  })
}

/**
 * Frees what the caller's store holds of containers of the system's that root has replaced since. Does nothing while somebody else uses
 * the store: the next plan makes up for it.
 */
export function freeReplaced(own: Store, system: Store): void {
  ifAlone(own, () => {
    const digests = [own, system].flatMap(store => listRefs(store).map(name => digestOf(store, name)))
    const current = new Set(digests.filter(digest => digest !== null))
    collectReplaced(own, current, digest => referencesOf(readManifest(own, digest)))
  })
}

/** A damaged ref can be removed too. */
function requireRefToRemove(store: Store, name: string): void {
  try {
    requireRef(store, name)
  } catch (error) {
    if (!(error instanceof AppcError && error.code === 'STORE_CORRUPT')) throw error
  }
}

export function readManifest(store: Store, digest: string): Manifest {
  return decodeManifest(readObject(store, digest, false, MAX_MANIFEST_BYTES))
}

function* referencesOf(manifest: Manifest): Iterable<{ sha256: string; executable: boolean }> {
  for (const file of manifest.files)
    if (file.type === 'file') yield { sha256: file.sha256, executable: isExecutable(file.mode) }
}

/** Which of the two kinds of object holds a file of this mode. */
export function isExecutable(mode: number): boolean {
  return (mode & 0o111) !== 0
}
