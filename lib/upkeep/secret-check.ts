import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { isSoundSecret, secretPath } from '../store/secrets.js'
import type { Store } from '../store/store.js'
import { type NeededBy, type NeededSecret, type Problem, problem } from './problems.js'

/** Secrets that are not as they were set. They are few and small, so each is read; where they are not the caller's to read, none. */
export function checkSecrets(store: Store, needed: readonly NeededSecret[]): readonly Problem[] {
  if (needed.length === 0 || !hasOpenSecrets(store)) return []
  return [...needersOf(needed)].flatMap(([id, neededBy]) => {
    const because = fault(store, id)
    return because === null ? [] : [problem('secret', secretPath(store, id), because, { neededBy })]
  })
}

/** Several generations need the same one for the same path. */
function needersOf(needed: readonly NeededSecret[]): ReadonlyMap<string, readonly NeededBy[]> {
  const needers = new Map<string, NeededBy[]>()
  for (const { id, neededBy } of needed) {
    const known = needers.get(id) ?? []
    if (!known.some(({ name, path }) => name === neededBy.name && path === neededBy.path)) known.push(neededBy)
    needers.set(id, known)
  }
  return needers
}

/** Whether they are the caller's to look at. */
export function hasOpenSecrets(store: Pick<Store, 'home'>): boolean {
  try {
    accessSync(join(store.home, 'secrets'), constants.X_OK | constants.R_OK)
    return true
  } catch {
    return false
  }
}

function fault(store: Store, id: string): string | null {
  try {
    return isSoundSecret(store, id) ? null : 'its size, mode or owner is not as it was set'
  } catch (error) {
    if (error instanceof AppcError) return error.because ?? error.message
    throw error
  }
}
