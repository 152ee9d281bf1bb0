import { catalogueOf } from '../container/catalogue.js'
import { policyPath, readPolicy } from '../container/host-policy.js'
import { NeededMemory } from '../container/needed-memory.js'
import { AppcError } from '../errors.js'
import { checkPlans } from '../plan/check-plans.js'
import { checkViews } from '../plan/check-views.js'
import type { Store } from '../store/store.js'
import { countKnown, type ObjectKey } from '../upkeep/identities.js'
import { frameProblems } from '../upkeep/mend-frame.js'
import { type Check, type Problem, problem } from '../upkeep/problems.js'
import { type Progress, type Verified, verifyStore } from '../upkeep/verify.js'
import { HashingPool, hashAll } from './hashing-pool.js'

export interface VerifyOptions {
  /** What this container needs; absent: the whole store. */
  readonly name?: string | undefined
  /** These objects have just changed: of all they alone are looked at, and read whatever is known of them. */
  readonly changed?: ReadonlySet<ObjectKey> | undefined
  /** Leave out what is made of objects: views and plans. */
  readonly objectsOnly?: boolean | undefined
  /** Read every object from the disk, not only those that are not known as they are. */
  readonly full?: boolean | undefined
  /** Begin a full check anew that was interrupted. */
  readonly restart?: boolean | undefined
  /** Bytes a second that are read at most. */
  readonly maxRate?: number | undefined
  /** Default: one for each processor. */
  readonly threads?: number | undefined
  /** Ends it early. */
  readonly signal?: AbortSignal | undefined
  readonly progress?: ((progress: Progress) => void) | undefined
}

/** So many objects take longer to hash than threads to start. */
const MANY = 1000

const NOTHING = { objects: 0, bytes: 0, hashed: { objects: 0, bytes: 0 }, resumed: null, complete: true }

/** Checks all that lies in a store. Nothing is changed but what is remembered of it. */
export async function verify(store: Store, options: VerifyOptions): Promise<Verified> {
  const { name = null, changed = null, full = false, restart = false, maxRate = null } = options
  const { threads, signal, progress = () => {} } = options
  const inFrame = frameProblems(store)
  // Without it neither locks can be taken nor what lies in it be found.
  if (inFrame.length > 0) return { ...NOTHING, problems: inFrame }
  // They start while the store is looked at, where it is probably worth it.
  const pool = full && countKnown(store) > MANY ? new HashingPool(threads) : null
  try {
    const needed = new NeededMemory(store)
    const verified = await verifyStore(store, {
      name,
      changed,
      full,
      restart,
      maxRate,
      catalogue: catalogueOf(store, needed),
      checks: options.objectsOnly === true ? [] : checksOf(store),
      hashAll: (job, bytes, tell) => hashAll(job, bytes, tell, { pool, threads, signal }),
      isStopped: () => signal?.aborted === true,
      progress,
    })
    if (name === null) needed.forgetUnused()
    needed.save()
    return verified
  } finally {
    await pool?.close()
  }
}

function checksOf(store: Store): readonly Check[] {
  return [name => checkPolicy(store, name), name => checkPlans(store, name), name => checkViews(store, name)]
}

/** Without it no launch goes on. */
function checkPolicy(store: Store, name: string | null): readonly Problem[] {
  if (name !== null) return []
  try {
    readPolicy(store)
    return []
  } catch (error) {
    if (error instanceof AppcError) return [problem('policy', policyPath(store), error.because ?? error.message)]
    throw error
  }
}
