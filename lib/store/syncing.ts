import { closeSync, constants, fsyncSync, lstatSync, openSync, statfsSync } from 'node:fs'
import type { Store } from './store.js'
import { hasCode, writing } from './writing.js'

/**
 * Brings all that was written to the disk, of many files by one call: syncfs(2). `paths` are the files that were written, and the directories
 * that names came to, for where that call is not enough.
 */
export type Sync = (paths: Iterable<string | Buffer>) => void

/**
 * Gives `fn` what brings to the disk all that it writes to the file system of `directory`. That is opened before anything is written: the
 * kernel tells each description that was open by then of bytes that it could not write, but whoever opens only after another process has been
 * told hears nothing of it (Linux, lib/errseq.c; syncfs(2) since 5.8).
 */
export function whileSyncing<T>(store: Store, directory: string, fn: (sync: Sync) => T): T {
  const fd = writing(store.home, () => openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY))
  try {
    return fn(syncBy(store, directory, fd))
  } finally {
    closeSync(fd)
  }
}

/** For who has had `fd` open on a directory since before anything was written to its file system. */
export function syncBy(store: Store, directory: string, fd: number): Sync {
  return paths => {
    writing(store.home, () => {
      store.system.syncfs(fd)
      if (isUponAnother(directory)) for (const path of paths) syncOne(path)
    })
  }
}

const [OVERLAYFS, FUSE] = [0x794c7630, 0x65735546]

/**
 * Of overlayfs, syncfs(2) does not tell which bytes could not be written: that is noted for the file system below (Linux, fs/overlayfs/super.c,
 * ovl_sync_fs). Few FUSE servers are asked to sync (fs/fuse/inode.c, fuse_sync_fs). fsync(2) of each file does both.
 */
function isUponAnother(directory: string): boolean {
  return [OVERLAYFS, FUSE].includes(statfsSync(directory).type)
}

function syncOne(path: string | Buffer): void {
  // What went meanwhile, as a directory that a collector found empty, has nothing to lose.
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat?.isFile() && !stat?.isDirectory()) return
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    // Its own mode closes it to its owner: then the call for all must do.
    if (hasCode(error, 'EACCES')) return
    throw error
  }
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
