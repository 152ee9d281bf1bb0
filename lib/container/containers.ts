import { generationsOrNone, readGenerations, requireCurrent } from '../store/generations.js'
import { readObject } from '../store/objects.js'
import { hasRef, listRefs, unknownContainer } from '../store/refs.js'
import { ifAlone, type Store, withLock } from '../store/store.js'
import { listNames, type Stores } from '../store/stores.js'
import { collectReplaced, type Freed, removeContainer as removeFromStore } from '../upkeep/collect.js'
import type { NeedsOf, ObjectName } from '../upkeep/marks.js'
import { decodeGeneration, type GenerationDocument } from './generation.js'
import { decodeManifest } from './manifest.js'
import { MAX_MANIFEST_BYTES } from './schema.js'
import { isSecret, type Settings } from './settings.js'
import type { Manifest } from './types.js'

export interface Container {
  readonly name: string
  /** The home of the store that it is kept in. */
  readonly store: string
  /** Of the manifest: what was packed, however it is set up. */
  readonly digest: string
  readonly manifest: Manifest
  /** The number of the generation that this is. */
  readonly generation: number
  readonly settings: Settings
}

/**
 * The container of a name, as its newest generation has it. The manifest is verified against its digest and schema.
 * Throws CONTAINER_UNKNOWN, STORE_CORRUPT, MANIFEST_INVALID.
 */
export function readContainer(store: Store, name: string): Container {
  const { settings, number, container } = readCurrent(store, name)
  return {
    name,
    store: store.home,
    digest: container,
    manifest: readManifest(store, container),
    generation: number,
    settings,
  }
}

/** The newest generation. Throws CONTAINER_UNKNOWN, STORE_CORRUPT. */
export function readCurrent(store: Store, name: string): GenerationDocument {
  return decodeGeneration(name, requireCurrent(store, name))
}

/** All generations of a container, oldest first. Throws CONTAINER_UNKNOWN, STORE_CORRUPT. */
export function readDocuments(store: Store, name: string): readonly GenerationDocument[] {
  const generations = readGenerations(store, name)
  if (generations === null) throw unknownContainer([store], name)
  return generations.map(generation => decodeGeneration(name, generation))
}

/** All containers that a caller finds, sorted by name. */
export function listContainers(stores: Stores): readonly Container[] {
  return listNames(stores).map(({ name, store }) => readContainer(store, name))
}

/** Removes a container, its plans and views, and the objects that no other one needs. */
export function removeContainer(store: Store, name: string): Freed {
  requireRef(store, name)
  return withLock(store, 'exclusive', () => {
    // Once more: another process may have removed it while this one waited for the lock.
    requireRef(store, name)
    return removeFromStore(store, name, needsIn(store))
  })
}

/**
 * Frees what the caller's store holds of containers of the system's that root has replaced since. Does nothing while somebody else uses
 * the store: the next plan makes up for it.
 */
export function freeReplaced(own: Store, system: Store): void {
  ifAlone(own, () => {
    const all = [own, system].flatMap(store => listRefs(store).flatMap(name => generationsOrNone(store, name)))
    collectReplaced(own, new Set(all.map(({ container }) => container)), needsIn(own))
  })
}

/** A damaged ref can be removed too. */
function requireRef(store: Store, name: string): void {
  if (!hasRef(store, name)) throw unknownContainer([store], name)
}

export function readManifest(store: Store, digest: string): Manifest {
  return decodeManifest(readObject(store, digest, false, MAX_MANIFEST_BYTES))
}

/** What generations of this store need. Of many with one manifest that is read once. */
export function needsIn(store: Store): NeedsOf {
  const known = new Map<string, readonly ObjectName[]>()
  const filesOf = (digest: string) => {
    const files = known.get(digest) ?? objectsOf(readManifest(store, digest))
    known.set(digest, files)
    return files
  }
  return (name, generation) => {
    const { container, settings } = decodeGeneration(name, generation)
    const { files } = settings
    const open = files.flatMap(file => (isSecret(file) ? [] : [asObject(file)]))
    return { objects: [...filesOf(container), ...open], secrets: files.filter(isSecret).map(({ secret }) => secret) }
  }
}

function objectsOf({ files }: Manifest): readonly ObjectName[] {
  return files.flatMap(file => (file.type === 'file' ? [asObject(file)] : []))
}

function asObject({ sha256, mode }: { readonly sha256: string; readonly mode: number }): ObjectName {
  return { sha256, executable: isExecutable(mode) }
}

/** Which of the two kinds of object holds a file of this mode. */
export function isExecutable(mode: number): boolean {
  return (mode & 0o111) !== 0
}
