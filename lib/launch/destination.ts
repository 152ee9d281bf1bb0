import { lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { decodePlan, encodePlan } from '../plan/file.js'
import { MAX_SIZE } from '../plan/layout.js'
import type { Plan } from '../plan/types.js'
import { readRegular } from '../store/regular.js'
import type { Store } from '../store/store.js'
import { hasCode, writeDurably, writing } from '../store/writing.js'

/** Where a plan file is to lie, and the tree that is the host (null: this machine's own root). */
export interface Destination {
  readonly store: Store
  readonly key: string
  readonly root: string | null
}

/** null where there is none, none of this version, one that may not be read, or something in its place that is no file: it is planned anew. */
export function readPlan(destination: Destination): Plan | null {
  const path = planPath(destination)
  try {
    return decodePlan(readRegular(path, MAX_SIZE, `remove ${path}`))
  } catch (error) {
    const unusable = error instanceof AppcError && (error.code === 'PLAN_INVALID' || error.code === 'STORE_CORRUPT')
    if (unusable || hasCode(error, 'ENOENT', 'EACCES', 'EIO')) return null
    throw error
  }
}

/** Under a lock of the store. */
export function writePlan(destination: Destination, plan: Plan): void {
  const { store } = destination
  const path = planPath(destination)
  writing(store.home, () => {
    // rename(2) replaces whatever has the name, but for a directory.
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) rmSync(path, { recursive: true, force: true })
  })
  writeDurably(store, path, encodePlan(plan), 0o644)
}

function planPath({ store, key }: Destination): string {
  return join(store.home, 'plans', key)
}
