import { lstatSync } from 'node:fs'
import type { Store } from '../store/store.js'
import type { Stores } from '../store/stores.js'
import { type Holder, holdersOf } from '../upkeep/holders.js'
import type { ObjectKey } from '../upkeep/identities.js'
import type { Problem } from '../upkeep/problems.js'
import { readable } from '../upkeep/sources.js'
import { withWrongAttributes } from '../upkeep/survey.js'
import type { WatchMethod } from './addon.js'
import { Alarm } from './alarm.js'
import { News } from './news.js'
import { type Mended, type Repaired, repair } from './repair.js'
import { findRunning } from './running.js'
import { verify } from './verify.js'
import { type Culprit, type Suspicion, WatchedStore } from './watched-store.js'

export interface WatchOptions {
  /** As for a repair. */
  readonly from: readonly string[]
  /** Ends it. */
  readonly signal: AbortSignal
  /** From now on everything is noticed. */
  readonly ready: (watched: Watched) => void
  readonly tell: (damage: Damage) => void
}

export interface Watched {
  readonly method: WatchMethod
  readonly objects: number
  readonly directories: number
}

/** Something that was found damaged, and what was done about it. */
export interface Damage {
  readonly problem: Problem
  /** null where it could not be mended. */
  readonly mended: Omit<Mended, 'problem'> | null
  /** Where the right bytes could come from, when it could not be mended. */
  readonly origins: readonly string[]
  /** Who has changed it; empty where that is not known. */
  readonly culprits: readonly Culprit[]
  /** Processes that go on with the damaged file. */
  readonly holders: readonly RunningHolder[]
  /** From the first sign of it until it was mended or given up; null for what was there before the watch began. */
  readonly milliseconds: number | null
}

export interface RunningHolder extends Pick<Holder, 'pid' | 'command'> {
  /** null for what is none of the containers that run. */
  readonly container: string | null
}

/** Changes come in groups, such as all that a program writes: so long nothing must come, and so long it may last. */
const QUIET_MS = 50
const MOST_MS = 300

/** Mends the caller's store as it is damaged, beginning with all that is wrong already, until it is ended. Throws STORE_GONE. */
export async function watch(stores: Stores, { from, signal, ready, tell }: WatchOptions): Promise<void> {
  const alarm = new Alarm()
  const stop = () => alarm.ring()
  signal.addEventListener('abort', stop)
  const watched = WatchedStore.open(stores.own, () => alarm.ring())
  try {
    ready({ method: watched.method, ...watched.watchAll() })
    const told = new News()
    for (let suspicion = ALL; !signal.aborted; suspicion = await next(alarm, watched, signal)) {
      // What came into being unseen is to be watched from now on.
      if (suspicion.everything && suspicion !== ALL) watched.watchAll()
      const found = await lookInto(suspicion, stores, { from, signal })
      const damages = found === null ? [] : asDamages(found, stores.own, suspicion, watched, told)
      for (const damage of damages) tell(damage)
    }
  } catch (error) {
    // What fails in a store that is being taken away fails for that.
    await quiet(alarm)
    watched.requireThere()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    watched.close()
  }
}

/** What was there before the watch began. */
const ALL: Suspicion = {
  written: new Set(),
  touched: new Set(),
  others: true,
  everything: true,
  culprits: new Map(),
  since: null,
}

/** What is to be looked at next. */
async function next(alarm: Alarm, watched: WatchedStore, signal: AbortSignal): Promise<Suspicion> {
  await alarm.wait(null)
  if (!signal.aborted) await quiet(alarm)
  return watched.suspicion()
}

async function quiet(alarm: Alarm): Promise<void> {
  const end = performance.now() + MOST_MS
  for (let left = MOST_MS; left > 0; left = end - performance.now())
    if (!(await alarm.wait(Math.min(left, QUIET_MS)))) return
}

interface Found extends Repaired {
  /** Of objects those that were looked at; undefined: all. */
  readonly changed: ReadonlySet<ObjectKey> | undefined
}

/** null where all is right. */
async function lookInto(
  suspicion: Suspicion,
  stores: Stores,
  { from, signal }: Pick<WatchOptions, 'from' | 'signal'>,
): Promise<Found | null> {
  const changed = suspicion.everything ? undefined : changedObjects(stores.own, suspicion)
  if (changed !== undefined && !suspicion.others && (await areSound(stores.own, changed, signal))) return null
  return { ...(await repair(stores, { changed, from, signal })), changed }
}

function asDamages(
  { mended, left, holders, changed }: Found,
  store: Store,
  suspicion: Suspicion,
  watched: WatchedStore,
  told: News,
): readonly Damage[] {
  const news = new Set(
    told.newsIn(
      left.map(({ problem }) => problem),
      changed,
    ),
  )
  if (mended.length + news.size === 0) return []
  const milliseconds = suspicion.since === null ? null : Math.round(performance.now() - suspicion.since)
  const culprits = [suspicion.culprits, watched.latestCulprits()]
  const containers = containersByProcess(store)
  const damageOf = (problem: Problem, holding: readonly Holder[]) => ({
    problem,
    culprits: culpritsOf(store, culprits, problem),
    holders: holding.map(({ pid, command }) => ({ pid, command, container: containers.get(pid) ?? null })),
    milliseconds,
  })
  const ofMended = mended.map(({ problem, ...how }) => {
    const holding = holders.filter(({ paths }) => paths.includes(problem.path))
    return { ...damageOf(problem, holding), mended: how, origins: [] }
  })
  const ofLeft = left
    .filter(({ problem }) => news.has(problem))
    .map(({ problem, origins }) => {
      return { ...damageOf(problem, holdersOfFile(store, problem.path)), mended: null, origins }
    })
  return [...ofMended, ...ofLeft]
}

/** Without written ones nothing need be read: as long as nobody writes to a file its bytes stay, whatever else changes. */
function changedObjects(store: Store, { written, touched }: Suspicion): ReadonlySet<ObjectKey> {
  return new Set([...written, ...withWrongAttributes(store, [...touched])])
}

/** Most of what changes is right: links came to it, or it is new. True too where it was stopped. */
async function areSound(store: Store, changed: ReadonlySet<ObjectKey>, signal: AbortSignal): Promise<boolean> {
  if (changed.size === 0) return true
  const { problems, complete } = await verify(store, { changed, objectsOnly: true, signal })
  return problems.length === 0 || !complete
}

function containersByProcess(store: Store): ReadonlyMap<number, string> {
  return new Map(findRunning(store).flatMap(({ name, processes }) => processes.map(({ pid }) => [pid, name] as const)))
}

/** Of what it is itself, and of what it lay in. */
function culpritsOf(
  { home }: Store,
  culprits: readonly Suspicion['culprits'][],
  { path }: Problem,
): readonly Culprit[] {
  const found = new Map<number, Culprit>()
  for (let at = path; at.length > home.length; at = at.slice(0, at.lastIndexOf('/')))
    for (const culprit of culprits.flatMap(known => known.get(at) ?? [])) found.set(culprit.pid, culprit)
  return [...found.values()]
}

function holdersOfFile(store: Store, path: string): readonly Holder[] {
  const stat = readable(() => lstatSync(path))
  return stat?.isFile() ? holdersOf(store, new Set([stat.ino])) : []
}
