import { AppcError } from '../errors.js'
import { type Generation, type Generations, readGenerations, readSpare } from '../store/generations.js'
import { objectPath } from '../store/objects.js'
import { listRefs, listSpares, refPath, sparePath } from '../store/refs.js'
import { type Store, withLinks } from '../store/store.js'
import { type ObjectKey, objectKey } from '../upkeep/identities.js'
import { type Catalogue, type NeededFile, type Needs, type Problem, problem } from '../upkeep/problems.js'
import { isExecutable, readManifest } from './containers.js'
import { decodeGeneration } from './generation.js'
import type { NeededMemory } from './needed-memory.js'
import { isSecret, type Settings } from './settings.js'
import type { Manifest, PackedRegular } from './types.js'

/** What the containers of a store need, with all their generations. */
export function catalogueOf(store: Store, memory: NeededMemory): Catalogue {
  return {
    // One that has a second copy alone has lost its ref.
    names: () => [...new Set([...listRefs(store), ...listSpares(store)])].sort(),
    needsOf: name => needsOf(store, memory, name),
    filesOf: name => filesOf(store, memory, name),
  }
}

function needsOf(store: Store, memory: NeededMemory, name: string): Needs {
  const { generations, faults } = readBoth(store, name)
  const needs = generations.map(generation => needsOfGeneration(store, memory, name, generation))
  return {
    keys: () => needs.flatMap(({ keys }) => keys()),
    essence: JSON.stringify([name, generations.map(({ document }) => document)]),
    secrets: needs.flatMap(({ secrets }) => secrets),
    isWhole: (generations.length > 0 || faults.length === 0) && needs.every(({ isWhole }) => isWhole),
    faults: [...faults, ...distinct(needs.flatMap(({ faults }) => faults))],
  }
}

interface Both {
  readonly generations: readonly Generation[]
  readonly faults: readonly Problem[]
}

/** Who writes one and then the other holds the lock `links`. */
function readBoth(store: Store, name: string): Both {
  const both = compareBoth(store, name)
  return both.faults.length === 0 ? both : withLinks(store, () => compareBoth(store, name))
}

/** Where the ref tells nothing the second copy does, as the repair will have it. */
function compareBoth(store: Store, name: string): Both {
  const neededBy = [{ name, path: null }]
  const [ref, spare] = [attempt(() => readGenerations(store, name)), attempt(() => readSpare(store, name))]
  if (isGenerations(ref)) {
    if (isGenerations(spare) && isSame(ref, spare)) return { generations: ref, faults: [] }
    const because =
      spare === null ? 'it is not there' : spare instanceof AppcError ? reason(spare) : 'it says otherwise'
    return { generations: ref, faults: [problem('spare', sparePath(store, name), because, { neededBy })] }
  }
  // Removed since the names were listed.
  if (ref === null && spare === null) return { generations: [], faults: [] }
  const because = ref === null ? 'it is not there' : reason(ref)
  const faults = [problem('ref', refPath(store, name), because, { neededBy })]
  return { generations: isGenerations(spare) ? spare : [], faults }
}

function isGenerations(read: Generations | AppcError | null): read is Generations {
  return Array.isArray(read)
}

function isSame(a: Generations, b: Generations): boolean {
  return a.length === b.length && a.every(({ document }, index) => document === b[index]?.document)
}

function needsOfGeneration(
  store: Store,
  memory: NeededMemory,
  name: string,
  generation: Generation,
): Omit<Needs, 'essence'> {
  const neededBy = [{ name, path: null }]
  const manifest = objectKey(generation.container, false)
  const document = attempt(() => decodeGeneration(name, generation))
  const files = attempt(() => neededKeys(store, memory, generation.container))
  const faults: Problem[] = []
  if (document instanceof AppcError)
    faults.push(problem('document', refPath(store, name), reason(document), { neededBy }))
  // That a manifest has not the bytes that it is named by is told of the object.
  if (files instanceof AppcError && files.code !== 'STORE_CORRUPT') {
    const path = objectPath(store, generation.container, false)
    faults.push(problem('document', path, reason(files), { object: manifest, neededBy }))
  }
  const settings = document instanceof AppcError ? [] : document.settings.files
  return {
    keys: () => [manifest, ...(files instanceof AppcError ? [] : files()), ...settings.flatMap(openKey)],
    secrets: settings.filter(isSecret).map(({ secret, path }) => ({ id: secret, neededBy: { name, path } })),
    isWhole: !(document instanceof AppcError || files instanceof AppcError),
    faults,
  }
}

function openKey(file: Settings['files'][number]): readonly ObjectKey[] {
  return isSecret(file) ? [] : [objectKey(file.sha256, isExecutable(file.mode))]
}

function neededKeys(store: Store, memory: NeededMemory, manifest: string): () => readonly ObjectKey[] {
  const known = memory.keysOf(manifest)
  if (known !== null) return known
  const files = decodeFiles(store, manifest)
  memory.set(manifest, files)
  return () => files.map(({ key }) => key)
}

/** Generations share manifests. */
function distinct(faults: readonly Problem[]): readonly Problem[] {
  return [...new Map(faults.map(fault => [fault.path + fault.because, fault])).values()]
}

function reason(error: AppcError): string {
  return error.because ?? error.message
}

function filesOf(store: Store, memory: NeededMemory, name: string): readonly NeededFile[] {
  const { generations } = readBoth(store, name)
  const manifests = new Set(generations.map(({ container }) => container))
  const settings = generations.flatMap(generation => settingFiles(name, generation))
  const files = [...[...manifests].flatMap(digest => filesOfManifest(store, memory, digest)), ...settings]
  return [...new Map(files.map(file => [`${file.key} ${file.path}`, file])).values()]
}

function settingFiles(name: string, generation: Generation): readonly NeededFile[] {
  const document = attempt(() => decodeGeneration(name, generation))
  if (document instanceof AppcError) return []
  return document.settings.files.flatMap(file =>
    openKey(file).map(key => ({ key, path: file.path, size: file.size, origin: null, settingOf: name })),
  )
}

function filesOfManifest(store: Store, memory: NeededMemory, digest: string): readonly NeededFile[] {
  const own = { key: objectKey(digest, false), path: null, size: null, origin: null }
  const known = memory.filesOf(digest)
  if (known !== null) return [own, ...known]
  const files = attempt(() => decodeFiles(store, digest))
  if (files instanceof AppcError) return [own]
  memory.set(digest, files)
  return [own, ...files]
}

function decodeFiles(store: Store, digest: string): readonly NeededFile[] {
  const manifest = readManifest(store, digest)
  const versions = new Map(manifest.packages.map(({ name, version }) => [name, version]))
  const os = manifest.source.os?.name ?? null
  return regularFiles(manifest).map(file => ({
    key: objectKey(file.sha256, isExecutable(file.mode)),
    path: file.path,
    size: file.size,
    origin: originOf(file, versions, os),
  }))
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
