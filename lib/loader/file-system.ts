import { remember } from './remember.js'
import type { FileStat, FileSystem } from './types.js'

/** Linux follows at most 40 symlinks in one path (MAXSYMLINKS, include/linux/namei.h), then fails with ELOOP. */
const MAX_LINKS = 40

export interface ResolvedPath {
  /** The path without symlinks, or null where it leads nowhere. */
  readonly path: string | null
  /** Every symlink that was walked, by its own path. */
  readonly links: readonly string[]
  /** The nearest name that did not exist, without symlinks before its last component; null when `path` is not. */
  readonly missing: string | null
}

/**
 * Where an absolute path leads inside a file system's root: symlinks are followed, absolute targets stay inside, and '..'
 * never leaves. Throws what the kernel would: ELOOP, EACCES. Directories are remembered for each file system object, which
 * therefore stands for one moment: make a new one to see changes.
 */
export function resolvePath(fs: FileSystem, path: string): ResolvedPath {
  const slash = path.lastIndexOf('/')
  const name = path.slice(slash + 1)
  if (name === '' || name === '.' || name === '..') return walk(fs, path)
  const directory = resolveDirectory(fs, slash <= 0 ? '/' : path.slice(0, slash))
  if (directory.path === null) return directory
  const full = join(directory.path, name)
  const stat = fs.lstat(full)
  if (stat === null) return { path: null, links: directory.links, missing: full }
  if (stat.kind !== 'symlink') return { path: full, links: directory.links, missing: null }
  const target = walk(fs, full)
  return { ...target, links: [...directory.links, ...target.links] }
}

const directories = new WeakMap<FileSystem, Map<string, ResolvedPath>>()

/** resolvePath for a directory, remembered; a path that ends elsewhere than in a directory counts as missing (ENOTDIR). */
export function resolveDirectory(fs: FileSystem, path: string): ResolvedPath {
  const known = remember(directories, fs, () => new Map<string, ResolvedPath>())
  return remember(known, path, () => walk(fs, `${path}/`))
}

function walk(fs: FileSystem, path: string): ResolvedPath {
  const links: string[] = []
  let rest = components(path)
  const mustBeDirectory = /\/\.{0,2}$/.test(path)
  let at = '/'
  let stat: FileStat | null = null
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (stat !== null && stat.kind !== 'directory') return { path: null, links, missing: at }
    if (name === '..') {
      at = parent(at)
      stat = null
      continue
    }
    const full = join(at, name)
    stat = fs.lstat(full)
    if (stat === null) return { path: null, links, missing: full }
    if (stat.kind !== 'symlink') {
      at = full
      continue
    }
    links.push(full)
    if (links.length > MAX_LINKS) throw systemError('ELOOP', full)
    const target = fs.readlink(full)
    if (target === '') return { path: null, links, missing: full }
    if (target.startsWith('/')) at = '/'
    rest = [...rest, ...components(target)]
    stat = null
  }
  if (mustBeDirectory && stat !== null && stat.kind !== 'directory') return { path: null, links, missing: at }
  return { path: at, links, missing: null }
}

/** Components in reverse, to be popped. */
function components(path: string): string[] {
  return path
    .split('/')
    .filter(name => name !== '' && name !== '.')
    .reverse()
}

export function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`
}

export function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

/** The last component. */
export function base(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** An error as Node throws it for a failed system call, for file systems that are not the kernel's. */
export function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: '${path}'`), { code, path })
}

/** The code of a failed system call; anything else is a bug and thrown on. */
export function errorCode(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  if (typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) throw error
  return code
}

/**
 * Whether a path could not be looked at as a loader would for it: it passes over such a path like one that is not there. All else
 * (EIO, ENOMEM) says that the look itself failed.
 */
export function isOutOfReach(error: unknown): boolean {
  return ['EACCES', 'ELOOP', 'ENAMETOOLONG'].includes(errorCode(error))
}

const listings = new WeakMap<FileSystem, Map<string, ReadonlySet<string> | null>>()

/**
 * The names in a directory (a path without symlinks), read once: one readdir is cheaper than a failed look-up for every
 * library. null where it cannot be listed, though names in it may still be reached (x without r).
 */
export function listing(fs: FileSystem, directory: string): ReadonlySet<string> | null {
  const known = remember(listings, fs, () => new Map<string, ReadonlySet<string> | null>())
  return remember(known, directory, () => {
    try {
      const names = fs.readdir(directory)
      return names === null ? null : new Set(names)
    } catch (error) {
      errorCode(error)
      return null
    }
  })
}

/** A whole file of at most `limit` bytes; null where it does not exist, cannot be read, or is longer. */
export function readWhole(fs: FileSystem, path: string, limit: number): Buffer | null {
  try {
    const resolved = resolvePath(fs, path).path
    if (resolved === null) return null
    const file = fs.open(resolved)
    try {
      if (file.size > limit) return null
      const bytes = Buffer.allocUnsafe(file.size)
      return bytes.subarray(0, file.read(bytes, 0))
    } finally {
      file.close()
    }
  } catch (error) {
    errorCode(error)
    return null
  }
}
