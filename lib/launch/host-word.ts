import { readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Store } from '../store/store.js'
import { hasCode, makeDirectory, removeIfPossible } from '../store/writing.js'
import { addon } from './addon.js'

/**
 * Leaves word in the store that no container's overlays are in the way in this mount namespace, and of which level the processor is: until
 * the next boot launches need not find it out (native/core/known-host.h). A link, since its text is read by one call. Where it cannot
 * be left, or this is the inside of a container, they do.
 */
export function leaveWord({ home }: Store): void {
  const word = addon().describeHost()
  const path = join(home, 'cache', 'host')
  if (word === null || linkedTo(path) === word) return
  const aside = `${path}.${process.pid}`
  try {
    makeDirectory(join(home, 'cache'), 0o755)
    // Left by a process that was killed and had the same number.
    rmSync(aside, { force: true })
    symlinkSync(word, aside)
    renameSync(aside, path)
  } catch {
    removeIfPossible(aside)
  }
}

function linkedTo(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EINVAL', 'ENOTDIR', 'EACCES')) return null
    throw error
  }
}
