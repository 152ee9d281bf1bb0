import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { needsIn } from '../container/containers.js'
import { AppcError } from '../errors.js'
import { unreadable } from '../loader/unreadable.js'
import { decodePlan } from '../plan/file.js'
import { MAX_SIZE } from '../plan/layout.js'
import { viewOf } from '../plan/refresh.js'
import type { Plan } from '../plan/types.js'
import { collectGarbage, type Garbage } from '../store/garbage.js'
import { parseMounts } from '../store/mount-table.js'
import { hasRef } from '../store/refs.js'
import { readRegular } from '../store/regular.js'
import { type Store, withLock } from '../store/store.js'
import type { Stores } from '../store/stores.js'
import { listProcesses, readMountinfo } from './processes.js'
import { nameInKey, parseSignature, storeInSignature } from './signature.js'

export interface CollectOptions {
  readonly keep: number | null
  /** Milliseconds. */
  readonly grace: number
  readonly dryRun: boolean
}

/** Evidence of damage is looked at when somebody has time for it. */
const EVIDENCE = 30 * 24 * 3600 * 1000

/** Collects what neither a container, a plan nor a running program needs of the caller's store. */
export function collect({ own, system }: Stores, options: CollectOptions): Garbage {
  return withLock(own, 'exclusive', () => {
    const plans = readdirSync(join(own.home, 'plans')).map(key => ({ key, plan: readPlanAt(own, key) }))
    const [needed, unneeded] = [plans.filter(isNeeded), plans.filter(plan => !isNeeded(plan))]
    const views = new Set([...needed.flatMap(({ plan }) => plan && viewOf(plan)), ...viewsInUse(own)])
    return collectGarbage(own, {
      ...options,
      needsOf: needsIn(own),
      evidence: EVIDENCE,
      plans: unneeded.map(({ key }) => key),
      isViewNeeded: view => views.has(view.slice(view.indexOf('/') + 1)),
      now: Date.now(),
    })
  })

  /** A plan that cannot be read is made anew when it is asked for; so are those of names and programs that are no more. */
  function isNeeded({ key, plan }: { readonly key: string; readonly plan: Plan | null }): boolean {
    const name = nameInKey(key)
    if (plan === null) return false
    if (name === null) return existsSync(plan.request[0] ?? '')
    return [own, system].some(store => store !== null && hasRef(store, name))
  }
}

function readPlanAt(store: Store, key: string): Plan | null {
  const path = join(store.home, 'plans', key)
  try {
    return decodePlan(readRegular(path, MAX_SIZE, 'it is made anew'))
  } catch (error) {
    if (error instanceof AppcError) return null
    throw unreadable(path, error)
  }
}

/** Longer tables are not looked at: those of containers are short, but others can make theirs as long as they like. */
const MOUNTINFO_BYTES = 64 << 20

/**
 * Names of views that programs run with. That is told by what their overlays are called, which nobody can make up who may not mount;
 * and who does only keeps a view from being collected.
 */
function viewsInUse(store: Store): readonly string[] {
  const own = storeInSignature(store)
  const sources = new Set<string>()
  for (const { pid } of listProcesses())
    for (const { ours, source } of parseMounts(readMountinfo(pid, MOUNTINFO_BYTES) ?? '')) if (ours) sources.add(source)
  return [...sources].flatMap(source => {
    const signature = parseSignature(source)
    return signature?.store === own ? [signature.view] : []
  })
}
