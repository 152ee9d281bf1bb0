import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type Container, freeReplaced, readContainer } from '../container/containers.js'
import { policyPath } from '../container/host-policy.js'
import { describeProgram } from '../container/program.js'
import { isSecret } from '../container/settings.js'
import type { Manifest } from '../container/types.js'
import { decide } from '../decide/decide.js'
import { Contents } from '../decide/home.js'
import { within } from '../decide/host-paths.js'
import type { Decision, Host } from '../decide/types.js'
import { AppcError } from '../errors.js'
import type { Looks } from '../loader/looks.js'
import { overlayFileSystem } from '../loader/overlay-file-system.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import type { FileSystem } from '../loader/types.js'
import { compilePlan, mountsInside, type Request } from '../plan/compile.js'
import { haveYoung } from '../plan/guards.js'
import { layersOf, Targets } from '../plan/overlays.js'
import { type LaidNodes, laySettings, linksOnTheWay, placeState } from '../plan/settings.js'
import type { BindMount, Plan } from '../plan/types.js'
import { refPath } from '../store/refs.js'
import { isSoundSecret, secretPath } from '../store/secrets.js'
import { makeState } from '../store/state.js'
import { clearTemporary, ifAlone, type Store, withLock } from '../store/store.js'
import { storeOf } from '../store/stores.js'
import { type Care, usualCare } from './care.js'
import { type Destination, writePlan } from './destination.js'
import { importAgain, importFiles, importObjects } from './import-private.js'
import { layOut } from './lay-out.js'
import { circumstances } from './machine.js'
import { openPacked } from './open-packed.js'
import { whileUnchanged } from './while-unchanged.js'

/** A container, and what was decided for it on some host. */
export interface Decided {
  readonly container: Container
  readonly decision: Decision
}

/** Decides for a container of the store. Throws CONTAINER_UNKNOWN, STORE_CORRUPT, MANIFEST_INVALID. */
export function decideContainer(store: Store, name: string, host: Host, mend: Care['mend'] = () => false): Decided {
  // Else its files may go while they are read.
  return withLock(store, 'shared', () => {
    const container = readContainer(store, name)
    return { container, decision: decide(container.manifest, host, openPacked(store, name, mend)) }
  })
}

/** Throws STORE_CORRUPT: a damaged secret is not handed to a program. */
function requireSecret(store: Store, name: string, id: string): void {
  if (isSoundSecret(store, id)) return
  throw new AppcError('STORE_CORRUPT', `a secret setting of ${name} is damaged`, {
    because: `${secretPath(store, id)} is not as it was set`,
    hint: `set it anew: appc settings ${name}`,
  })
}

/** What of the host a plan is made for, looked at afresh: as the containers of a store see it. */
export type OpenHost = (store: Store, looks: Looks) => Host

/** A plan, and the host's paths that it rests on. */
interface Prepared {
  readonly plan: Plan
  readonly evidence: readonly string[]
}

/** Decides for the container that the name leads to, builds the view and writes the plan file that the launcher will find. */
export function prepareContainer(
  destination: Destination,
  system: Store | null,
  name: string,
  openHost: OpenHost,
  careOf = usualCare,
): void {
  const own = destination.store
  const care = careOf(own)
  if (system !== null && storeOf({ own, system }, name) === system) freeReplaced(own, system)
  writeSettled(destination, looks => {
    const store = storeOf({ own, system }, name)
    const host = openHost(store, looks)
    return store === own
      ? prepareOwn(destination, name, host, care)
      : withLock(store, 'shared', () => prepareSystems(destination, store, name, host, care))
  })
}

function prepareOwn(destination: Destination, name: string, host: Host, care: Care): Prepared {
  const { store } = destination
  const decided = restingOnLinks(decideContainer(store, name, host, care.mend), host)
  const { container, decision } = decided
  const secrets = container.settings.files.filter(isSecret).map(({ secret }) => secret)
  for (const id of secrets) requireSecret(store, container.name, id)
  const request = requestFor(
    store,
    decided,
    secrets.map(id => secretPath(store, id)),
  )
  const { laid, state } = layAll(destination, decided, host, true)
  return makePlan(destination, container.digest, { ...request, state }, decision, laid, host, care)
}

/** A plan rests on the links that lead to settings as it does on those that lead to libraries. */
function restingOnLinks(decided: Decided, host: Host): Decided {
  const { container, decision } = decided
  const evidence = [...decision.evidence, ...linksOnTheWay(container.settings, host)]
  return { ...decided, decision: { ...decision, evidence } }
}

/** What was decided with the settings over it, and the directories that programs may write, which are always the caller's own. */
function layAll(
  { store, root }: Destination,
  { container, decision }: Decided,
  host: Host,
  areSecretsOurs: boolean,
): { readonly laid: LaidNodes; readonly state: readonly BindMount[] } {
  const { name, settings } = container
  const { laid, places } = placeState(laySettings(decision, settings, host, areSecretsOurs), decision, settings, host)
  const state = [...places].map(([path, target]) => ({
    source: makeState(store, name, path, `${root ?? ''}${target}`),
    target,
  }))
  return { laid, state }
}

/**
 * A container of the system's, for one of its users: manifest and files are read where they are, and plan, view and a copy of what is
 * private are his own. That he has none of this name himself is a part of what the plan rests on.
 */
function prepareSystems(destination: Destination, system: Store, name: string, host: Host, care: Care): Prepared {
  const own = destination.store
  const decided = restingOnLinks(decideContainer(system, name, host), host)
  const { container, decision } = decided
  const request = requestFor(system, decided, [refPath(own, name)])
  requireRunnable(request, decision)
  const { laid, state } = layAll(destination, decided, host, false)
  importObjects(own, system, laid)
  const mend: Care['mend'] = file => importAgain(own, system, file) || care.mend(file)
  return makePlan(destination, container.digest, { ...request, state }, decision, laid, host, { ...care, mend })
}

function requestFor(store: Store, { container }: Decided, sources: readonly string[]): Request {
  const { name, manifest } = container
  return {
    name,
    request: [name],
    programs: programsOf(manifest),
    needs: manifest.needs ?? [],
    sources: [...sources, refPath(store, name), policyPath(store)],
    variables: container.settings.environment,
    state: [],
  }
}

/**
 * Writes the plan once nothing changed while it was made. Its guards are taken at the end: what changed between the first look and
 * then would be blessed unseen, so a plan that is not settled must never reach the disk. One lock is held from the view's first link to
 * the plan that leads to it: else the collector might take it for nobody's.
 */
function writeSettled(destination: Destination, prepare: (looks: Looks) => Prepared): void {
  const { store } = destination
  // Left by planners that were killed.
  ifAlone(store, () => clearTemporary(store))
  withLock(store, 'shared', () => writePlan(destination, settledPlan(store, prepare)))
}

function settledPlan(store: Store, prepare: (looks: Looks) => Prepared): Plan {
  const { plan } = whileUnchanged(
    looks => {
      const began = BigInt(Date.now()) * 1_000_000n
      return { ...prepare(looks), began }
    },
    ({ plan, evidence, began }, looks) => {
      // What is private is looked at when its identity has been noted (lay-out.ts).
      const guards = plan.guards.filter(({ path }) => !within(path, join(store.home, 'views')))
      return !looks.haveChanged(evidence) && !haveYoung(guards, began)
    },
  )
  return plan
}

/**
 * An entry is run by the file that it leads to, under its own name: a link on the way may be the host's (/etc/alternatives), and may
 * lead elsewhere there.
 */
function programsOf(manifest: Manifest): Request['programs'] {
  const contents = new Contents(manifest)
  return manifest.entries.map(({ name, path }) => ({ name, path: contents.follow(path)?.path ?? path }))
}

/**
 * The same for a plain program (its real path on this machine) with directories of candidates. Its private files are copied into
 * the store first: what was decided on is what is run, whatever becomes of the directories.
 */
export function prepareProgram(
  destination: Destination,
  program: string,
  libraries: readonly string[],
  openHost: OpenHost,
): void {
  const { store } = destination
  writeSettled(destination, looks => {
    const machine = looks.through(rootFileSystem('/'))
    return prepareProgramOnce(destination, program, libraries, openHost(store, looks), machine)
  })
}

function prepareProgramOnce(
  destination: Destination,
  program: string,
  libraries: readonly string[],
  bare: Host,
  machine: FileSystem,
): Prepared {
  const { store, root } = destination
  const inside = root !== null && within(program, root) ? program.slice(root.length) : program
  const seen = inside === program ? withProgram(bare.fs, machine, program) : bare.fs
  const host: Host = { ...bare, fs: seen, packages: null }
  const described = describeProgram(seen, inside, libraries, machine)
  const digest = createHash('sha256').update(JSON.stringify(described.manifest)).digest('hex')
  const decision = decide(described.manifest, host, file => described.fs.open(file.path), described.inPlace)
  const request = {
    name: program,
    request: [program, ...libraries],
    programs: [],
    needs: [],
    sources: [program, ...libraries, policyPath(store)],
    variables: {},
    state: [],
  }
  requireRunnable(request, decision)
  const sources = importFiles(store, decision.placement, described.fs)
  const whole = { ...request, sources: [...request.sources, ...sources] }
  return makePlan(destination, `=${digest}`, whole, decision, decision.placement, host, usualCare(store))
}

/** A tree that serves as the host sees the machine's programs in the directories that it shares with it (/home, /tmp). */
function withProgram(fs: FileSystem, machine: FileSystem, program: string): FileSystem {
  return overlayFileSystem(fs, new Map([[program, { kind: 'file', from: machine, path: program }]]))
}

/** `views`: the directory of the store's views in which this one is to be. */
function makePlan(
  destination: Destination,
  views: string,
  request: Request,
  decision: Decision,
  nodes: LaidNodes,
  host: Host,
  care: Care,
): Prepared {
  requireRunnable(request, decision)
  const { store, root } = destination
  const now = circumstances()
  const directories = new Targets(host.fs, mountsInside(now.mountPoints, root), now.uid === 0 ? 'deepest' : 'common')
  const laid = layOut(store, request.name, views, layersOf(nodes, directories), care)
  return { plan: compilePlan(request, decision, nodes, host, root, laid, now), evidence: decision.evidence }
}

function requireRunnable({ name, programs }: Request, decision: Decision): void {
  if (decision.runnable) return
  const [first, ...others] = decision.problems.filter(({ kind }) => kind !== 'note').map(({ text }) => text)
  throw new AppcError('PLAN_IMPOSSIBLE', `${name} cannot run on this host`, {
    ...(first === undefined ? {} : { because: first + (others.length > 0 ? `, and ${others.length} more` : '') }),
    hint:
      programs.length > 0
        ? `appc plan ${name} tells all of it`
        : 'give the directory of the libraries that it was built against: appc-run --lib DIR PROGRAM',
  })
}
