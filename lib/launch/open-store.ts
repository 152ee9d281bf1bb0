import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { requireVersion, upgradeStore } from '../container/upgrade.js'
import { AppcError } from '../errors.js'
import { frameFaults, requireFrame } from '../store/frame.js'
import { createStore, type Store, storeHome, systemHome } from '../store/store.js'
import { requireOwn, type Stores, storeOf } from '../store/stores.js'
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
  settleStore(store)
  return store
}

/** Makes what is missing of it, and brings it up to date. Throws STORE_CORRUPT where something else lies in its place. */
export function settleStore(store: Store): void {
  requireFrame(store)
  createStore(store, process.geteuid?.() ?? 0)
  upgradeStore(store)
}

/** For who tells or mends what is wrong: a store whose frame is damaged is left as it is. */
export function openStoresToMend(environment: NodeJS.ProcessEnv): Stores {
  const own = openStoreToMend(storeHome(environment, process.geteuid?.() ?? 0))
  return { own, system: systemStore(environment) }
}

/** The store that is to be verified; the caller's own while names cannot be looked up in that. */
export function storeToVerify(stores: Stores, name: string | undefined): Store {
  return name === undefined || frameFaults(stores.own).length > 0 ? stores.own : storeOf(stores, name)
}

/** Throws for a name that the caller's own store has not, where names can be looked up in that. */
export function requireToMend(stores: Stores, name: string | undefined): void {
  if (name !== undefined && frameFaults(stores.own).length === 0) requireOwn(stores, name)
}

export function openStoreToMend(home: string): Store {
  const store: Store = { home, system: addon() }
  requireOwner(home, process.geteuid?.() ?? 0)
  return frameFaults(store).length === 0 ? openStoreAt(home) : store
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
