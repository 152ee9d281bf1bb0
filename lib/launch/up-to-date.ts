import { closeSync } from 'node:fs'
import { refreshPlan } from '../plan/refresh.js'
import { holdLinks, withLock, withPlanning } from '../store/store.js'
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
export function bringUpToDate(destination: Destination, isSecond: boolean, prepare: () => void): number {
  return withPlanning(destination.store, destination.key, () => {
    const before = refresh(destination)
    if (before.state === 'refreshed' || (before.state === 'holds' && !isSecond)) return before.links
    closeSync(before.links)
    // A container may be set up anew, or generations of it be forgotten, while it is planned for; from the last look on that has to wait.
    for (let attempt = 1; ; attempt++) {
      prepare()
      const after = refresh(destination)
      if (after.state !== 'failed' || attempt === ATTEMPTS) return after.links
      closeSync(after.links)
    }
  })
}

const ATTEMPTS = 5

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
