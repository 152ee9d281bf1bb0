import { closeSync } from 'node:fs'
import { AppcError } from '../errors.js'
import { encodePlan, planKey } from '../plan/file.js'
import { viewOf } from '../plan/refresh.js'
import type { Plan } from '../plan/types.js'
import type { Stores } from '../store/stores.js'
import { addon } from './addon.js'
import { type Destination, readPlan } from './destination.js'
import { openNamespaces } from './enter.js'
import { hostFor } from './machine.js'
import { prepareContainer } from './prepare.js'
import { factsOf } from './remembered-facts.js'
import type { Running } from './running.js'
import { bringUpToDate } from './up-to-date.js'

/** What became of one container. */
export interface Renewed {
  readonly container: Running
  /** Why it has to be started anew to see the host as it is; null where its overlays were renewed. */
  readonly because: string | null
}

/**
 * Brings the plan of a container up to date and has what runs of it see the host as it is now, where the plan's private files are still
 * those that it runs with: its overlays are exchanged for new ones, without a gap.
 */
export function renew(stores: Stores, chosen: readonly [Running, ...Running[]]): readonly Renewed[] {
  const { name } = chosen[0]
  const key = planKey({ kind: 'container', subject: name, libraryDirectories: [], root: null }, process.env)
  const destination: Destination = { store: stores.own, key, root: null }
  const planned = chosen.filter(({ signature }) => signature.key === key)
  // What a tree or other variables were given to has a plan of its own, for which both would have to be given here.
  const others = chosen.filter(({ signature }) => signature.key !== key)
  const refused = others.map(container => ({
    container,
    because: 'it was started with --root, or with other variables of the loader',
  }))
  return planned.length === 0 ? refused : [...renewPlanned(stores, destination, name, planned), ...refused]
}

/** The host may change again between the plan and the new overlays, through which the launcher's checks are made once more. */
const ROUNDS = 3

function renewPlanned(
  stores: Stores,
  destination: Destination,
  name: string,
  planned: readonly Running[],
): readonly Renewed[] {
  for (let round = 1; ; round++) {
    const plan = bringPlanUpToDate(stores, destination, name, round > 1)
    try {
      return planned.map(container => ({ container, because: renewOne(container, plan) }))
    } catch (error) {
      if (!isRefusal(error) || !isStale(error)) throw error
      if (round === ROUNDS) throw unstable(name, error)
    }
  }
}

function bringPlanUpToDate({ own, system }: Stores, destination: Destination, name: string, isSecond: boolean): Plan {
  const facts = factsOf(own)
  const links = bringUpToDate(destination, system, isSecond, () =>
    prepareContainer(destination, system, name, store => hostFor(store, '/', process.env, facts)),
  )
  closeSync(links)
  facts.save()
  const plan = readPlan(destination)
  if (plan === null) throw new AppcError('PLAN_UNSTABLE', `the plan of ${name} is taken away again and again`)
  return plan
}

/** Why it cannot be done; null where it was. */
function renewOne(container: Running, plan: Plan): string | null {
  const { signature, source, targets } = container
  if (viewOf(plan) !== signature.view) return 'other files are private now'
  const covered = plan.overlays.filter(({ target }) => targets.includes(target))
  if (covered.length < plan.overlays.length) return 'something else was mounted over its directories'
  const { namespaces, mounts } = openNamespaces(container)
  try {
    addon().renewOverlays(encodePlan(plan), source, namespaces, mounts)
    return null
  } catch (error) {
    if (!isRefusal(error) || isStale(error)) throw error
    return isUnmovable(error) ? 'this kernel cannot exchange mounts (Linux 6.5 can), or not those here' : error.message
  } finally {
    for (const namespace of namespaces) closeSync(namespace)
  }
}

type Refusal = Error & { readonly step: string; readonly code: string }

function isRefusal(error: unknown): error is Refusal {
  return error instanceof Error && 'step' in error && 'code' in error && !(error instanceof AppcError)
}

function isUnmovable({ step, code }: Refusal): boolean {
  return step === 'renewOverlay' && code === 'EINVAL'
}

/** As of a launch (native/launcher/launch.cpp): what a new plan can mend. */
function isStale(error: Refusal): boolean {
  return (
    error.step === 'checkView' ||
    (error.step === 'openDirectory' && ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(error.code))
  )
}

function unstable(name: string, cause: Error): AppcError {
  return new AppcError('PLAN_UNSTABLE', `the host keeps changing while ${name} is refreshed`, {
    because: cause.message,
    hint: 'try again when the upgrade that is under way has finished',
    cause,
  })
}
