import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { unneededObjects } from './collect.js'
import { type Generation, readGenerations, writeGenerations } from './generations.js'
import { type Marks, markNeeded, type NeedsOf } from './marks.js'
import { bytesBelow, listQuarantine, moveAside, newQuarantine, removeQuarantined } from './quarantine.js'
import { listRefs } from './refs.js'
import { listSecrets, secretFactsPath, secretPath } from './secrets.js'
import { clearTemporary, type Store, withLinks } from './store.js'
import { syncDirectory, writing } from './writing.js'

export interface GarbageRequest {
  readonly needsOf: NeedsOf
  /** How many generations of each container stay; null: all. */
  readonly keep: number | null
  /** How long what was taken out can still be taken back, in milliseconds. */
  readonly grace: number
  /** The same for the evidence of repairs. */
  readonly evidence: number
  /** Names of plans that nobody needs. */
  readonly plans: readonly string[]
  /** Whether a plan leads to the view, or a program runs with it: `CONTAINER/VIEW`. */
  readonly isViewNeeded: (view: string) => boolean
  /** Milliseconds since 1970. */
  readonly now: number
  readonly dryRun: boolean
}

export interface Garbage {
  readonly generations: readonly { readonly name: string; readonly number: number }[]
  readonly plans: readonly string[]
  /** `CONTAINER/VIEW`. */
  readonly views: readonly string[]
  readonly objects: number
  readonly secrets: number
  /** Of the objects, which lie in quarantine for the time of grace. */
  readonly bytes: number
  /** That are free now: what had lain there for so long. */
  readonly freed: number
  /** Containers whose needs cannot be told: where there is one nothing was collected. */
  readonly unreadable: readonly string[]
}

/**
 * Collects what nobody needs: it goes to quarantine, from where a repair can take it back, and is removed when it has lain there for the time
 * of grace. So what a launch has just opened stays whole, too, which holds no lock. Must run under the exclusive lock.
 */
export function collectGarbage(store: Store, request: GarbageRequest): Garbage {
  const { needsOf, keep, plans, dryRun } = request
  // What cannot be read may need anything: all is marked before the first is touched.
  const all = markNeeded(store, listRefs(store), needsOf)
  if (all.unreadable.length > 0) return { ...NOTHING, unreadable: all.unreadable }
  const forgotten = keep === null ? [] : oldGenerations(store, keep)
  const marks = keep === null ? all : markNeeded(store, listRefs(store), needsOf, keep)
  // A disk that fails now and then: what could be read a moment ago may not be read again.
  if (marks.unreadable.length > 0) return { ...NOTHING, unreadable: marks.unreadable }
  const views = listViews(store).filter(view => !request.isViewNeeded(view))
  const told = {
    generations: forgotten.flatMap(({ name, old }) => old.map(({ number }) => ({ name, number }))),
    plans,
    views,
  }
  if (dryRun) return { ...told, ...wouldGo(store, request, marks), unreadable: [] }
  return writing(store.home, () => {
    clearTemporary(store)
    for (const { name, kept } of forgotten) withLinks(store, () => writeGenerations(store, name, kept))
    for (const plan of plans) rmSync(join(store.home, 'plans', plan), { recursive: true, force: true })
    const aside = newQuarantine(store, 'collected', request.now)
    for (const view of views) moveAside(store, aside, join(store.home, 'views', view))
    // Views hold objects: of one that goes for good, so do they.
    const freed = expire(store, request)
    const gone = takeObjects(store, aside, marks)
    if (views.length + gone.objects + gone.secrets > 0) syncDirectory(join(store.home, 'quarantine'))
    return { ...told, ...gone, freed: freed + expire(store, request), unreadable: [] }
  })
}

const NOTHING = { generations: [], plans: [], views: [], objects: 0, secrets: 0, bytes: 0, freed: 0 }

interface Forgotten {
  readonly name: string
  readonly old: readonly Generation[]
  readonly kept: readonly Generation[]
}

function oldGenerations(store: Store, keep: number): readonly Forgotten[] {
  return listRefs(store).flatMap(name => {
    const generations = readGenerations(store, name) ?? []
    const [old, kept] = [generations.slice(0, -keep), generations.slice(-keep)]
    return old.length === 0 ? [] : [{ name, old, kept }]
  })
}

function listViews({ home }: Store): readonly string[] {
  const views = join(home, 'views')
  return readdirSync(views).flatMap(container =>
    readdirSync(join(views, container)).map(view => `${container}/${view}`),
  )
}

function takeObjects(store: Store, aside: string, marks: Marks) {
  const unneeded = unneededObjects(store, marks)
  const secrets = unneededSecrets(store, marks)
  for (const { path } of unneeded) moveAside(store, aside, path)
  // Whoever was killed in between has left one of the two.
  for (const id of secrets)
    for (const path of [secretPath(store, id), secretFactsPath(store, id)])
      if (existsSync(path)) moveAside(store, aside, path)
  const bytes = unneeded.reduce((sum, { size }) => sum + size, 0)
  return { objects: unneeded.length, secrets: secrets.length, bytes }
}

function unneededSecrets(store: Store, marks: Marks): readonly string[] {
  return listSecrets(store).filter(id => !marks.secrets.has(id))
}

function wouldGo(store: Store, request: GarbageRequest, marks: Marks) {
  const unneeded = unneededObjects(store, marks)
  const bytes = unneeded.reduce((sum, { size }) => sum + size, 0)
  const freed = expired(store, request).reduce((sum, { directory }) => sum + bytesBelow(directory), 0)
  return { objects: unneeded.length, secrets: unneededSecrets(store, marks).length, bytes, freed }
}

function expired(store: Store, { grace, evidence, now }: GarbageRequest) {
  return listQuarantine(store).filter(({ kind, since }) => now - since >= (kind === 'damaged' ? evidence : grace))
}

/** Returns the bytes that are free now. */
function expire(store: Store, request: GarbageRequest): number {
  return expired(store, request).reduce((sum, quarantined) => sum + removeQuarantined(store, quarantined), 0)
}
