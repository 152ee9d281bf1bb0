import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { openBytes } from '../../lib/container/change.js'
import { freeReplaced, isExecutable, readContainer } from '../../lib/container/containers.js'
import { policyPath } from '../../lib/container/host-policy.js'
import { isSecret } from '../../lib/container/settings.js'
import { addon } from '../../lib/launch/addon.js'
import { readPlan, writePlan } from '../../lib/launch/destination.js'
import { importObjects } from '../../lib/launch/import-private.js'
import { storeInSignature } from '../../lib/launch/signature.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { compilePlan } from '../../lib/plan/compile.js'
import { planKey } from '../../lib/plan/file.js'
import { noteObjects } from '../../lib/plan/objects.js'
import type { Layer } from '../../lib/plan/overlays.js'
import { changedPaths, refreshPlan } from '../../lib/plan/refresh.js'
import type { LaidNode } from '../../lib/plan/settings.js'
import type { Plan } from '../../lib/plan/types.js'
import { buildView } from '../../lib/plan/view.js'
import type { ViewSystem } from '../../lib/plan/view-nodes.js'
import { refPath } from '../../lib/store/refs.js'
import { secretPath } from '../../lib/store/secrets.js'
import { byHash } from '../../lib/store/soundness.js'
import { type Store, withLock } from '../../lib/store/store.js'
import { storeOf } from '../../lib/store/stores.js'
import { Writer } from '../../lib/store/writer.js'
import { hasCode } from '../../lib/store/writing.js'
import { asFile, expect, sha256, type World } from './collector-world.js'

/** What is asked for: a container or a plain program, perhaps in a tree or with a variable of the loader. */
export interface Asked {
  readonly kind: 'container' | 'program'
  readonly subject: string
  readonly root: string | null
  readonly environment: Readonly<Record<string, string>>
}

/** What a layer of a view must hold: path → text, or a link's target. */
type Content = ReadonlyMap<string, string>

/** What was put into each view, by `CONTAINER/VIEW`. */
export type Views = Map<string, readonly Content[]>

/**
 * As a launch that has no plan: under the lock, with the real view and the real plan file. `mayFree`: nothing runs; it would free what the
 * system has replaced, and does not see programs that are none.
 */
export function prepare(world: World, views: Views, asked: Asked, mayFree: boolean): void {
  const { own, system } = world
  const from = asked.kind === 'program' ? own : storeOf({ own, system }, asked.subject)
  if (from === system && mayFree) freeReplaced(own, system)
  withLock(own, 'shared', () => (from === own ? plan() : withLock(from, 'shared', plan)))

  function plan(): void {
    const { directory, laid, sources } =
      asked.kind === 'program' ? ofProgram() : ofContainer(world, from, asked.subject)
    if (from !== own) importObjects(own, system, laid)
    const layers = layersOf(world, laid)
    const built = buildView(own, viewSystem, directory, layers)
    const objects = objectsOf(own, laid)
    const view = dirname(built.layers[0]?.directory ?? '')
    views.set(`${directory}/${basename(view)}`, layers.map(contentOf))
    const placement = new Map(
      [...laid].flatMap(([path, node]) => (node.kind === 'file' ? [[path, node] as const] : [])),
    )
    const decision = {
      runnable: true,
      libraries: [],
      packages: [],
      problems: [],
      placement,
      evidence: [],
      startUp: new Set(placement.keys()),
    }
    const request = {
      name: asked.subject,
      request: [asked.subject],
      programs: [],
      needs: [],
      sources: [...sources, world.hostFile],
      variables: {},
      state: [],
    }
    const host = { fs: rootFileSystem(asked.root ?? '/'), packages: null, context: {} as never, facts: {} as never }
    const made = compilePlan(
      request,
      decision,
      laid,
      host,
      asked.root,
      { view: built, objects },
      circumstancesOf(world, asked),
    )
    writePlan({ store: own, key: keyOf(asked), root: asked.root }, made)
  }

  /** Its private files are objects that no container has. */
  function ofProgram() {
    const texts = ['of-program', `host${world.host}`]
    Writer.use(own, writer => {
      for (const text of texts) writer.add(openBytes(Buffer.from(text)), false)
      writer.commit()
    })
    const laid = new Map<string, LaidNode>(
      texts.map(text => [`/opt/made/${text}`, { kind: 'file', file: asFile(text) }]),
    )
    const directory = `=${sha256(`${asked.subject}${world.host}`)}`
    return { directory, laid, sources: [asked.subject] }
  }
}

/** As they are: no object is damaged here. */
function objectsOf(own: Store, laid: ReadonlyMap<string, LaidNode>) {
  const wanted = [...laid.values()].flatMap(node =>
    node.kind === 'file' ? [{ ...node.file, executable: isExecutable(node.file.mode) }] : [],
  )
  const byDigest = new Map(wanted.map(file => [`${file.sha256}${file.executable}`, file]))
  const { dev, files } = noteObjects(own, [...byDigest.values()])
  return { dev, files: files.filter(file => file !== null) }
}

function ofContainer(world: World, from: Store, name: string) {
  const { digest, settings } = readContainer(from, name)
  const texts = world.texts.get(digest) ?? []
  // What the host has serves: another host, other private files.
  const laid = new Map<string, LaidNode>(
    texts
      .filter((_, index) => (index + world.host) % 3 > 0)
      .map(text => [`/opt/made/${text}`, { kind: 'file', file: asFile(text) }]),
  )
  const isOwn = from === world.own
  for (const file of settings.files) {
    if (!isSecret(file)) laid.set(file.path, { kind: 'file', file: { type: 'file', package: null, ...file } })
    else laid.set(file.path, isOwn ? { kind: 'secret', id: file.secret } : { kind: 'closed' })
  }
  const secrets = settings.files.filter(isSecret).map(({ secret }) => secretPath(from, secret))
  const sources = isOwn ? secrets : [refPath(world.own, name)]
  return { directory: digest, laid, sources: [...sources, refPath(from, name), policyPath(from)] }
}

/** One for what was packed, with all that a layer can have, and one for settings. */
function layersOf(world: World, laid: ReadonlyMap<string, LaidNode>): readonly Layer[] {
  const layers = ['/opt/made', '/etc/made'].map((directory, index): Layer => {
    const nodes = new Map<string, LaidNode>(
      [...laid].flatMap(([path, node]) =>
        path.startsWith(`${directory}/`) ? [[path.slice(directory.length + 1), node]] : [],
      ),
    )
    nodes.set('everything', { kind: 'symlink', target: '/' })
    nodes.set('gone', { kind: 'whiteout' })
    return { target: world.target(index), nodes, directories: new Map([['', { mode: 0o755, owner: null }]]) }
  })
  return layers
}

function contentOf({ nodes }: Layer): Content {
  const texts = [...nodes].flatMap(([path, node]): [string, string][] => {
    if (node.kind === 'symlink') return [[path, node.target]]
    if (node.kind === 'file') return [[path, node.file.sha256]]
    return node.kind === 'secret' ? [[path, node.id]] : []
  })
  return new Map(texts)
}

export function keyOf({ kind, subject, root, environment }: Asked): string {
  const identity = root === null ? null : statSync(root, { bigint: true })
  return planKey({ kind, subject, libraryDirectories: [], root: identity }, environment)
}

/** Whiteouts are no part of what a crash could leave half done. */
const viewSystem: ViewSystem = { makeWhiteout: path => addon().makeWhiteout(path) }

function circumstancesOf(world: World, { environment }: Asked) {
  return { ...world.now, loaderEnvironment: environment }
}

/** A plan that a launch would take as it is. */
export function planThatHolds(world: World, asked: Asked): Plan | null {
  const known = readPlan({ store: world.own, key: keyOf(asked), root: asked.root })
  return known && refreshPlan(world.own, known, circumstancesOf(world, asked), byHash(world.own))
}

export const viewIn = ({ overlays }: Plan): string => overlays[0]?.layer.split('/').slice(-3, -1).join('/') ?? ''

/** From the asking to the end, in the steps of the launcher: between any two of them anything may happen, as it holds no lock. */
export class Launch {
  state: 'asked' | 'planned' | 'opened' | 'running' | 'ended' = 'asked'
  view = ''
  readonly #asked: Asked
  readonly #world: World
  readonly #views: Views
  #plan: Plan | null = null
  #layers: number[] = []
  #child: ChildProcess | null = null

  constructor(world: World, views: Views, asked: Asked) {
    this.#world = world
    this.#views = views
    this.#asked = asked
  }

  /** What can be done without a lock. */
  step(): void {
    if (this.state === 'asked') {
      this.#plan = planThatHolds(this.#world, this.#asked)
      if (this.#plan === null) return
      this.view = viewIn(this.#plan)
      this.state = 'planned'
    } else if (this.state === 'planned') this.#openOne(this.#plan as Plan)
    else if (this.state === 'opened') this.state = 'running'
  }

  /** Those that need one. */
  prepare(mayFree: boolean): void {
    if (this.state === 'asked') prepare(this.#world, this.#views, this.#asked, mayFree)
  }

  #openOne({ overlays }: Plan): void {
    const layer = overlays[this.#layers.length]?.layer ?? ''
    try {
      this.#layers.push(openSync(layer, constants.O_RDONLY | constants.O_DIRECTORY))
      if (this.#layers.length < overlays.length) return
      if (this.#areAsPlanned()) this.state = 'opened'
      else this.#startAnew()
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
      this.#startAnew()
    }
  }

  /** As native/core/guards.h, checkLayers: a view of the same name may have been begun since the plan was found to hold. */
  #areAsPlanned(): boolean {
    const plan = this.#plan as Plan
    const guards = plan.guards.filter(({ path }) => plan.overlays.some(({ layer }) => layer === path))
    const { own } = this.#world
    return changedPaths(own, { ...plan, guards, objects: { ...plan.objects, files: [] } }, byHash(own)).length === 0
  }

  /** The launcher has it planned anew then. */
  #startAnew(): void {
    this.#close()
    this.state = 'asked'
  }

  /** Has a real process run with it: then the layers are open no more, and only its mounts tell. */
  async mount(holder: string): Promise<void> {
    const source = `appc:${storeInSignature(this.#world.own)}/${keyOf(this.#asked)}/${basename(this.view)}/0123456789abcdef/0`
    // Where they lie by now.
    const layers = this.#layers.flatMap((fd, index) => [readlinkSync(`/proc/self/fd/${fd}`), this.#world.target(index)])
    const child = spawn(holder, [source, ...layers], { stdio: ['pipe', 'pipe', 'inherit'] })
    const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    if (String(said) !== 'ready\n') throw new Error(`holder: ${said}`)
    this.#child = child
    this.#close()
    this.state = 'running'
  }

  get isHeld(): boolean {
    return this.state === 'running' || this.#layers.length > 0
  }

  get process(): number | null {
    return this.#child?.pid ?? null
  }

  /** As the program finds its files: whatever lies at their names in the store by now. */
  check(): void {
    if (this.state !== 'running' && this.state !== 'opened') return
    const contents = this.#views.get(this.view) ?? []
    for (const [index, content] of contents.entries()) {
      const directory =
        this.#child === null
          ? `/proc/self/fd/${this.#layers[index]}`
          : `/proc/${this.#child.pid}/root${this.#world.target(index)}`
      checkContent(this.#world, directory, content, `a program that runs with ${this.view}`)
    }
  }

  async end(): Promise<void> {
    this.#close()
    this.state = 'ended'
    if (this.#child === null) return
    const ended = once(this.#child, 'exit')
    this.#child.stdin?.end()
    await ended
    this.#child = null
  }

  #close(): void {
    for (const fd of this.#layers) closeSync(fd)
    this.#layers = []
  }
}

/** Whether a layer has all that was put into it. */
export function checkContent(world: World, directory: string, content: Content, whose: string): void {
  for (const [path, expected] of content) {
    const at = join(directory, path)
    expect(has(world, at, expected), () => `${whose} lacks ${path}, or it is another: ${listing(directory)}`)
  }
}

function has(world: World, path: string, expected: string): boolean {
  try {
    if (expected === '/') return readlinkSync(path) === '/'
    const text = readFileSync(path, 'utf8')
    return sha256(text) === expected || world.settings.get(expected) === text
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false
    throw error
  }
}

function listing(directory: string): string {
  try {
    return readdirSync(directory).join(' ')
  } catch (error) {
    return String(error)
  }
}
