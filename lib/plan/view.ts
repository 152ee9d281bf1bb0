import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { isExecutable } from '../container/containers.js'
import { HOST_BELOW } from '../container/excluded.js'
import { AppcError } from '../errors.js'
import { objectPath } from '../store/objects.js'
import { secretPath } from '../store/secrets.js'
import { type Store, withLinks } from '../store/store.js'
import { hasCode, syncDirectory, writing } from '../store/writing.js'
import type { Layer } from './overlays.js'
import type { LaidNode } from './settings.js'

/** The system calls that a view needs and Node lacks. */
export interface ViewSystem {
  /** mknod(2) of the character device 0/0, which overlayfs takes for "nothing here"; any user may make one. */
  makeWhiteout(path: string): void
  /** syncfs(2). */
  syncfs(fd: number): void
}

/** Where a layer of a built view is. */
export interface BuiltLayer {
  readonly target: string
  readonly directory: string
}

/**
 * The directory trees of private files, hard-linked from the store, one for each overlay, and found again by what they hold: the same
 * decision has the same view. `views` is the directory of one container's, or one program's.
 *
 * A view is built in its place, so that whoever is killed leaves nothing but a part of it, which the next one completes. Nobody uses it
 * before its plan is written. It is whole when its last layer has HOST_BELOW, which is made when all else is on the disk.
 */
export function buildView(
  store: Store,
  system: ViewSystem,
  views: string,
  layers: readonly Layer[],
): readonly BuiltLayer[] {
  const view = join(store.home, 'views', views, digestOf(layers))
  const built = layers.map(({ target }, index) => ({ target, directory: join(view, String(index)) }))
  const last = built.at(-1)
  if (last === undefined || existsSync(join(last.directory, HOST_BELOW))) return built
  return writing(store.home, () => {
    try {
      withLinks(store, () => {
        makeDirectory(dirname(view))
        makeDirectory(view)
        for (const [index, layer] of layers.entries()) {
          const directory = join(view, String(index))
          buildLayer(store, system, directory, layer)
          if (directory !== last.directory) makeDirectory(join(directory, HOST_BELOW))
        }
      })
      syncAll(system, view)
      withLinks(store, () => makeDirectory(join(last.directory, HOST_BELOW)))
      syncDirectory(last.directory)
      return built
    } catch (error) {
      withLinks(store, () => {
        // Another process may have completed it meanwhile.
        if (!existsSync(join(last.directory, HOST_BELOW))) rmSync(view, { recursive: true, force: true })
      })
      throw error
    }
  })
}

function buildLayer(store: Store, system: ViewSystem, directory: string, layer: Layer): void {
  for (const path of layer.directories.keys()) unlessThere(() => mkdirSync(join(directory, path), { mode: 0o700 }))
  for (const [name, node] of layer.nodes) {
    const path = join(directory, name)
    if (node.kind === 'file') linkOwn(objectPath(store, node.file.sha256, isExecutable(node.file.mode)), path)
    else if (node.kind === 'secret') linkOwn(secretPath(store, node.id), path)
    else if (node.kind === 'closed') unlessThere(() => closeSync(openSync(path, 'wx', 0)))
    else if (node.kind === 'symlink') unlessThere(() => symlinkSync(node.target, path))
    else if (node.kind === 'whiteout') unlessThere(() => system.makeWhiteout(path))
  }
  for (const [path, { mode, owner }] of layer.directories) {
    // chown(2) takes the setgid bit. The store's owner must be able to remove it.
    if (owner !== null && process.geteuid?.() === 0) giveAway(join(directory, path), owner)
    chmodSync(join(directory, path), mode | 0o700)
  }
}

/** As far as this root may: in a user namespace there may be no such owner (EINVAL), and one may lack CAP_CHOWN. */
function giveAway(directory: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  try {
    chownSync(directory, uid, gid)
  } catch (error) {
    if (!hasCode(error, 'EINVAL', 'EPERM')) throw error
  }
}

/** Modes that are given to mkdir(2) are cut by the umask. */
function makeDirectory(path: string): void {
  unlessThere(() => mkdirSync(path))
  chmodSync(path, 0o755)
}

/** What was begun has what belongs into this very view: it has the name of what it holds. */
function unlessThere(make: () => void): void {
  try {
    make()
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
}

/** Links a file of the store into a view. */
function linkOwn(object: string, path: string): void {
  try {
    linkSync(object, path)
  } catch (error) {
    if (hasCode(error, 'EEXIST')) {
      if (lstatSync(path).ino === lstatSync(object).ino) return
      // A copy that may be half done, or an object that was found damaged and replaced since.
      unlinkSync(path)
      linkOwn(object, path)
      return
    }
    // A file that occurs in very many places (the empty one) runs into the file system's limit of names for one inode.
    if (!hasCode(error, 'EMLINK')) throw missingObject(error, object)
    copyFileSync(object, path)
  }
}

function missingObject(error: unknown, object: string): unknown {
  if (!hasCode(error, 'ENOENT')) return error
  return new AppcError('STORE_CORRUPT', `the store's object ${object} is not there`, {
    hint: 'pack the container again from its source: what is damaged is replaced',
    cause: error,
  })
}

function syncAll(system: ViewSystem, directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    system.syncfs(fd)
  } finally {
    closeSync(fd)
  }
}

function digestOf(layers: readonly Layer[]): string {
  const hash = createHash('sha256')
  for (const { target, nodes, directories } of layers) {
    hash.update(`${JSON.stringify([target, ...directories])}\n`)
    for (const [path, node] of nodes) hash.update(`${JSON.stringify([path, spell(node)])}\n`)
  }
  return hash.digest('hex').slice(0, 32)
}

function spell(node: LaidNode): readonly (string | boolean)[] {
  switch (node.kind) {
    case 'file':
      return [node.kind, node.file.sha256, isExecutable(node.file.mode)]
    case 'secret':
      return [node.kind, node.id]
    case 'symlink':
      return [node.kind, node.target]
    default:
      return [node.kind]
  }
}
