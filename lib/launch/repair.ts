import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { catalogueOf } from '../container/catalogue.js'
import { inDirectory, onHost } from '../container/host-sources.js'
import { NeededMemory } from '../container/needed-memory.js'
import { secretPath } from '../store/secrets.js'
import { type Store, withLock } from '../store/store.js'
import type { Stores } from '../store/stores.js'
import { whileSyncing } from '../store/syncing.js'
import { Evidence } from '../upkeep/evidence.js'
import type { FilesRead } from '../upkeep/fetch.js'
import { type Holder, holdersOf } from '../upkeep/holders.js'
import type { ObjectKey } from '../upkeep/identities.js'
import { isMendable, mendInPlace, setAside } from '../upkeep/mend.js'
import { frameProblems, mendableInFrame, mendFrame } from '../upkeep/mend-frame.js'
import { areAllTold, type NeededFile, type Problem } from '../upkeep/problems.js'
import { type Damaged, type MendedObject, repairObjects } from '../upkeep/repair.js'
import { inStore, readable, type Source, storeSources } from '../upkeep/sources.js'
import { mendViews } from './mend-views.js'
import { settleStore } from './open-store.js'
import { type VerifyOptions, verify } from './verify.js'

export interface RepairOptions extends Omit<VerifyOptions, 'restart'> {
  /** Trees that hold right files, looked at in this order when nothing nearer has them. */
  readonly from?: readonly string[] | undefined
  /** Find out what can be mended, and change nothing. */
  readonly dryRun?: boolean | undefined
}

export interface Mended {
  readonly problem: Problem
  /** In words. */
  readonly how: string
  /** The file that had the right bytes; null where it needed none. */
  readonly source: string | null
  /** Where what was damaged lies now; null where there was nothing. */
  readonly evidence: string | null
}

export interface Left {
  readonly problem: Problem
  /** Where the right bytes could come from, such as a package and its system; empty where nobody knows. */
  readonly origins: readonly string[]
  /** What it is as a setting, which no packing brings back. */
  readonly settings: readonly Setting[]
}

interface Setting {
  readonly name: string
  readonly path: string
}

export interface Repaired {
  readonly mended: readonly Mended[]
  readonly left: readonly Left[]
  /** Processes that have damaged files still, and go on with them until they end. */
  readonly holders: readonly (Holder & { readonly paths: readonly string[] })[]
  /** Of sources. */
  readonly bytesRead: number
  /** False where it was stopped while it looked for damage: then nothing was mended. */
  readonly complete: boolean
}

/** What comes to light when a directory or a manifest is there again needs another round. */
const ROUNDS = 4

/** Finds what is wrong in the caller's store and mends what can be mended. What has no source stays as it is. */
export async function repair(stores: Stores, options: RepairOptions): Promise<Repaired> {
  const repaired = await repairInRounds(stores, options)
  // Whoever was killed here before had not synced the names of all that is found as it is to be.
  if (options.dryRun !== true && repaired.complete)
    whileSyncing(stores.own, stores.own.home, sync => sync(directoriesOf(stores.own)))
  return repaired
}

function* directoriesOf({ home }: Store): Generator<string> {
  yield home
  for (const name of readdirSync(home)) yield join(home, name)
  for (const name of readable(() => readdirSync(join(home, 'objects'))) ?? []) yield join(home, 'objects', name)
}

async function repairInRounds({ own, system }: Stores, options: RepairOptions): Promise<Repaired> {
  const { from = [], dryRun = false, ...verifying } = options
  const outside = outsideSources(system, from)
  const evidence = new Evidence(own)
  const mended: Mended[] = [...repairFrame(own, evidence, dryRun)]
  const unframed = frameProblems(own).filter(({ path }) => mended.every(({ problem }) => problem.path !== path))
  if (dryRun ? mended.length + unframed.length > 0 : unframed.length > 0)
    return withOrigins(own, { mended, left: unframed, holders: [], bytesRead: 0, complete: true })
  const inodes = new Map<number, string[]>()
  const tried = new Set<string>()
  const read: FilesRead = new Map()
  let bytesRead = 0
  for (let round = 1; ; round++) {
    const { problems, complete } = await verify(own, { ...verifying, full: options.full === true && round === 1 })
    const end = () => ({ mended, left: problems, holders: holders(own, inodes), bytesRead, complete })
    // What does not stay mended is damaged again by something.
    const untried = problems.filter(problem => !tried.has(nameOf(problem)))
    if (!complete || untried.length === 0 || round > ROUNDS) return withOrigins(own, end())
    const step = dryRun ? findOut(own, untried, outside) : mendAll(own, untried, outside, { evidence, read })
    mended.push(...step.mended.map(each => asMended(each, dryRun)))
    bytesRead += step.bytesRead
    for (const { inode, problem } of step.mended)
      if (inode !== null) inodes.set(inode, [...(inodes.get(inode) ?? []), problem.path])
    for (const { problem } of step.mended) tried.add(nameOf(problem))
    const isMended = new Set(step.mended.map(({ problem }) => problem))
    if (dryRun) return withOrigins(own, { ...end(), left: problems.filter(problem => !isMended.has(problem)) })
    if (isMended.size === 0) return withOrigins(own, end())
  }
}

/** Locks and directories, without which nothing else can be looked at. */
function repairFrame(own: Store, evidence: Evidence, dryRun: boolean): readonly Mended[] {
  if (dryRun)
    return mendableInFrame(own).map(problem => ({ problem, how: 'can be mended', source: null, evidence: null }))
  const mended = mendFrame(own, evidence).map(each => ({ ...each, source: null }))
  if (mended.length > 0 && frameProblems(own).length === 0) settleStore(own)
  return mended
}

/** Beside the store itself. */
interface Outside {
  readonly near: readonly Source[]
  readonly bySize: readonly Source[]
}

/**
 * In this order: of many files a distribution's next release has one of the same path and size, so a tree that is named is more likely to
 * have the right bytes than the host. What is looked for by its size alone may be read in vain many times: that comes last.
 */
function outsideSources(system: Store | null, from: readonly string[]): Outside {
  const trees = from.map(inDirectory)
  return {
    near: [
      ...(system === null ? [] : [inStore(system, 'the system’s store')]),
      ...trees.map(({ byPath }) => byPath),
      onHost(),
      ...trees.map(({ byName }) => byName),
    ],
    bySize: trees.map(({ bySize }) => bySize),
  }
}

function allSources(store: Store, problems: readonly Problem[], outside: Outside): readonly Source[] {
  const own = storeSources(store, problems)
  return [...own.near, ...outside.near, ...own.bySize, ...outside.bySize]
}

function nameOf({ kind, path }: Problem): string {
  return `${kind} ${path}`
}

/** One round. */
interface Step {
  readonly mended: readonly StepMended[]
  readonly bytesRead: number
}

type StepMended = Pick<MendedObject, 'problem' | 'from' | 'evidence' | 'inode'> & { readonly source: string | null }

function asMended({ problem, from, source, evidence }: StepMended, dryRun: boolean): Mended {
  const taken = dryRun ? 'would be taken from' : 'taken from'
  return { problem, how: source === null ? from : `${taken} ${from}`, source, evidence }
}

/** Directories first, which what is to be mended lies in; then what may keep their owner from reading files. */
const FIRST: readonly Problem['kind'][] = ['directory', 'owner', 'mode']

function byTurn(a: Problem, b: Problem): number {
  const [one, other] = [FIRST.indexOf(a.kind), FIRST.indexOf(b.kind)]
  return (one < 0 ? FIRST.length : one) - (other < 0 ? FIRST.length : other)
}

function mendAll(
  store: Store,
  problems: readonly Problem[],
  outside: Outside,
  options: { readonly evidence: Evidence; readonly read: FilesRead },
): Step {
  const { evidence } = options
  const inPlace = withLock(store, 'shared', () =>
    [...problems].sort(byTurn).flatMap(problem => {
      const how = mendInPlace(store, evidence, problem)
      return how === null ? [] : [{ problem, from: how, source: null, evidence: null, inode: null }]
    }),
  )
  const sources = allSources(store, problems, outside)
  const { mended, left, bytesRead } = repairObjects(store, damagedObjects(store, problems), sources, options)
  const views = withLock(store, 'shared', () => mendViews(store, problems, evidence)).map(({ how, ...rest }) => ({
    ...rest,
    from: how,
    source: null,
    evidence: null,
  }))
  const done = new Set(inPlace.map(({ problem }) => problem))
  const secrets = problems.filter(problem => problem.kind === 'secret' && !done.has(problem))
  const unneeded = withLock(store, 'shared', () =>
    unneededOf(store, [...left.map(({ problem }) => problem), ...secrets]).flatMap(problem => {
      const how = setAside(store, evidence, problem)
      return how === null ? [] : [{ problem, from: how, source: null, evidence: null, inode: null }]
    }),
  )
  return { mended: [...inPlace, ...mended, ...views, ...unneeded], bytesRead }
}

/** Objects and secrets. None where it cannot be told of all containers what they need. */
function unneededOf(store: Store, left: readonly Problem[]): readonly Problem[] {
  if (left.length === 0) return []
  const catalogue = catalogueOf(store, new NeededMemory(store))
  const needs = catalogue.names().map(catalogue.needsOf)
  if (!areAllTold(needs)) return []
  const keys = new Set(needs.flatMap(({ keys }) => keys()))
  const secrets = new Set(needs.flatMap(({ secrets }) => secrets.map(({ id }) => secretPath(store, id))))
  return left.filter(({ object, path }) => (object === null ? !secrets.has(path) : !keys.has(object)))
}

function findOut(store: Store, problems: readonly Problem[], outside: Outside): Step {
  const inPlace = problems
    .filter(problem => problem.kind === 'view' || isMendable(store, problem))
    .map(problem => ({ problem, from: 'can be mended', source: null, evidence: null, inode: null }))
  const sources = allSources(store, problems, outside)
  const { mended, bytesRead } = repairObjects(store, damagedObjects(store, problems), sources, { dryRun: true })
  return { mended: [...inPlace, ...mended], bytesRead }
}

const OF_BYTES: ReadonlySet<Problem['kind']> = new Set(['missing', 'bytes', 'unreadable', 'type'])

function damagedObjects(store: Store, problems: readonly Problem[]): readonly Damaged[] {
  const damaged = problems.filter(({ kind, object }) => object !== null && OF_BYTES.has(kind))
  const files = filesByKey(store, damaged)
  return damaged.map(problem => {
    const key = problem.object as ObjectKey
    const known = files.get(key) ?? []
    const paths = [...new Set(known.flatMap(({ path }) => path ?? []))]
    return { problem, key, paths, size: known[0]?.size ?? null }
  })
}

function filesByKey(store: Store, problems: readonly Problem[]): ReadonlyMap<ObjectKey, readonly NeededFile[]> {
  const keys = new Set(problems.flatMap(({ object }) => object ?? []))
  const names = new Set(problems.flatMap(({ neededBy }) => neededBy.map(({ name }) => name)))
  const catalogue = catalogueOf(store, new NeededMemory(store))
  const files = new Map<ObjectKey, NeededFile[]>()
  for (const file of [...names].flatMap(catalogue.filesOf)) {
    if (!keys.has(file.key)) continue
    files.set(file.key, [...(files.get(file.key) ?? []), file])
  }
  return files
}

/** A file that was damaged as an object was so in views, too. */
function holders(store: Store, paths: ReadonlyMap<number, readonly string[]>): Repaired['holders'] {
  return holdersOf(store, new Set(paths.keys())).map(holder => ({
    ...holder,
    paths: holder.inodes.flatMap(inode => paths.get(inode) ?? []),
  }))
}

function withOrigins(store: Store, repaired: Omit<Repaired, 'left'> & { readonly left: readonly Problem[] }): Repaired {
  const isLeft = new Set(repaired.left.map(nameOf))
  const mended = repaired.mended.filter(({ problem }) => !isLeft.has(nameOf(problem)))
  const files = filesByKey(store, repaired.left)
  const left = repaired.left.map(problem => {
    const known = problem.object === null ? [] : (files.get(problem.object) ?? [])
    const settings = known.flatMap(({ settingOf: name, path }) =>
      name === undefined || path === null ? [] : [{ name, path }],
    )
    return { problem, origins: [...new Set(known.flatMap(({ origin }) => origin ?? []))], settings }
  })
  return { ...repaired, mended, left }
}
