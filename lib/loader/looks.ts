import type { FileStat, FileSystem } from './types.js'

/** What the paths of a file system were when they were first looked at. */
interface Seen {
  readonly fs: FileSystem
  readonly stats: Map<string, FileStat | null>
  /** Directories whose names were read. */
  readonly read: Set<string>
}

/** Notes what paths of file systems were at the first look, to tell later whether what rests on that still does. */
export class Looks {
  readonly #seen: Seen[] = []

  /** The file system, of which each look is noted. */
  through(fs: FileSystem): FileSystem {
    const stats = new Map<string, FileStat | null>()
    const read = new Set<string>()
    this.#seen.push({ fs, stats, read })
    const look = (path: string): FileStat | null => {
      const stat = fs.lstat(path)
      if (!stats.has(path)) stats.set(path, stat)
      return stat
    }
    return {
      ...fs,
      lstat: look,
      readdir: path => {
        look(path)
        read.add(path)
        return fs.readdir(path)
      },
      open: path => {
        look(path)
        return fs.open(path)
      },
    }
  }

  /**
   * Whether any of these paths, of those that were looked at, is another file now, or came or went. Left out: of all. Names come and go in
   * a directory all the time: that is a change where they were read.
   */
  haveChanged(paths?: readonly string[]): boolean {
    return this.#seen.some(seen => [...(paths ?? seen.stats.keys())].some(path => hasChanged(seen, path)))
  }
}

function hasChanged({ fs, stats, read }: Seen, path: string): boolean {
  const before = stats.get(path)
  if (before === undefined) return false
  const now = fs.lstat(path)
  if (before === null || now === null) return before !== now
  if (before.dev !== now.dev || before.ino !== now.ino || before.mode !== now.mode) return true
  if (before.kind === 'directory' && !read.has(path)) return false
  return before.size !== now.size || before.mtimeNs !== now.mtimeNs || before.ctimeNs !== now.ctimeNs
}
