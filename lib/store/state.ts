import { chmodSync, chownSync, lstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { checkName } from './refs.js'
import type { Store } from './store.js'
import { walk } from './walk.js'
import { hasCode, makeDirectory, writing } from './writing.js'

/** Where a container's programs find what they may write, by the path that they know: outside of generations, and never collected. */
export function statePath(store: Pick<Store, 'home'>, name: string, path: string): string {
  return join(stateHome(store, name), path)
}

export function stateHome(store: Pick<Store, 'home'>, name: string): string {
  checkName(name)
  return join(store.home, 'state', name)
}

/**
 * Makes the directory where it is not there yet, with mode and owner of the one that it lies over, as far as this caller may give those;
 * null: there is none. The way to it is closed to others, as what is kept there may be.
 */
export function makeState(store: Store, name: string, path: string, over: string | null): string {
  const home = stateHome(store, name)
  const directory = statePath(store, name, path)
  return writing(store.home, () => {
    if (makeDirectory(home, 0o700)) chmodSync(home, 0o700)
    requireNoLinks(store, name, path)
    if (!makeDirectory(directory, 0o755)) return directory
    const stat = over === null ? undefined : statSync(over, { throwIfNoEntry: false })
    if (stat?.isDirectory() && process.geteuid?.() === 0) chownSync(directory, stat.uid, stat.gid)
    chmodSync(directory, stat?.isDirectory() ? stat.mode & 0o7777 : 0o755)
    return directory
  })
}

/**
 * What programs and archives put there may lead anywhere: on the way to a directory that is mounted there must be no link. Throws
 * STORE_CORRUPT.
 */
export function requireNoLinks(store: Pick<Store, 'home'>, name: string, path: string): void {
  const parts = path.split('/').filter(part => part !== '')
  for (let length = 0; length <= parts.length; length++) {
    const step = join(stateHome(store, name), ...parts.slice(0, length))
    const stat = lstatSync(step, { throwIfNoEntry: false })
    if (stat === undefined) return
    if (!stat.isDirectory())
      throw new AppcError('STORE_CORRUPT', `the state ${path} of ${name} cannot be used`, {
        because: `${step} is no directory`,
        hint: 'move it away: an empty directory is made in its place',
      })
  }
}

/** Bytes of what is there; null where nothing is kept yet. */
export function stateBytes(store: Pick<Store, 'home'>, name: string, path: string): number | null {
  try {
    let sum = 0
    for (const below of walk(Buffer.from(statePath(store, name, path))))
      sum += lstatSync(below, { throwIfNoEntry: false })?.size ?? 0
    return sum
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  }
}
