import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { objectPath } from '../store/objects.js'
import { secretPath } from '../store/secrets.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import type { Attributes } from './overlays.js'
import type { ListedNode } from './view-list.js'

/** The system calls that a view needs and Node lacks. */
export interface ViewSystem {
  /** mknod(2) of the character device 0/0, which overlayfs takes for "nothing here"; any user may make one. */
  makeWhiteout(path: string): void
}

/** Makes what a view has at a path; EEXIST where something is. */
export function makeNode(store: Store, system: ViewSystem, node: ListedNode, path: string): void {
  if (node.kind === 'file') linkObject(objectPath(store, node.sha256, node.executable), path)
  else if (node.kind === 'secret') linkObject(secretPath(store, node.id), path)
  else if (node.kind === 'closed') closeSync(openSync(path, 'wx', 0))
  else if (node.kind === 'symlink') symlinkSync(node.target, path)
  else system.makeWhiteout(path)
}

/** The same in the place of what is there. A program that runs with the view finds the one or the other, never nothing. */
export function replaceNode(store: Store, system: ViewSystem, node: ListedNode, path: string): void {
  const aside = join(store.home, 'tmp', `node-${crypto.randomUUID()}`)
  try {
    makeNode(store, system, node, aside)
    // rename(2) puts nothing in the place of a directory.
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) rmSync(path, { recursive: true, force: true })
    renameSync(aside, path)
  } finally {
    rmSync(aside, { force: true })
  }
}

function linkObject(object: string, path: string): void {
  try {
    linkSync(object, path)
  } catch (error) {
    // A file that occurs in very many places (the empty one) runs into the file system's limit of names for one inode.
    if (!hasCode(error, 'EMLINK')) throw missingObject(error, object)
    copyFileSync(object, path, constants.COPYFILE_EXCL)
  }
}

function missingObject(error: unknown, object: string): unknown {
  if (!hasCode(error, 'ENOENT')) return error
  return new AppcError('STORE_CORRUPT', `the store's object ${object} is not there`, {
    hint: 'appc repair mends what can be mended, and says what helps else',
    cause: error,
  })
}

/** Makes a directory of a view, or gives the one that is there what it should have; one that is right is not touched. */
export function makeDirectory(path: string, { mode, owner }: Attributes): void {
  unlessThere(() => mkdirSync(path, { mode: 0o700 }))
  // chown(2) takes the setgid bit. The store's owner must be able to remove it.
  if (owner !== null && process.geteuid?.() === 0) giveAway(path, owner)
  if ((lstatSync(path).mode & 0o7777) !== (mode | 0o700)) chmodSync(path, mode | 0o700)
}

/** As far as this root may: in a user namespace there may be no such owner (EINVAL), and one may lack CAP_CHOWN. */
function giveAway(directory: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  const stat = lstatSync(directory)
  if (stat.uid === uid && stat.gid === gid) return
  try {
    chownSync(directory, uid, gid)
  } catch (error) {
    if (!hasCode(error, 'EINVAL', 'EPERM')) throw error
  }
}

/** What was begun has what belongs into this very view: it has the name of what it holds. */
export function unlessThere(make: () => void): void {
  try {
    make()
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
}
