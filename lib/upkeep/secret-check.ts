import { accessSync, constants, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { isSoundSecret, listSecrets, secretFactsPath, secretPath } from '../store/secrets.js'
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

/**
 * The same of those that nobody needs, as far as is known: what a lost ref said may be known again. Where all is known, of which `isWhole`
 * tells, one that is there in part is what somebody who was killed has left for the collector.
 */
export function checkUnneededSecrets(
  store: Store,
  needed: readonly NeededSecret[],
  isWhole: boolean,
): readonly Problem[] {
  if (!hasOpenSecrets(store)) return []
  const known = new Set(needed.map(({ id }) => id))
  return listSecrets(store).flatMap(id => {
    if (known.has(id) || (isWhole && !hasBoth(store, id))) return []
    const because = fault(store, id)
    return because === null ? [] : [problem('secret', secretPath(store, id), because)]
  })
}

function hasBoth(store: Store, id: string): boolean {
  const paths = [secretPath(store, id), secretFactsPath(store, id)]
  return paths.every(path => lstatSync(path, { throwIfNoEntry: false }) !== undefined)
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
