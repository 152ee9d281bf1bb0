import { setTimeout } from 'node:timers/promises'
import { Random } from '../fuzz/random.js'
import { type Kind, type Launch, launchAll } from './launching.js'

/** What changes while programs start. */
export interface Churn {
  readonly kinds: readonly Kind[]
  readonly cycles: number
  readonly random: Random
  /** One change. */
  readonly change: () => void | Promise<void>
  /** Milliseconds until the next one. */
  readonly pauseMs: () => number
  /** After so many changes the host comes to rest, until a program of each kind has started twice. */
  readonly restAfter: number
  readonly launched: (launch: Launch) => void
}

/** Changes a host again and again, while programs start all the time. Returns how many seconds that took. */
export async function campaign(churn: Churn): Promise<number> {
  const { kinds, cycles, random, change, pauseMs, restAfter, launched } = churn
  const begin = performance.now()
  const counts = new Map(kinds.map(kind => [kind, 0]))
  const count = (kind: Kind) => counts.get(kind) ?? 0
  let isOver = false
  // Of its own: when a launch ends must not decide what changes next.
  const between = new Random(random.seed + 1)
  const launching = launchAll(
    kinds,
    () => isOver,
    () => between.below(10),
    launch => {
      counts.set(launch.kind, count(launch.kind) + 1)
      launched(launch)
    },
  )
  for (let cycle = 1; cycle <= cycles; cycle++) {
    await change()
    await setTimeout(pauseMs())
    if (cycle % restAfter !== 0) continue
    // The first of them may have begun earlier.
    const enough = new Map(kinds.map(kind => [kind, count(kind) + 3]))
    while (kinds.some(kind => count(kind) < (enough.get(kind) ?? 0))) await setTimeout(10)
  }
  isOver = true
  await launching
  return Math.round((performance.now() - begin) / 1000)
}
