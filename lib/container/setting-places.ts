import { AppcError } from '../errors.js'
import { base, join, parent } from '../loader/file-system.js'
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
  /** Names by which programs and libraries ask for others; of interpreters the paths, too. */
  readonly asked: ReadonlySet<string>
  /** Files that programs and libraries have in memory when they start, wherever they lie. */
  readonly needed: ReadonlySet<string>
}

function packedIn({ files }: Manifest): Packed {
  const directories = new Set(files.flatMap(file => (file.type === 'directory' ? [file.path] : [])))
  for (const { path } of files)
    for (let up = parent(path); up !== '/' && !directories.has(up); up = parent(up)) directories.add(up)
  const nodes = new Map(files.map(file => [file.path, file]))
  return { nodes, directories, asked: new Set(files.flatMap(namesAsked)), needed: neededOf(nodes) }
}

function neededOf(nodes: Packed['nodes']): ReadonlySet<string> {
  const starts = [...nodes.values()].filter(file => file.type === 'file' && file.elf && file.elf.role !== 'module')
  const needed = new Set(starts.map(({ path }) => path))
  // Grows while it is walked.
  for (const path of needed) {
    const file = nodes.get(path)
    for (const led of Object.values((file?.type === 'file' && file.elf?.resolved) || {})) needed.add(led)
  }
  return needed
}

function namesAsked(file: PackedFile): readonly string[] {
  if (file.type !== 'file' || file.elf === undefined) return []
  const { soname, interpreter, needed, resolved } = file.elf
  const own = [soname, interpreter].filter(name => name !== null)
  const names = [...own, ...needed, ...Object.keys(resolved)]
  return [...names, ...names.map(base)]
}

function checkFile(packed: Packed, path: string): void {
  const place = placeInside(packed, path)
  const there = packed.nodes.get(place)
  if (there !== undefined && isLoaded(packed, there))
    throw taken(
      path,
      'a setting',
      'it is a program or library of the container, and settings come after what is loaded was decided',
      'appc pack --update takes another one into the container',
    )
  if (packed.directories.has(place))
    throw taken(path, 'a setting', 'the container has a directory there', 'set the files in it, each by its path')
  requireNoProgramAbove(packed, place, path, 'a setting')
}

function checkState(packed: Packed, path: string): void {
  const place = placeOf(packed, path)
  if (packed.nodes.get(place)?.type === 'file')
    throw taken(path, 'state', 'the container has a file there', 'state is a directory: choose another path')
  const held = [...packed.nodes.values()].find(file => file.path.startsWith(`${place}/`) && isLoaded(packed, file))
  if (held !== undefined)
    throw taken(
      path,
      'state',
      `${held.path} lies in it, which the container’s programs load`,
      'choose a directory of data',
    )
  requireNoProgramAbove(packed, place, path, 'state')
}

/** Whatever the host has, a program is at its path: its own or the container's. */
function requireNoProgramAbove({ nodes }: Packed, place: string, path: string, what: string): void {
  for (let up = parent(place); up !== '/'; up = parent(up)) {
    const above = nodes.get(up)
    if (above?.type === 'file' && above.elf?.role === 'program')
      throw taken(path, what, `${up} is a program of the container, and no directory`, 'choose another path')
  }
}

/** Directories that are links to those of the same name in /usr on nearly all systems. Manifests have the paths without links. */
const MERGED = /^\/(bin|sbin|lib|lib32|lib64)(\/|$)/

/** Where a directory lies in the container; a file, where the path leads to one. */
function placeOf(packed: Packed, path: string): string {
  const [, top = ''] = path.split('/')
  const merged = `/usr${path}`
  const isMerged = MERGED.test(path) && !packed.nodes.has(`/${top}`) && !packed.directories.has(`/${top}`)
  return withoutLinks(packed, isMerged ? merged : path)
}

/** As long as the kernel goes on. */
const MAX_LINKS = 40

/** The end of a link is told only where it is a file. */
function withoutLinks({ nodes }: Packed, path: string): string {
  const left = path.split('/').reverse()
  let at = '/'
  for (let links = 0, name = left.pop(); name !== undefined; name = left.pop()) {
    const next = name === '..' ? parent(at) : name === '' || name === '.' ? at : join(at, name)
    const there = nodes.get(next)
    if (there?.type !== 'symlink' || ++links > MAX_LINKS) at = next
    else {
      left.push(...there.target.split('/').reverse())
      if (there.target.startsWith('/')) at = '/'
    }
  }
  return at
}

/**
 * A module, which a program opens by its path once it runs, can be exchanged, unless it is needed at the start, too. So can a link to a program, which is launched by its own
 * path, and one to a library where nothing asks for it: by another name, or in a directory of its own that may never be searched.
 */
function isLoaded(packed: Packed, file: PackedFile): boolean {
  if (file.type === 'file') return packed.needed.has(file.path)
  const end = file.type === 'symlink' && file.end !== undefined ? packed.nodes.get(file.end) : undefined
  if (end?.type !== 'file' || end.elf?.role === 'program') return false
  if (!packed.needed.has(end.path) || !packed.asked.has(base(file.path))) return false
  return parent(file.path) === parent(end.path) || isInterpreter(packed, file.path)
}

function isInterpreter(packed: Packed, path: string): boolean {
  return [...packed.asked].some(name => name.startsWith('/') && placeInside(packed, name) === path)
}

/** The same for a file or link: its directory's place, and its own name. */
function placeInside(packed: Packed, path: string): string {
  return join(placeOf(packed, parent(path)), base(path))
}

function taken(path: string, what: string, because: string, hint: string): AppcError {
  return new AppcError('SETTING_INVALID', `${JSON.stringify(path)} cannot be ${what}`, { because, hint })
}
