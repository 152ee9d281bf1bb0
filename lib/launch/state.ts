import { closeSync, openSync } from 'node:fs'
import { encodePlan } from '../plan/file.js'
import { changedPaths, viewOf } from '../plan/refresh.js'
import type { Plan } from '../plan/types.js'
import type { Store } from '../store/store.js'
import { addon } from './addon.js'
import { usualCare } from './care.js'
import { readPlan } from './destination.js'
import { look, type Process } from './processes.js'
import type { Running } from './running.js'

/** Whether a running container is as a launch of it would be now. */
export interface State {
  readonly state: 'current' | 'moved' | 'unplanned'
  /** What of the host is not as the plan has it, or as the program has seen it. */
  readonly changed: readonly string[]
  /** The plan has other private files by now. */
  readonly otherView: boolean
}

/**
 * The host may have moved on in two ways: the plan does not hold any more; or it was made anew since, and the program goes on with what
 * it found in its overlays before. What a launch looks up there it finds to its end.
 */
export function stateOf(store: Store, { signature, program }: Running): State {
  const plan = readPlan({ store, key: signature.key, root: null })
  if (plan === null) return { state: 'unplanned', changed: [], otherView: false }
  const otherView = viewOf(plan) !== signature.view
  const changed = new Set(changedPaths(store, plan, usualCare(store).soundness))
  const stale = otherView ? null : staleIn(program, plan)
  if (stale !== null) changed.add(stale)
  const moved = otherView || changed.size > 0
  return { state: moved ? 'moved' : 'current', changed: [...changed], otherView }
}

/** null too for a program that has just ended. */
function staleIn({ pid }: Process, plan: Plan): string | null {
  const root = look(() => openSync(`/proc/${pid}/root`, 'r'))
  if (root === null) return null
  try {
    return addon().checkView(encodePlan(plan), root)
  } finally {
    closeSync(root)
  }
}
