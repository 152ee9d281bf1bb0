import { createStore, type Store, storeHome } from '../store/store.js'
import { addon } from './addon.js'

/** The caller's store, made if it is not there yet. */
export function openStore(environment: NodeJS.ProcessEnv): Store {
  return openStoreAt(storeHome(environment, process.geteuid?.() ?? 0))
}

export function openStoreAt(home: string): Store {
  const uid = process.geteuid?.() ?? 0
  const store: Store = { home, system: addon() }
  createStore(store, uid)
  return store
}
