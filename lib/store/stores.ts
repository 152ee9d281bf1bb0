import { AppcError } from '../errors.js'
import { hasRef, listRefs, unknownContainer } from './refs.js'
import type { Store } from './store.js'

/** Where a caller's containers are. */
export interface Stores {
  /** The caller's, and the only one that is written. */
  readonly own: Store
  /** Root's, of which an ordinary user finds the containers that he has not himself; null where there is none besides. */
  readonly system: Store | null
}

/** The store that a name leads to: a damaged container is one, too. Throws CONTAINER_UNKNOWN. */
export function storeOf({ own, system }: Stores, name: string): Store {
  const stores = system === null ? [own] : [own, system]
  const found = stores.find(store => hasRef(store, name))
  if (found !== undefined) return found
  throw unknownContainer(stores, name)
}

/** What a caller finds, sorted by name, with the store that each name leads to. */
export function listNames({ own, system }: Stores): readonly { readonly name: string; readonly store: Store }[] {
  const names = listRefs(own)
  const others = system === null ? [] : listRefs(system).filter(name => !names.includes(name))
  return [...names.map(name => ({ name, store: own })), ...others.map(name => ({ name, store: system as Store }))].sort(
    (a, b) => (a.name < b.name ? -1 : 1),
  )
}

/** Throws CONTAINER_UNKNOWN; STORE_UNWRITABLE for a container of the system's, which is not the caller's to change. */
export function requireOwn(
  stores: Stores,
  name: string,
  hint = `make one of your own of it: appc copy ${name} my-${name}`,
): void {
  if (storeOf(stores, name) === stores.own) return
  throw new AppcError('STORE_UNWRITABLE', `${name} is a container of the system`, {
    because: `it is kept for all users in ${stores.system?.home}`,
    hint,
  })
}
