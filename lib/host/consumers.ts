import { base, isOutOfReach, join, resolvePath } from '../loader/file-system.js'
import type { FileSystem } from '../loader/types.js'

/** Where a system keeps programs. */
const PROGRAM_DIRECTORIES = ['/usr/bin', '/usr/sbin', '/usr/games', '/usr/libexec', '/usr/local', '/bin', '/sbin']
/** Where it keeps libraries, plugins and helpers. */
const LIBRARY_DIRECTORIES = ['/usr/lib', '/usr/lib64', '/usr/lib32', '/lib', '/lib64', '/lib32']
/** Data in great numbers, in which no process of the machine finds code to load. */
const PASSED_OVER = new Set(['debug', 'firmware', 'locale', 'modules', 'node_modules'])

/**
 * Paths of a root's files that may be programs, plugins and libraries, each once, by their names alone: in library directories what
 * is called like a shared object, or has no extension. Links are not followed, as what they lead to is found by itself.
 */
export function consumerPaths(
  fs: FileSystem,
  programs = PROGRAM_DIRECTORIES,
  libraries = LIBRARY_DIRECTORIES,
): readonly string[] {
  const found: string[] = []
  const seen = new Set<string>()
  const begin = (directory: string, wanted: (name: string) => boolean) => {
    // On a merged root /lib is a link to what is looked through already.
    const path = unlessClosed(() => resolvePath(fs, directory).path)
    if (path !== null && !seen.has(path)) walk(fs, path, wanted, found)
    if (path !== null) seen.add(path)
  }
  for (const directory of programs) begin(directory, () => true)
  for (const directory of libraries) begin(directory, mayBeCode)
  return found
}

/** The same of a single path without links in its directories. */
export function mayBeConsumer(path: string): boolean {
  const below = (directory: string) => path.startsWith(`${directory}/`)
  if (PROGRAM_DIRECTORIES.some(below)) return true
  return (
    LIBRARY_DIRECTORIES.some(below) && mayBeCode(base(path)) && !path.split('/').some(part => PASSED_OVER.has(part))
  )
}

function mayBeCode(name: string): boolean {
  return !name.includes('.') || /\.so(\.|$)/.test(name)
}

function walk(fs: FileSystem, path: string, wanted: (name: string) => boolean, found: string[]): void {
  for (const { name, kind } of unlessClosed(() => entriesOf(fs, path)) ?? []) {
    const inside = join(path, name)
    if (kind === 'file' && wanted(name)) found.push(inside)
    if (kind === 'directory' && !PASSED_OVER.has(name)) walk(fs, inside, wanted, found)
  }
}

function entriesOf(fs: FileSystem, path: string): ReturnType<NonNullable<FileSystem['entries']>> {
  if (fs.entries !== undefined) return fs.entries(path)
  return (
    fs.readdir(path)?.map(name => ({ name, kind: unlessClosed(() => fs.lstat(join(path, name)))?.kind ?? 'other' })) ??
    null
  )
}

/** What may not be looked at by this user is not run by this user either. */
function unlessClosed<T>(look: () => T): T | null {
  try {
    return look()
  } catch (error) {
    if (isOutOfReach(error)) return null
    throw error
  }
}
