import { existsSync, lstatSync, readdirSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { needsIn } from '../container/containers.js'
import { planKey } from '../plan/file.js'
import { changedPaths } from '../plan/refresh.js'
import type { Plan } from '../plan/types.js'
import { hasRef, isName } from '../store/refs.js'
import { type Store, withLock } from '../store/store.js'
import type { Stores } from '../store/stores.js'
import { collectGarbage, type Garbage } from '../upkeep/garbage.js'
import { readable } from '../upkeep/sources.js'
import { usualCare } from './care.js'
import { readPlan } from './destination.js'
import { DECISION } from './kept.js'
import { nameInKey } from './signature.js'
import { findUsed } from './views-in-use.js'

export interface CollectOptions {
  readonly keep: number | null
  /** Milliseconds. */
  readonly grace: number
  readonly dryRun: boolean
}

/** Evidence of damage is looked at when somebody has time for it. */
export const EVIDENCE = 30 * 24 * 3600 * 1000

/** Decisions that were kept to be told again, of whatever host and state: any is made anew in a second. */
const KEPT = EVIDENCE

/** Collects what neither a container, a plan nor a running program needs of the caller's store. */
export function collect(stores: Stores, options: CollectOptions): Garbage {
  const { own } = stores
  const now = Date.now()
  return withLock(own, 'exclusive', () => {
    const garbage = collectGarbage(own, {
      ...options,
      ...judgePlans(stores),
      needsOf: needsIn(own),
      findUsed: views => findUsed(own, views),
      evidence: EVIDENCE,
      now,
    })
    if (!options.dryRun) removeOldDecisions(own, now)
    return garbage
  })
}

function removeOldDecisions({ home }: Store, now: number): void {
  const cache = join(home, 'cache')
  // Others replace what is there under no lock; and whatever it is, nothing rests on it.
  for (const name of readable(() => readdirSync(cache)) ?? []) {
    if (!name.startsWith(DECISION)) continue
    const path = join(cache, name)
    const made = readable(() => lstatSync(path).mtimeMs) ?? now
    if (now - made > KEPT) rmSync(path, { recursive: true, force: true })
  }
}

/** Which of the plans nobody can start anything by any more, and what views the others lead to. */
export function judgePlans(stores: Stores): {
  readonly plans: readonly string[]
  readonly plannedViews: ReadonlySet<string>
} {
  const { own } = stores
  const keys = readdirSync(join(own.home, 'plans'))
  const needed = new Map<string, Plan>()
  for (const key of keys) {
    const plan = readPlan({ store: own, key, root: null })
    // One that cannot be read is made anew when it is asked for.
    if (plan !== null && isNeeded(stores, key, plan)) needed.set(key, plan)
  }
  const views = [...needed.values()].flatMap(({ overlays }) => overlays.map(({ layer }) => viewAt(layer)))
  return { plans: keys.filter(key => !needed.has(key)), plannedViews: new Set(views) }
}

/** `CONTAINER/VIEW`; the store may have had another path when it was planned for. */
function viewAt(layer: string): string {
  const view = dirname(layer)
  return join(basename(dirname(view)), basename(view))
}

function isNeeded({ own, system }: Stores, key: string, plan: Plan): boolean {
  const [subject = '', ...libraryDirectories] = plan.request
  const kind = nameInKey(key) === null ? 'program' : 'container'
  const root = plan.root === null ? null : statSync(plan.root, { bigint: true, throwIfNoEntry: false })
  // The tree is gone, or another one by now.
  if (root === undefined || key !== planKey({ kind, subject, libraryDirectories, root }, plan.loaderEnvironment))
    return false
  // There may be any number for other variables of the loader, which may never be the same again.
  if (key.includes('~') && changedPaths(own, plan, usualCare(own).soundness).length > 0) return false
  if (kind === 'program') return plan.request.every(path => existsSync(path))
  const isThere = isName(subject) && [own, system].some(store => store !== null && hasRef(store, subject))
  return isThere && isOfNewest(own, subject, plan)
}

/** One that was made for an earlier generation, or for a container of the system's that the user has himself by now, is made anew. */
function isOfNewest(own: Store, name: string, plan: Plan): boolean {
  const guards = plan.guards.filter(({ path, kind }) => path.endsWith(kind === 'names' ? '/refs' : `/refs/${name}`))
  const objects = { ...plan.objects, files: [] }
  return changedPaths(own, { ...plan, guards, objects }, usualCare(own).soundness).length === 0
}
