import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { isSoundSecret, secretPath } from '../store/secrets.js'
import type { Store } from '../store/store.js'
import { type Problem, problem } from './problems.js'

/** Secrets that are not as they were set. They are few and small, so each is read; where they are not the caller's to read, none. */
export function checkSecrets(store: Store, ids: ReadonlySet<string>): readonly Problem[] {
  if (ids.size === 0 || !isOpen(store)) return []
  return [...ids].flatMap(id => {
    const because = fault(store, id)
    return because === null ? [] : [problem('secret', secretPath(store, id), because)]
  })
}

function isOpen(store: Store): boolean {
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
