import { LibraryCache } from './cache.js'
import { hwcapsLevels, searchSubdirectories } from './cpu.js'
import { errorCode, parent, resolvePath } from './file-system.js'
import { remember } from './remember.js'
import { libraryPathOf } from './search.js'
import type { FileSystem, Loader, SearchContext } from './types.js'

/**
 * Every existing path by which a bare soname could be reached without an RPATH or RUNPATH, in search order: LD_LIBRARY_PATH,
 * the cache's entries (variants for better CPUs first), the system directories with their sub-directories. What is laid over
 * one of them alone is bypassed by the others.
 */
export function searchNames(fs: FileSystem, loader: Loader, context: SearchContext, name: string): string[] {
  const glibc = loader.kind === 'glibc'
  const subdirectories = glibc ? searchSubdirectories(loader, context) : ['']
  const below = (directories: readonly string[]) =>
    directories.flatMap(directory =>
      subdirectories.map(sub => `${[directory.replace(/\/+$/, ''), sub].filter(Boolean).join('/')}/${name}`),
    )
  const cached = glibc ? cachedPaths(fs, loader, context, name) : []
  const directories = libraryPathOf(context, loader).filter(directory => directory.startsWith('/'))
  const paths = [...below(directories), ...cached, ...below(loader.systemDirectories)]
  return [...new Set(paths)].filter(path => look(fs, path) !== 'absent')
}

function cachedPaths(fs: FileSystem, loader: Loader, context: SearchContext, name: string): string[] {
  const levels = hwcapsLevels(loader, context)
  const hits = libraryCache(fs, loader)?.hits(name) ?? []
  return hits
    .filter(({ hwcaps }) => hwcaps === null || levels.includes(hwcaps))
    .sort((a, b) => rank(levels, a.hwcaps) - rank(levels, b.hwcaps))
    .map(({ path }) => path)
}

function rank(levels: readonly string[], hwcaps: string | null): number {
  return hwcaps === null ? levels.length : levels.indexOf(hwcaps)
}

const caches = new WeakMap<Loader, LibraryCache | null>()

/** A Loader value belongs to one root, so its cache does. */
function libraryCache(fs: FileSystem, loader: Loader): LibraryCache | null {
  return remember(caches, loader, () => LibraryCache.read(fs, loader))
}

/**
 * A link that leads in circles ends the search of a list of directories, so such a name must be covered like one of a file. A
 * directory that is one is passed over, as if it were not there.
 */
function look(fs: FileSystem, path: string): 'there' | 'absent' | 'circle' {
  try {
    return resolvePath(fs, path).path === null ? 'absent' : 'there'
  } catch (error) {
    return errorCode(error) === 'ELOOP' && look(fs, parent(path)) === 'there' ? 'circle' : 'absent'
  }
}
