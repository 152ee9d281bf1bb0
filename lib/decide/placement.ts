import { NEVER_COVERED } from '../container/excluded.js'
import type { PackedFile, PackedRegular } from '../container/types.js'
import { base, join, parent } from '../loader/file-system.js'
import type { Finder } from './finder.js'
import { type Contents, libraryName } from './home.js'
import { hostDirectory, hostPath, leadsTo, within } from './host-paths.js'
import type { Selection } from './selection.js'
import type { Host, PlacedNode } from './types.js'

export interface Places {
  readonly nodes: ReadonlyMap<string, PlacedNode>
  /** For each private soname the paths on the host at which it lies; the first is where the loader comes first. */
  readonly libraries: ReadonlyMap<string, readonly string[]>
  /** The directories of the host in which the loader looks for libraries by name. */
  readonly searched: ReadonlySet<string>
  /** Private files that have no place, because it is one that is never covered. */
  readonly skipped: readonly PackedFile[]
}

/** Where every private file comes to lie on this host. */
export function place(host: Host, finder: Finder, contents: Contents, selection: Selection): Places {
  const nodes = new Map<string, PlacedNode>()
  const libraries = new Map<string, readonly string[]>()
  const skipped: PackedFile[] = []
  for (const file of contents.manifest.files) {
    if (!selection.isPrivate(file) || isLibraryOrItsName(contents, file) || contents.inPlace.has(file.path)) continue
    const path = hostPath(host.fs, file.path)
    // A directory that the host has already is not to be covered for its own sake, but for what comes into it.
    if (file.type === 'directory' && host.fs.lstat(path)?.kind === 'directory') continue
    if (!coverable(host, path)) {
      if (file.type !== 'directory') skipped.push(file)
    } else if (!path.startsWith('/etc/') || host.fs.lstat(path) === null) {
      // The administrator's configuration is the host's: a packaged file in /etc only fills a gap.
      nodes.set(path, nodeOf(file))
    }
  }
  const chosen = [...selection.sonames].map(soname => contents.libraries.get(soname)).filter(file => file !== undefined)
  for (const file of chosen) {
    const paths = placeLibrary(host, finder, contents, file, homeOfFamily(finder, selection, file), nodes)
    libraries.set(soname(file), paths)
  }
  return { nodes, libraries, searched: new Set(finder.directories), skipped }
}

/** An overlay needs a directory to lie over, and / itself is never one. */
function coverable(host: Host, path: string): boolean {
  const top = path.split('/', 2).join('/')
  const isDirectory = host.fs.lstat(top)?.kind === 'directory'
  return isDirectory && !NEVER_COVERED.some(directory => within(path, directory))
}

/**
 * A private library takes every name by which the host's loader could come to that soname, and every link on the way, since
 * a name that still reached the old file would bring two of them into one process. Where the host has none it lies where it
 * lay in its own tree, if the host's loader searches there, with the rest of its family otherwise. Its own path is its as well.
 */
function placeLibrary(
  host: Host,
  finder: Finder,
  contents: Contents,
  file: PackedRegular,
  familyHome: string | null,
  nodes: Map<string, PlacedNode>,
): readonly string[] {
  const asked = contents.askedAs(soname(file))
  const taken = [soname(file), ...asked].flatMap(name => finder.reachable(name)).filter(path => coverable(host, path))
  const native = hostDirectory(host.fs, parent(file.path))
  const usual = finder.directories.includes(native) ? native : (finder.directories[0] ?? native)
  // A twin for another machine, which its loader passes over, stays what it is.
  const free = [familyHome ?? usual, ...finder.directories].filter(path => isFree(host, join(path, soname(file))))
  const directory = taken[0] === undefined ? (free[0] ?? usual) : parent(taken[0])
  const links = contents.namesOf(file).filter(name => parent(name) === parent(file.path))
  const names = [base(file.path), soname(file), ...asked, ...links.map(base)]
  // Linker scripts and others that know it by its path look for it there (glibc's libm.so, on a host with a /lib of its own).
  const isThere = host.fs.lstat(native)?.kind === 'directory'
  const byPath = isThere ? names.map(name => join(native, name)).filter(path => isFree(host, path)) : []
  const own = [...names.map(name => join(directory, name)), ...byPath]
  const paths = [...new Set([...taken, ...own, ...finder.straysOf(soname(file))])].filter(path => coverable(host, path))
  for (const path of paths) nodes.set(path, { kind: 'file', file })
  return paths
}

/** A link that leads nowhere is nothing to the loader. */
function isFree(host: Host, path: string): boolean {
  return coverable(host, path) && leadsTo(host.fs, path) === null
}

/** Where the first member of a private family lies on the host: the others join it, so that they appear in one mount. */
function homeOfFamily(finder: Finder, selection: Selection, file: PackedRegular): string | null {
  for (const member of selection.familyOf(soname(file))) {
    const first = finder.reachable(member)[0]
    if (first !== undefined) return parent(first)
  }
  return null
}

/**
 * A library, or a link by which the loader finds it: those are placed by soname. A link of another name in another directory (a
 * plugin that is a link to a library) is a file of its package like any other.
 */
function isLibraryOrItsName(contents: Contents, file: PackedFile): boolean {
  if (file.type === 'directory') return false
  if (file.type === 'file') return file.elf?.role === 'library'
  const end = contents.follow(file.path)
  if (end?.elf?.role !== 'library') return false
  return parent(file.path) === parent(end.path) || [base(end.path), soname(end)].includes(base(file.path))
}

function nodeOf(file: PackedFile): PlacedNode {
  if (file.type === 'file') return { kind: 'file', file }
  return file.type === 'symlink' ? { kind: 'symlink', target: file.target } : { kind: 'directory', mode: file.mode }
}

function soname(file: PackedRegular): string {
  return file.elf ? libraryName(file.path, file.elf) : base(file.path)
}
