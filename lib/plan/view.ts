import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { isExecutable } from '../container/containers.js'
import { HOST_BELOW } from '../container/excluded.js'
import type { PlacedNode } from '../decide/types.js'
import { AppcError } from '../errors.js'
import { objectPath } from '../store/objects.js'
import { type Store, withLinks } from '../store/store.js'
import { hasCode, syncDirectory, writing } from '../store/writing.js'
import type { Layer } from './overlays.js'

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
 * The directory trees of private files, hard-linked from the store, one for each overlay. Built aside, synced and renamed into
 * place as a whole, and found again by what it holds: the same decision has the same view. `views` is the directory of one container's,
 * or one program's.
 */
export function buildView(
  store: Store,
  system: ViewSystem,
  views: string,
  layers: readonly Layer[],
): readonly BuiltLayer[] {
  const view = join(store.home, 'views', views, digestOf(layers))
  const built = layers.map(({ target }, index) => ({ target, directory: join(view, String(index)) }))
  if (existsSync(view)) return built
  return writing(store.home, () => {
    const aside = join(store.home, 'tmp', `view-${process.pid}-${Date.now()}`)
    try {
      makeDirectory(aside)
      withLinks(store, () => {
        for (const [index, layer] of layers.entries()) buildLayer(store, system, join(aside, String(index)), layer)
      })
      if (mkdirSync(dirname(view), { recursive: true }) !== undefined) chmodSync(dirname(view), 0o755)
      syncAll(system, aside)
      rename(aside, view)
      syncDirectory(dirname(view))
      return built
    } finally {
      if (existsSync(aside)) withLinks(store, () => rmSync(aside, { recursive: true, force: true }))
    }
  })
}

function buildLayer(store: Store, system: ViewSystem, directory: string, layer: Layer): void {
  for (const path of layer.directories.keys()) mkdirSync(join(directory, path), { mode: 0o700 })
  makeDirectory(join(directory, HOST_BELOW))
  for (const [name, node] of layer.nodes) {
    const path = join(directory, name)
    if (node.kind === 'file') linkObject(store, node.file, path)
    else if (node.kind === 'symlink') symlinkSync(node.target, path)
    else if (node.kind === 'whiteout') system.makeWhiteout(path)
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
  mkdirSync(path)
  chmodSync(path, 0o755)
}

function linkObject(store: Store, file: { readonly sha256: string; readonly mode: number }, path: string): void {
  const object = objectPath(store, file.sha256, isExecutable(file.mode))
  try {
    linkSync(object, path)
  } catch (error) {
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

/** Another process may have built the same view meanwhile: its is as good, being made of the same bytes. */
function rename(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error
  }
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

function spell(node: PlacedNode): readonly (string | boolean)[] {
  switch (node.kind) {
    case 'file':
      return [node.kind, node.file.sha256, isExecutable(node.file.mode)]
    case 'symlink':
      return [node.kind, node.target]
    default:
      return [node.kind]
  }
}
