import { AppcError } from '../errors.js'
import { objectKey } from '../store/identities.js'
import { objectPath } from '../store/objects.js'
import { type Catalogue, type NeededFile, type Needs, type Problem, problem } from '../store/problems.js'
import { digestOf, listRefs, readRef, refPath } from '../store/refs.js'
import type { Store } from '../store/store.js'
import { isExecutable, readManifest } from './containers.js'
import type { Needed, NeededMemory } from './needed-memory.js'
import type { Manifest, PackedRegular } from './types.js'

/** What the containers of a store need, by their refs and manifests. */
export function catalogueOf(store: Store, memory: NeededMemory): Catalogue {
  return {
    names: () => listRefs(store),
    needsOf: name => needsOf(store, memory, name),
    filesOf: name => filesOf(store, name),
  }
}

function needsOf(store: Store, memory: NeededMemory, name: string): Needs {
  const found = attempt(() => readRef(store, name))
  if (found instanceof AppcError) return { keys: [], faults: [fault('ref', refPath(store, name), found, name)] }
  // Removed since the names were listed.
  if (found === null) return { keys: [], faults: [] }
  const document = objectKey(found, false)
  const needed = attempt(() => neededBy(store, memory, found))
  if (needed instanceof AppcError) {
    // That it is not as its name says is told of the object.
    const isObject = needed.code === 'STORE_CORRUPT'
    const path = objectPath(store, found, false)
    const faults = isObject ? [] : [{ ...fault('document', path, needed, name), object: document }]
    return { keys: [document], faults }
  }
  const faults =
    needed.name === name ? [] : [problem('ref', refPath(store, name), `it leads to the manifest of ${needed.name}`)]
  return { keys: [document, ...needed.keys], faults }
}

function neededBy(store: Store, memory: NeededMemory, digest: string): Needed {
  const known = memory.get(digest)
  if (known !== null) return known
  const manifest = readManifest(store, digest)
  const keys = new Set(regularFiles(manifest).map(({ sha256, mode }) => objectKey(sha256, isExecutable(mode))))
  const needed = { name: manifest.name, keys: [...keys] }
  memory.set(digest, needed)
  return needed
}

function fault(kind: Problem['kind'], path: string, error: AppcError, name: string): Problem {
  return problem(kind, path, error.because ?? error.message, { neededBy: [{ name, path: null }] })
}

function filesOf(store: Store, name: string): readonly NeededFile[] {
  const digest = digestOf(store, name)
  if (digest === null) return []
  const document = { key: objectKey(digest, false), path: null, size: null, origin: null }
  const manifest = attempt(() => readManifest(store, digest))
  if (manifest instanceof AppcError) return [document]
  const versions = new Map(manifest.packages.map(({ name, version }) => [name, version]))
  const source = manifest.source.os?.name ?? null
  const files = regularFiles(manifest).map(file => ({
    key: objectKey(file.sha256, isExecutable(file.mode)),
    path: file.path,
    size: file.size,
    origin: originOf(file, versions, source),
  }))
  return [document, ...files]
}

function originOf(
  { package: name }: PackedRegular,
  versions: ReadonlyMap<string, string>,
  os: string | null,
): string | null {
  const from = name === null ? null : [name, versions.get(name)].filter(part => part !== undefined).join(' ')
  return [from, os].filter(part => part !== null).join(' of ') || null
}

function regularFiles({ files }: Manifest): readonly PackedRegular[] {
  return files.filter(file => file.type === 'file')
}

function attempt<T>(read: () => T): T | AppcError {
  try {
    return read()
  } catch (error) {
    if (error instanceof AppcError) return error
    throw error
  }
}
