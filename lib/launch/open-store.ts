import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { requireVersion, upgradeStore } from '../container/upgrade.js'
import { AppcError } from '../errors.js'
import { createStore, type Store, storeHome, systemHome } from '../store/store.js'
import type { Stores } from '../store/stores.js'
import { hasCode, writing } from '../store/writing.js'
import { addon } from './addon.js'

/** The caller's store, made if it is not there yet. */
export function openStore(environment: NodeJS.ProcessEnv): Store {
  return openStoreAt(storeHome(environment, process.geteuid?.() ?? 0))
}

/** The stores in which the caller finds containers. */
export function openStores(environment: NodeJS.ProcessEnv): Stores {
  return { own: openStore(environment), system: systemStore(environment) }
}

/** null too where nobody has made one, and where users may not look into it. */
export function systemStore(environment: NodeJS.ProcessEnv): Store | null {
  const home = systemHome(environment, process.geteuid?.() ?? 0)
  if (home === null) return null
  try {
    accessSync(join(home, 'refs'), constants.R_OK | constants.X_OK)
    const store: Store = { home, system: addon() }
    requireVersion(store)
    return store
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return null
    throw error
  }
}

export function openStoreAt(home: string): Store {
  const uid = process.geteuid?.() ?? 0
  const store: Store = { home, system: addon() }
  requireOwner(home, uid)
  createStore(store, uid)
  upgradeStore(store)
  return store
}

/** Root would do there what its owner has laid out: follow his links, and give his files the modes that he says. */
function requireOwner(home: string, uid: number): void {
  const owner = writing(home, () => statSync(home, { throwIfNoEntry: false }))?.uid
  if (uid !== 0 || owner === undefined || owner === 0) return
  throw new AppcError('STORE_FOREIGN', `the store at ${home} is not root's`, {
    because: `it belongs to the user ${owner}, who could have root do anything by it`,
    hint: 'run appc as its owner',
  })
}
