import { closeSync } from 'node:fs'
import { AppcError } from '../errors.js'
import { refreshPlan } from '../plan/refresh.js'
import { holdLinks, type Store, whileUnpublished, withLock, withPlanning } from '../store/store.js'
import { usualCare } from './care.js'
import { type Destination, readPlan, writePlan } from './destination.js'
import { circumstances } from './machine.js'

/**
 * Brings the plan up to date: without deciding anew where it holds by now, since another launch has made it meanwhile, or where all that
 * changed is that its private files got other links; else by `prepare`. Of launches at the same time one does it, and the others wait.
 * `isSecond`: this launch has come back with a plan that seemed to hold. What was wrong only the launcher could tell (by the mixed
 * view, or since two requests have one key), so a plan is made in any case.
 *
 * Returns a descriptor that keeps others from linking the private files until it is closed: what many containers hold would else,
 * while all of these are planned for, hardly ever be as the launcher's plan says.
 */
export function bringUpToDate(
  destination: Destination,
  system: Store | null,
  isSecond: boolean,
  prepare: () => void,
): number {
  return withPlanning(destination.store, destination.key, () => {
    const before = refresh(destination)
    if (before.state === 'refreshed' || (before.state === 'holds' && !isSecond)) return before.links
    closeSync(before.links)
    return planned(destination, prepare) ?? planUndisturbed(destination, system, prepare)
  })
}

/** null where the container was set up anew, or generations of it were forgotten, while it was planned for. */
function planned(destination: Destination, prepare: () => void): number | null {
  try {
    prepare()
  } catch (error) {
    if (error instanceof AppcError && error.code === 'PLAN_UNSTABLE') return null
    throw error
  }
  const { state, links } = refresh(destination)
  if (state !== 'failed') return links
  closeSync(links)
  return null
}

/**
 * Once more, while whoever sets up a container waits: where that is done again and again no plan would ever be of the newest generation. The
 * stores' locks come first, as they do for who waits.
 */
function planUndisturbed(destination: Destination, system: Store | null, prepare: () => void): number {
  const stores = [destination.store, ...(system === null ? [] : [system])]
  const plan = (): number => {
    prepare()
    return refresh(destination).links
  }
  const unpublished = stores.reduce((fn, store) => () => whileUnpublished(store, fn), plan)
  return stores.reduceRight((fn, store) => () => withLock(store, 'shared', fn), unpublished)()
}

type State = 'holds' | 'refreshed' | 'failed'

function refresh(destination: Destination): { readonly state: State; readonly links: number } {
  const { store } = destination
  return withLock(store, 'shared', () => {
    const links = holdLinks(store)
    try {
      const known = readPlan(destination)
      const plan = known && refreshPlan(store, known, circumstances(), usualCare(store).soundness)
      if (plan === null) return { state: 'failed', links }
      if (plan === known) return { state: 'holds', links }
      writePlan(destination, plan)
      return { state: 'refreshed', links }
    } catch (error) {
      closeSync(links)
      throw error
    }
  })
}
