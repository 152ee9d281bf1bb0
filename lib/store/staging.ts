import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Store, withLinks } from './store.js'
import { type Sync, whileSyncing } from './syncing.js'
import { writing } from './writing.js'

/**
 * Runs `fn` with a directory of its own below tmp/, in which files wait for their names, and with what brings them to the disk. What is in it
 * when `fn` ends is removed. To be called under the shared lock.
 */
export function whileStaging<T>(store: Store, kind: string, fn: (directory: string, sync: Sync) => T): T {
  const directory = writing(store.home, () => mkdtempSync(join(store.home, 'tmp', `${kind}-`)))
  // What has been placed loses its name here.
  const remove = () =>
    withLinks(store, () => writing(store.home, () => rmSync(directory, { recursive: true, force: true })))
  let result: T
  try {
    result = whileSyncing(store, directory, sync => fn(directory, sync))
  } catch (error) {
    try {
      remove()
    } catch {
      // Why it failed counts; what stays in tmp/ is cleared by who comes next.
    }
    throw error
  }
  remove()
  return result
}
