import { readPolicy } from '../container/host-policy.js'
import { requireCurrent } from '../store/generations.js'
import type { Store } from '../store/store.js'
import { KeptDecisions, type Told, toldOf } from './kept.js'
import { decideHere } from './machine.js'
import { decideContainer } from './prepare.js'
import { factsOf } from './remembered-facts.js'

/**
 * What is decided for a container of `store` on this machine, or on the tree at `root`: as it was told before where nothing has changed
 * since, else decided. It is remembered in the caller's own store. Throws as deciding does.
 */
export function decisionToTell(own: Store, store: Store, name: string, root: string): Told {
  const { container: digest } = requireCurrent(store, name)
  const kept = new KeptDecisions(own, store, { digest, root, policy: readPolicy(store) })
  const known = kept.recall()
  if (known !== null) return known
  const began = BigInt(Date.now()) * 1_000_000n
  const facts = factsOf(own)
  const { decision } = decideHere(store, root, facts, host => decideContainer(store, name, host))
  facts.save()
  kept.keep(decision, began)
  return toldOf(decision)
}
