import { errorCode, join, parent, resolvePath } from '../loader/file-system.js'
import type { FileSystem } from '../loader/types.js'

/** The one canonical form of paths in a root. Lists of a merged tree say /lib/…, where the file is /usr/lib/…. */
export interface Canonicalizer {
  /**
   * Symlinks in the path's directories resolved, the last component as it is. What does not exist stays as written, and so does
   * what the caller may not look into.
   */
  path(path: string): string
  /** The same with the last component resolved too. */
  directory(path: string): string
}

export function canonicalizer(fs: FileSystem): Canonicalizer {
  const directories = new Map([['/', '/']])
  const directory = (path: string): string => {
    const known = directories.get(path)
    if (known !== undefined) return known
    const own = canonical(path)
    const found = isLink(fs, own) ? (resolvePath(fs, own).path ?? own) : own
    directories.set(path, found)
    return found
  }
  const canonical = (path: string): string => {
    const slash = path.lastIndexOf('/')
    const up = directory(path.slice(0, slash) || '/')
    const name = path.slice(slash + 1)
    // From $ORIGIN/../lib; by the file system and not by the text: it is the parent of where the directory's links end.
    if (name === '..') return parent(up)
    if (name === '' || name === '.') return up
    // Most are canonical already; making a hundred thousand strings anew costs more than all the rest.
    return up.length === slash && path.startsWith(up) ? path : join(up, name)
  }
  return { path: canonical, directory }
}

function isLink(fs: FileSystem, path: string): boolean {
  try {
    return fs.lstat(path)?.kind === 'symlink'
  } catch (error) {
    if (errorCode(error) === 'EACCES') return false
    throw error
  }
}
