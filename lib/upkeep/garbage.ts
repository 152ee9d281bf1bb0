import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Generation, readGenerations, renewSpare, writeGenerations } from '../store/generations.js'
import { Names } from '../store/names.js'
import { listRefs } from '../store/refs.js'
import { secretFactsPath, secretPath } from '../store/secrets.js'
import { clearTemporary, type Store, withLinks } from '../store/store.js'
import { syncDirectory, writing } from '../store/writing.js'
import { unneededObjects, unneededSecrets } from './collect.js'
import { type Marks, markNeeded, type NeedsOf } from './marks.js'
import {
  listQuarantine,
  moveAside,
  newQuarantine,
  type Quarantined,
  removeIfEmpty,
  removeQuarantined,
  viewsIn,
} from './quarantine.js'
import { directoriesIn, type FindUsed, listViews, type ViewAt } from './views.js'

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
  /** Views that the other plans lead to: `CONTAINER/VIEW`. */
  readonly plannedViews: ReadonlySet<string>
  readonly findUsed: FindUsed
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
  /** Processes of which it cannot be told what they use: where there is one no view was collected. */
  readonly unseen: readonly number[]
}

/**
 * Collects what nobody needs: it goes to quarantine, from where a repair can take it back, and is removed when it has lain there for the time
 * of grace. A view goes for good only when no program runs with it then: a launch, which holds no lock, may have opened it before it was
 * taken out. Must run under the exclusive lock.
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
  const { views, unseen } = unneededViews(store, request)
  const told = {
    generations: forgotten.flatMap(({ name, old }) => old.map(({ number }) => ({ name, number }))),
    plans,
    views: views.map(({ view }) => view),
    unreadable: [],
    unseen,
  }
  if (dryRun) return { ...told, ...foretell(store, request, marks, views) }
  return writing(store.home, () => {
    clearTemporary(store)
    // What is due first: on a full disk there is room for nothing else.
    const due = expire(store, request)
    // What a second copy that is behind leads to may go now.
    for (const name of listRefs(store)) withLinks(store, () => renewSpare(store, name))
    for (const { name, kept } of forgotten) withLinks(store, () => writeGenerations(store, name, kept))
    for (const plan of plans) rmSync(join(store.home, 'plans', plan), { recursive: true, force: true })
    const aside = newQuarantine(store, 'collected', request.now)
    for (const { directory } of views) moveAside(store, aside, directory)
    removeEmpty(join(store.home, 'views'))
    // Views hold objects: of one that goes for good, so do they.
    const before = due + expire(store, request)
    const gone = takeObjects(store, aside, marks)
    syncDirectory(join(store.home, 'quarantine'))
    return { ...told, ...gone, freed: before + expire(store, request) }
  })
}

const NOTHING = { generations: [], plans: [], views: [], objects: 0, secrets: 0, bytes: 0, freed: 0, unseen: [] }

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

function unneededViews(store: Store, { plannedViews, findUsed }: GarbageRequest) {
  const unplanned = listViews(join(store.home, 'views')).filter(({ view }) => !plannedViews.has(view))
  const { used, unseen } = findUsed(unplanned)
  const stays = new Set(used)
  return { views: unplanned.filter(view => !stays.has(view)), unseen }
}

/** Those of containers of which no view is left, or none was begun before the planner was killed. */
function removeEmpty(views: string): void {
  for (const container of directoriesIn(views)) removeIfEmpty(join(views, container))
}

function takeObjects(store: Store, aside: string, marks: Marks) {
  const unneeded = unneededObjects(store, marks)
  const secrets = unneededSecrets(store, marks)
  for (const { path } of unneeded) moveAside(store, aside, path)
  for (const id of secrets) for (const path of filesOfSecret(store, id)) moveAside(store, aside, path)
  return { objects: unneeded.length, secrets: secrets.length, bytes: sizeOf(unneeded) }
}

function filesOfSecret(store: Store, id: string): readonly string[] {
  return [secretPath(store, id), secretFactsPath(store, id)]
}

function sizeOf(objects: readonly { readonly size: number }[]): number {
  return objects.reduce((sum, { size }) => sum + size, 0)
}

/** What a run would take and free, which goes on where this only counts. */
function foretell(store: Store, request: GarbageRequest, marks: Marks, views: readonly ViewAt[]) {
  const [left, going] = [new Names(), new Names()]
  left.addTree(join(store.home, 'tmp'))
  for (const { quarantined, kept } of expired(store, request)) addGoing(going, quarantined, kept)
  const atOnce = request.grace <= 0
  if (atOnce) for (const { directory } of views) going.addTree(directory)
  const linked = (inode: number) => left.of(inode) + going.of(inode)
  const objects = unneededObjects(store, marks, linked)
  const secrets = unneededSecrets(store, marks, linked)
  if (atOnce) {
    for (const { stat } of objects) going.add(stat)
    for (const path of secrets.flatMap(id => filesOfSecret(store, id))) {
      const stat = lstatSync(path, { throwIfNoEntry: false })
      if (stat !== undefined) going.add(stat)
    }
  }
  return { objects: objects.length, secrets: secrets.length, bytes: sizeOf(objects), freed: going.bytes(left) }
}

interface Expired {
  readonly quarantined: Quarantined
  /** What programs run with. */
  readonly kept: readonly ViewAt[]
}

function expired(store: Store, { grace, evidence, now, findUsed }: GarbageRequest): readonly Expired[] {
  const due = listQuarantine(store).filter(({ kind, since }) => now - since >= (kind === 'damaged' ? evidence : grace))
  const { used } = findUsed(due.flatMap(viewsIn))
  return due.map(quarantined => ({
    quarantined,
    kept: used.filter(({ directory }) => directory.startsWith(`${quarantined.directory}/`)),
  }))
}

/** Returns the bytes that are free now. */
function expire(store: Store, request: GarbageRequest): number {
  const all = expired(store, request)
  const going = new Names()
  for (const { quarantined, kept } of all) addGoing(going, quarantined, kept)
  const bytes = going.bytes()
  for (const { quarantined, kept } of all) removeQuarantined(store, quarantined, kept)
  return bytes
}

function addGoing(going: Names, quarantined: Quarantined, kept: readonly ViewAt[]): void {
  for (const name of readdirSync(quarantined.directory))
    if (name !== 'views' || kept.length === 0) going.addTree(join(quarantined.directory, name))
  if (kept.length === 0) return
  const stays = new Set(kept.map(({ directory }) => directory))
  for (const { directory } of viewsIn(quarantined)) if (!stays.has(directory)) going.addTree(directory)
}
