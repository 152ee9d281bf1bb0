import { errorCode, join, parent, resolvePath } from '../loader/file-system.js'
import { remember } from '../loader/remember.js'
import type { FileStat, FileSystem } from '../loader/types.js'
import type { DescribedDirectory } from './described.js'

/** Where a system keeps what is the same for all its users. What lies elsewhere is the users', or the machine's state. */
const SURVEYED = ['/usr', '/etc', '/opt', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']

/** No path is longer (PATH_MAX), and what lies deeper can be named by nobody. */
const LONGEST = 4096 - 256

interface Row extends DescribedDirectory {
  readonly files: Record<string, readonly [number, number]>
  readonly links: Record<string, string>
  readonly others: string[]
}

/** What a root looks like: all below the system's own directories, and single paths besides. Links are not followed. */
export class Survey {
  readonly #rows = new Map<string, Row>()
  readonly #names = new Map<string, string[]>()
  readonly #closed: Record<string, string> = {}
  readonly #seen = new Set<string>()

  constructor(private readonly fs: FileSystem) {
    this.#look('/', this.#stat('/'))
    for (const name of this.#list('/')) this.add(join('/', name))
    for (const directory of SURVEYED) this.#walk(directory)
  }

  /** With the directories above it; nothing where there is nothing, or behind a link. */
  add(path: string): void {
    if (this.#seen.has(path)) return
    const up = parent(path)
    if (path !== '/') this.add(up)
    if (this.#rows.has(up)) this.#look(path, this.#stat(path))
  }

  /** A path and what it leads to; of a directory all that is in it. */
  addAll(path: string): void {
    const end = this.addChain(path)
    if (end !== null && this.#rows.has(end)) for (const name of this.#list(end)) this.addChain(join(end, name))
  }

  /** A path, and each that its links lead through; where that ends, null for nowhere. */
  addChain(path: string): string | null {
    const found = this.#unlessClosed(path, () => resolvePath(this.fs, path))
    for (const name of found?.links ?? []) this.add(name)
    if (found?.path) this.add(found.path)
    return found?.path ?? null
  }

  close(path: string, code: string): void {
    this.#closed[path] = code
  }

  /** Regular files, with their permission bits. */
  *files(): Generator<readonly [path: string, mode: number]> {
    for (const { path, files } of this.#rows.values())
      for (const [name, [, mode]] of Object.entries(files)) yield [join(path, name), mode]
  }

  *links(): Generator<string> {
    for (const { path, links } of this.#rows.values()) for (const name of Object.keys(links)) yield join(path, name)
  }

  result() {
    const directories: readonly DescribedDirectory[] = [...this.#rows.values()]
    return {
      directories,
      sameFiles: [...this.#names.values()].filter(names => names.length > 1),
      closed: this.#closed,
    }
  }

  #walk(directory: string): void {
    if (!this.#rows.has(directory) || directory.length > LONGEST) return
    for (const name of this.#list(directory)) {
      const path = join(directory, name)
      if (!this.#seen.has(path)) this.#look(path, this.#stat(path))
      this.#walk(path)
    }
  }

  #look(path: string, stat: FileStat | null): void {
    this.#seen.add(path)
    // Vanished, or a name that is not UTF-8, by which nothing can be looked up.
    if (stat === null) return
    const row = this.#rows.get(parent(path))
    const name = path.slice(path.lastIndexOf('/') + 1)
    const mode = stat.mode & 0o7777
    if (stat.kind === 'directory') this.#rows.set(path, { path, mode, files: nothing(), links: nothing(), others: [] })
    else if (stat.kind === 'symlink') (row as Row).links[name] = this.fs.readlink(path)
    else if (stat.kind === 'other') (row as Row).others.push(name)
    else {
      ;(row as Row).files[name] = [stat.size, mode]
      if (stat.links !== 1) remember(this.#names, `${stat.dev}:${stat.ino}`, () => [] as string[]).push(path)
    }
  }

  #stat(path: string): FileStat | null {
    return this.#unlessClosed(path, () => this.fs.lstat(path))
  }

  #list(path: string): readonly string[] {
    return this.#unlessClosed(path, () => this.fs.readdir(path)) ?? []
  }

  #unlessClosed<T>(path: string, look: () => T): T | null {
    try {
      return look()
    } catch (error) {
      this.#closed[path] = errorCode(error)
      return null
    }
  }
}

/** Without a prototype, as a file may be called __proto__. */
function nothing<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>
}
