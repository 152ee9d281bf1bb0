import { remember } from './remember.js'
import type { FileStat, FileSystem } from './types.js'

/** Linux follows at most 40 symlinks in one path (MAXSYMLINKS, include/linux/namei.h), then fails with ELOOP. */
const MAX_LINKS = 40
/** The longest path that the kernel takes, with its NUL (PATH_MAX, include/uapi/linux/limits.h); else ENAMETOOLONG. */
const PATH_MAX = 4096

/** Where a path led, or the nearest name that did not exist (without symlinks before its last component). */
export type ResolvedPath = {
  /** Every symlink that was walked, by its own path. */
  readonly links: readonly string[]
} & (
  | { readonly path: string; readonly stat: FileStat; readonly missing: null }
  | { readonly path: null; readonly stat: null; readonly missing: string }
)

/**
 * Where an absolute path leads inside a file system's root: symlinks are followed, absolute targets stay inside, and '..'
 * never leaves. Throws what the kernel would: ELOOP, EACCES, ENAMETOOLONG. Directories are remembered for each file system
 * object, which therefore stands for one moment: make a new one to see changes.
 */
export function resolvePath(fs: FileSystem, path: string): ResolvedPath {
  checkLength(path)
  return follow(fs, path, 0)
}

/** resolvePath for a directory, remembered; a path that ends elsewhere than in a directory counts as missing (ENOTDIR). */
export function resolveDirectory(fs: FileSystem, path: string): ResolvedPath {
  checkLength(path)
  return directory(fs, path, 0)
}

function checkLength(path: string): void {
  if (Buffer.byteLength(path) >= PATH_MAX) throw systemError('ENAMETOOLONG', path)
}

const directories = new WeakMap<FileSystem, Map<string, ResolvedPath>>()

function directory(fs: FileSystem, path: string, depth: number): ResolvedPath {
  const known = remember(directories, fs, () => new Map<string, ResolvedPath>())
  const ready = known.get(path)
  if (ready !== undefined) return ready
  // From the top down: were each asked for by the next, a path of two thousand would take more stack than there is.
  for (let slash = path.indexOf('/', 1); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const above = path.slice(0, slash)
    remember(known, above, () => asDirectory(follow(fs, above, depth)))
  }
  return remember(known, path, () => asDirectory(follow(fs, path, depth)))
}

function asDirectory(found: ResolvedPath): ResolvedPath {
  if (found.path === null || found.stat.kind === 'directory') return found
  return { path: null, stat: null, links: found.links, missing: found.path }
}

/** `depth` counts links that lead to one another: those of a circle would never end. */
function follow(fs: FileSystem, path: string, depth: number): ResolvedPath {
  const slash = path.lastIndexOf('/')
  const name = path.slice(slash + 1)
  if (slash <= 0 && (name === '' || name === '.' || name === '..')) return at(fs, '/', [])
  const up = directory(fs, slash <= 0 ? '/' : path.slice(0, slash), depth)
  if (up.path === null || name === '' || name === '.') return up
  if (name === '..') return at(fs, parent(up.path), up.links)
  const full = join(up.path, name)
  const stat = fs.lstat(full)
  if (stat === null) return { path: null, stat, links: up.links, missing: full }
  if (stat.kind !== 'symlink') return { path: full, stat, links: up.links, missing: null }
  return followLink(fs, full, up, depth)
}

function followLink(fs: FileSystem, link: string, up: ResolvedPath, depth: number): ResolvedPath {
  if (depth >= MAX_LINKS) throw systemError('ELOOP', link)
  const target = fs.readlink(link)
  if (target === '') return { path: null, stat: null, links: [...up.links, link], missing: link }
  const end = follow(fs, target.startsWith('/') ? target : join(up.path as string, target), depth + 1)
  const links = [...up.links, link, ...end.links]
  if (links.length > MAX_LINKS) throw systemError('ELOOP', link)
  return { ...end, links }
}

function at(fs: FileSystem, path: string, links: readonly string[]): ResolvedPath {
  const stat = fs.lstat(path)
  return stat === null ? { path: null, stat, links, missing: path } : { path, stat, links, missing: null }
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
