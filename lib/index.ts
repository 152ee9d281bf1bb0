/**
 * The public API of appc: what the commands do, for programs. Every function throws AppcError, whose `code` is stable.
 *
 *     import { pack, plan, spawn } from 'appc'
 *     pack({ root: '/srv/trixie', name: 'curl13', entries: ['curl'] })
 *     const { decision } = plan('curl13')
 *     spawn('curl13', ['--version'], { stdio: 'inherit' })
 */
import type { SpawnOptions } from 'node:child_process'
import { resolve } from 'node:path'
import { type Container, listContainers, readDocuments, removeContainer } from './container/containers.js'
import type { GenerationDocument } from './container/generation.js'
import { type RolledBack, rollBack } from './container/history.js'
import { parseNeeds } from './container/needs.js'
import { packContainer } from './container/pack.js'
import type { PolicyRule } from './container/policy.js'
import type { Inventory } from './host/inventory.js'
import { type CollectOptions, collect as collectStores } from './launch/garbage.js'
import { hostOfFile } from './launch/hosts.js'
import { decideHere, searchContext } from './launch/machine.js'
import {
  openStore,
  openStoreAt,
  openStores,
  openStoresToMend,
  openStoreToMend,
  requireToMend,
  storeToVerify,
} from './launch/open-store.js'
import { type Decided, decideContainer } from './launch/prepare.js'
import { recordRun } from './launch/record.js'
import { factsOf } from './launch/remembered-facts.js'
import { type Repaired, type RepairOptions, repair as repairStores } from './launch/repair.js'
import { type Launched, launch } from './launch/spawn.js'
import { takeStockOf } from './launch/stock.js'
import { type VerifyOptions, verify as verifyStore } from './launch/verify.js'
import { resolveGraph } from './loader/resolve.js'
import { rootFileSystem } from './loader/root-file-system.js'
import type { Graph, SearchContext } from './loader/types.js'
import type { Store } from './store/store.js'
import { requireOwn, type Stores, storeOf } from './store/stores.js'
import type { Freed } from './upkeep/collect.js'
import type { Garbage } from './upkeep/garbage.js'
import type { Verified } from './upkeep/verify.js'

export type { Container } from './container/containers.js'
export type { GenerationDocument } from './container/generation.js'
export type { RolledBack } from './container/history.js'
export type { PolicyRule, Strictness } from './container/policy.js'
export type { Entry, Manifest, PackedElf, PackedFile, PackedPackage } from './container/types.js'
export type { Decision, DecisionProblem, LibraryChoice, PackageChoice, Reason, Rule } from './decide/types.js'
export type { ElfFacts, ElfSymbols } from './elf/types.js'
export { AppcError, type ErrorCode } from './errors.js'
export type { Inventory, InventoryLibrary } from './host/inventory.js'
export type { CollectOptions } from './launch/garbage.js'
/** The launcher of this installation, to be started directly where Node is not wanted. */
export { launcherPath } from './launch/launcher.js'
export type { Decided } from './launch/prepare.js'
export type { Left, Mended, Repaired, RepairOptions } from './launch/repair.js'
export type { Launched } from './launch/spawn.js'
export type { VerifyOptions } from './launch/verify.js'
export { resolveDlopen } from './loader/dlopen.js'
export { FactsCache } from './loader/facts-cache.js'
export { resolveGraph } from './loader/resolve.js'
export { rootFileSystem } from './loader/root-file-system.js'
export type { Edge, FileSystem, Graph, How, LoadedObject, Loader, Problem, SearchContext } from './loader/types.js'
export type { Freed } from './upkeep/collect.js'
export type { Garbage } from './upkeep/garbage.js'
export type { NeededBy, Problem as StoreProblem, ProblemKind } from './upkeep/problems.js'
export type { Verified } from './upkeep/verify.js'

/**
 * Where containers are kept; absent: $APPC_HOME, else the caller's own place, as for the commands. An ordinary user then finds those of
 * the system as well.
 */
export interface InStore {
  readonly store?: string
}

/** The tree that serves as the host; absent: this machine. */
export interface OnHost {
  readonly root?: string
}

export interface PackOptions extends InStore {
  readonly name: string
  /** Paths in the tree, or names to look up in its PATH. */
  readonly entries: readonly string[]
  /** The tree to pack from; absent: this machine. */
  readonly root?: string
  readonly include?: readonly string[]
  readonly withEssential?: boolean
  readonly withDocumentation?: boolean
  readonly withLocales?: boolean
  /** What is fixed for its libraries on every host. */
  readonly policy?: readonly PolicyRule[]
  /** What its programs need of the host when they are confined, in the words of `appc-run --allow`. */
  readonly needs?: readonly string[]
  /**
   * A command that is run once, with this process's streams, to take what it opens and executes as well. In a tree it has the tree as its
   * root. That it fails is no error. This process waits for it.
   */
  readonly record?: readonly string[]
}

/** Makes a container from programs in a root tree. The same content under the same name again is no error. */
export function pack(options: PackOptions): Container {
  const { name, entries, include = [], record, policy = [] } = options
  const needs = parseNeeds(options.needs ?? [])
  const { withEssential = false, withDocumentation = false, withLocales = false } = options
  const [root, store] = [rootOf(options), ownStore(options)]
  const request = { name, entries, root, include, withEssential, withDocumentation, withLocales, policy, needs }
  if (record === undefined) return packContainer(request, store)
  return packContainer({ ...request, record: tree => recordRun(root, tree, record, store).recording }, store)
}

/** Takes stock of a host. */
export function inventory(options: InStore & OnHost = {}): Inventory {
  return takeStockOf(ownStore(options), rootOf(options))
}

export interface PlanOptions extends InStore, OnHost {
  /** Another host, by its inventory file (`appc inventory --complete`); then `root` is not looked at. */
  readonly host?: string
}

/** What a container would share with a host and what it would keep private, and why. Nothing is mounted or run. */
export function plan(name: string, options: PlanOptions = {}): Decided {
  const stores = storesOf(options)
  const store = storeOf(stores, name)
  if (options.host !== undefined) {
    const { host, within } = hostOfFile(options.host)
    return within(() => decideContainer(store, name, host))
  }
  const facts = factsOf(stores.own)
  const decided = decideHere(store, rootOf(options), facts, host => decideContainer(store, name, host))
  facts.save()
  return decided
}

/** What is supposed of the CPU and the environment; absent: as they are for this process. */
export interface TreeOptions extends OnHost, Partial<SearchContext> {}

/**
 * What the loader would load for an ELF file, an absolute path in the root, and how each library is found. For many files see
 * `resolveGraph`; for made-up trees, appc/testing.
 */
export function tree(file: string, options: TreeOptions = {}): Graph {
  const { root: _, ...context } = options
  return resolveGraph(rootFileSystem(rootOf(options)), resolve('/', file), {
    ...searchContext(process.env),
    ...context,
  })
}

/** The containers that there are, sorted by name. */
export function list(options: InStore = {}): readonly Container[] {
  return listContainers(storesOf(options))
}

/** All states of a container, oldest first. */
export function generations(name: string, options: InStore = {}): readonly GenerationDocument[] {
  return readDocuments(storeOf(storesOf(options), name), name)
}

/** Makes the state of a generation (absent: of the one before the newest) the newest one. */
export function rollback(name: string, to: number | null = null, options: InStore = {}): RolledBack {
  const stores = storesOf(options)
  requireOwn(stores, name)
  return rollBack(stores.own, name, to)
}

/** Collects what neither a container, a plan nor a running program needs. Absent: all generations are kept, and nothing goes for a day. */
export function collect({
  keep = null,
  grace = 24 * 3600 * 1000,
  dryRun = false,
  ...store
}: InStore & Partial<CollectOptions> = {}): Garbage {
  return collectStores(storesOf(store), { keep, grace, dryRun })
}

/** Removes a container and what only it needed. */
export function remove(name: string, options: InStore = {}): Freed {
  const stores = storesOf(options)
  requireOwn(stores, name)
  return removeContainer(stores.own, name)
}

/** Whether all that is kept is as it should be, or what one container (`name`) needs of it. That something is damaged is no error. */
export function verify({ store, ...options }: InStore & VerifyOptions = {}): Promise<Verified> {
  return verifyStore(storeToVerify(storesToMend(store), options.name), options)
}

/** Mends what is damaged, with right bytes from wherever this machine has them. */
export function repair({ store, ...options }: InStore & RepairOptions = {}): Promise<Repaired> {
  const stores = storesToMend(store)
  requireToMend(stores, options.name)
  return repairStores(stores, options)
}

export interface LaunchOptions extends InStore, OnHost, Omit<SpawnOptions, 'shell' | 'argv0'> {
  /** Directories of candidates, for a program that is given by its path. */
  readonly libraries?: readonly string[]
}

/**
 * Starts what was planned for, `NAME`, `NAME/ENTRY` or, by a path that begins with `/`, `./` or `../`, a plain program. Where nothing
 * is planned yet, or it does not hold any more, it is planned for first, in the child.
 */
export function spawn(subject: Decided | string, args: readonly string[] = [], options: LaunchOptions = {}): Launched {
  const { store, root, libraries = [], ...spawning } = options
  const chosen = [
    ...(root === undefined ? [] : [`--root=${root}`]),
    ...libraries.map(directory => `--lib=${directory}`),
  ]
  // A copy of process.env takes as long as fifty guards.
  const env = store === undefined ? spawning.env : { ...(spawning.env ?? process.env), APPC_HOME: resolve(store) }
  const name = typeof subject === 'string' ? subject : subject.container.name
  return launch([...chosen, '--', name, ...args], { ...spawning, env })
}

function ownStore({ store }: InStore): Store {
  return store === undefined ? openStore(process.env) : openStoreAt(resolve(store))
}

function storesOf({ store }: InStore): Stores {
  return store === undefined ? openStores(process.env) : { own: openStoreAt(resolve(store)), system: null }
}

function storesToMend(store: string | undefined): Stores {
  if (store === undefined) return openStoresToMend(process.env)
  return { own: openStoreToMend(resolve(store)), system: null }
}

function rootOf({ root = '/' }: OnHost): string {
  return resolve(root)
}
