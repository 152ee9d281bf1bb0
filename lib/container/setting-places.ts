import { AppcError } from '../errors.js'
import { parent } from '../loader/file-system.js'
import type { Store } from '../store/store.js'
import { readManifest } from './containers.js'
import type { GenerationDocument } from './generation.js'
import type { Settings } from './settings.js'
import type { Manifest, PackedFile } from './types.js'

/** Paths that are to be in settings. */
export interface Places {
  readonly files: readonly string[]
  readonly state: readonly string[]
}

export function placesOf({ files, state }: Settings): Places {
  return { files: files.map(({ path }) => path), state }
}

/**
 * What every launch would refuse is refused when it is set. Only what is new is looked at: what an update of the content has made
 * impossible must not stand in the way of other changes, its own removal among them. Throws SETTING_INVALID.
 */
export function checkPlaces(store: Store, { container, settings }: GenerationDocument, wanted: Places): void {
  const known = placesOf(settings)
  const files = wanted.files.filter(path => !known.files.includes(path))
  const state = wanted.state.filter(path => !known.state.includes(path))
  // A manifest may have megabytes.
  if (files.length === 0 && state.length === 0) return
  const packed = packedIn(readManifest(store, container))
  for (const path of files) checkFile(packed, path)
  for (const path of state) checkState(packed, path)
}

interface Packed {
  readonly nodes: ReadonlyMap<string, PackedFile>
  /** Those too that the manifest does not mention by themselves. */
  readonly directories: ReadonlySet<string>
}

function packedIn({ files }: Manifest): Packed {
  const directories = new Set(files.flatMap(file => (file.type === 'directory' ? [file.path] : [])))
  for (const { path } of files)
    for (let up = parent(path); up !== '/' && !directories.has(up); up = parent(up)) directories.add(up)
  return { nodes: new Map(files.map(file => [file.path, file])), directories }
}

function checkFile({ nodes, directories }: Packed, path: string): void {
  const there = nodes.get(path)
  if (there !== undefined && isLoaded(there))
    throw taken(
      path,
      'a setting',
      'it is a program or library of the container, and settings come after what is loaded was decided',
      'appc pack --update takes another one into the container',
    )
  if (directories.has(path))
    throw taken(path, 'a setting', 'the container has a directory there', 'set the files in it, each by its path')
}

function checkState({ nodes }: Packed, path: string): void {
  const there = nodes.get(path)
  const end = there?.type === 'symlink' && there.end !== undefined ? nodes.get(there.end) : there
  if (end?.type === 'file')
    throw taken(path, 'state', 'the container has a file there', 'state is a directory: choose another path')
  const held = [...nodes.values()].find(file => isLoaded(file) && file.path.startsWith(`${path}/`))
  if (held !== undefined)
    throw taken(
      path,
      'state',
      `${held.path} lies in it, which the container’s programs load`,
      'choose a directory of data',
    )
}

/** A module, which a program opens by its path once it runs, can be exchanged. */
function isLoaded(file: PackedFile): boolean {
  return file.type === 'file' && file.elf !== undefined && file.elf.role !== 'module'
}

function taken(path: string, what: string, because: string, hint: string): AppcError {
  return new AppcError('SETTING_INVALID', `${JSON.stringify(path)} cannot be ${what}`, { because, hint })
}
