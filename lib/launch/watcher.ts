import { constants } from 'node:os'
import { join } from 'node:path'
import { getSystemErrorName } from 'node:util'
import { AppcError } from '../errors.js'
import { addon, PLACE, type Watch, type WatchMethod } from './addon.js'

/** Something at a path has changed, by whatever name it was reached. */
export interface Noticed {
  readonly path: string
  /** Bits: BYTES, ATTRIBUTES, NAMES, PLACE (addon.ts). */
  readonly kinds: number
  /** null where the kernel does not tell. */
  readonly process: number | null
}

/** Files and directories that the kernel tells of when they change. */
export class Watcher {
  readonly method: WatchMethod
  readonly #watch: Watch
  /** By the kernel's number, under the last name that it was watched by. */
  readonly #paths = new Map<number, string>()

  private constructor(method: WatchMethod, watch: Watch) {
    this.method = method
    this.#watch = watch
  }

  /** By fanotify, if that is allowed, and can tell files of the file system of this directory apart. */
  static open(directory: string, changed: () => void): Watcher {
    const by = (method: WatchMethod) => new Watcher(method, open(method, changed))
    let watcher: Watcher | null = null
    try {
      watcher = by('fanotify')
      watcher.watchDirectories([directory])
      return watcher
    } catch (error) {
      watcher?.close()
      if (!(error instanceof AppcError && error.code === 'KERNEL_REFUSED')) throw error
      return by('inotify')
    }
  }

  watchDirectories(paths: readonly string[]): void {
    this.#add(paths, true)
  }

  watchFiles(paths: readonly string[]): void {
    this.#add(paths, false)
  }

  #add(paths: readonly string[], areDirectories: boolean): void {
    const watches = addon().watchMany(this.#watch, paths, areDirectories)
    for (const [index, path] of paths.entries()) {
      const number = watches[index] as number
      if (number >= 0) this.#paths.set(number, path)
      else if (!UNSEEN.has(-number)) throw refused(this.method, path, -number)
    }
  }

  /** All that there is by now; `lost`: and more, of which the kernel has lost count. */
  take(): { readonly noticed: readonly Noticed[]; readonly lost: boolean } {
    const { changes, lost } = addon().takeChanges(this.#watch)
    const noticed = changes.flatMap(({ watch, name, kinds, process }) => {
      const known = this.#paths.get(watch)
      if (known === undefined) return []
      // Whoever is still interested in the path watches what is there now.
      if (name === '' && (kinds & PLACE) !== 0) this.#paths.delete(watch)
      return [{ path: name === '' ? known : join(known, name), kinds, process: process === 0 ? null : process }]
    })
    return { noticed, lost }
  }

  close(): void {
    addon().closeWatch(this.#watch)
  }
}

const { ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG } = constants.errno

/** It has gone, or may not be read: its directory is watched, too, and a check tells what is wrong with it. */
const UNSEEN: ReadonlySet<number> = new Set([ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG])

function open(method: WatchMethod, changed: () => void): Watch {
  try {
    return addon().openWatch(method, changed)
  } catch (error) {
    if (!(error instanceof Error && 'errno' in error)) throw error
    throw refused(method, null, Number(error.errno))
  }
}

/** fanotify(7), inotify(7): EMFILE for the queue, ENOSPC for a file in it. */
const LIMITS: Readonly<Record<WatchMethod, Readonly<Record<string, string>>>> = {
  fanotify: { EMFILE: 'fs.fanotify.max_user_groups', ENOSPC: 'fs.fanotify.max_user_marks' },
  inotify: { EMFILE: 'fs.inotify.max_user_instances', ENOSPC: 'fs.inotify.max_user_watches' },
}

function refused(method: WatchMethod, path: string | null, errno: number): AppcError {
  const name = getSystemErrorName(-errno)
  const details = { errno, path, because: path === null ? name : `${path}: ${name}` }
  const limit = LIMITS[method][name]
  if (limit !== undefined) {
    const hint = `sysctl ${limit} shows the limit; as root, raise it: sysctl -w ${limit}=N`
    return new AppcError('WATCH_LIMIT', `the kernel’s limit on what ${method} watches is reached`, { ...details, hint })
  }
  return new AppcError('KERNEL_REFUSED', `the kernel does not watch files by ${method}`, details)
}
