import { base, isOutOfReach, join, parent, resolvePath } from '../loader/file-system.js'
import { remember } from '../loader/remember.js'
import type { FileStat, FileSystem } from '../loader/types.js'

const directories = new WeakMap<FileSystem, Map<string, string>>()

/**
 * Where a container's directory lies on the host: the host's symlinks decide (`/lib` of a split tree is `/usr/lib` on a merged
 * one). What does not exist there, or cannot be looked at, is appended to the deepest ancestor that can.
 */
export function hostDirectory(fs: FileSystem, directory: string): string {
  // Thousands of names lie in a few directories, and no file system changes while it is decided for.
  const known = remember(directories, fs, () => new Map<string, string>())
  return remember(known, directory, () => {
    // Not by recursion: a name in LD_LIBRARY_PATH may have thousands of parts.
    const missing: string[] = []
    for (let ancestor = directory; ancestor !== '/'; ancestor = parent(ancestor)) {
      const there = leadsTo(fs, ancestor)
      if (there !== null) return missing.reduceRight(step, there)
      missing.push(base(ancestor))
    }
    return missing.reduceRight(step, '/')
  })
}

/** One name further, where nothing is. */
function step(directory: string, name: string): string {
  if (name === '..') return parent(directory)
  return name === '' || name === '.' ? directory : join(directory, name)
}

/** Where a path leads, without links; null where it leads nowhere, in circles or where nobody may look. */
export function leadsTo(fs: FileSystem, path: string): string | null {
  try {
    return resolvePath(fs, path).path
  } catch (error) {
    if (isOutOfReach(error)) return null
    throw error
  }
}

/** The same for a file or link: its directory's place, and its own name. */
export function hostPath(fs: FileSystem, path: string): string {
  // '..' as in $ORIGIN/../lib.
  return step(hostDirectory(fs, parent(path)), base(path))
}

/**
 * Every name by which the host reaches a file from `path`: the path, each link that it leads through, and the file at the end
 * last. All must become names of what is laid over it, or a host name still reaches the old file. Empty when it dangles.
 */
export function nameChain(fs: FileSystem, path: string): readonly string[] {
  const names = namesTo(fs, path)
  const end = fs.lstat(names.at(-1) as string)
  return end === null || end.kind === 'symlink' ? [] : names
}

/** The same where it dangles or leads in a circle, too: the last is what is missing, or one link too many. */
export function namesTo(fs: FileSystem, path: string): readonly string[] {
  const names = [hostPath(fs, path)]
  for (let hops = 0; hops < 40; hops++) {
    const current = names.at(-1) as string
    if (fs.lstat(current)?.kind !== 'symlink') break
    const target = fs.readlink(current)
    names.push(hostPath(fs, target.startsWith('/') ? target : `${parent(current)}/${target}`))
  }
  return names
}

/** Whether `path` is `directory` or lies below it. */
export function within(path: string, directory: string): boolean {
  return path === directory || directory === '/' || path.startsWith(`${directory}/`)
}

/** The same for all names of one file. */
export function fileIdentity({ dev, ino }: FileStat): string {
  return `${dev}:${ino}`
}
