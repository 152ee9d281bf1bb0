import { remember } from './remember.js'
import type { FileStat, FileSystem } from './types.js'

/**
 * A file system that is looked at once, however often it is asked, as for a question that supposes it does not change meanwhile. What
 * is opened is looked at anew: who compares what a file was before and after sees the truth.
 */
export function rememberingFileSystem(fs: FileSystem): FileSystem {
  const stats = new Map<string, FileStat | null>()
  const links = new Map<string, string>()
  const names = new Map<string, readonly string[] | null>()
  return {
    ...fs,
    lstat: path => remember(stats, path, () => fs.lstat(path)),
    readlink: path => remember(links, path, () => fs.readlink(path)),
    readdir: path => remember(names, path, () => fs.readdir(path)),
    open: path => {
      stats.delete(path)
      return fs.open(path)
    },
  }
}
