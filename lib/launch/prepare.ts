import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type Container, isExecutable, readContainer } from '../container/containers.js'
import { policyPath } from '../container/host-policy.js'
import { describeProgram } from '../container/program.js'
import type { Manifest, PackedRegular } from '../container/types.js'
import { decide } from '../decide/decide.js'
import { Contents } from '../decide/home.js'
import { within } from '../decide/host-paths.js'
import type { Decision, Host } from '../decide/types.js'
import { AppcError } from '../errors.js'
import { overlayFileSystem } from '../loader/overlay-file-system.js'
import { openHostFile, rootFileSystem } from '../loader/root-file-system.js'
import type { FileSystem } from '../loader/types.js'
import { compilePlan, mountsInside, type Request } from '../plan/compile.js'
import { changedSince } from '../plan/guards.js'
import { layersOf, Targets } from '../plan/overlays.js'
import type { Plan } from '../plan/types.js'
import { buildView } from '../plan/view.js'
import { objectPath } from '../store/objects.js'
import { refPath } from '../store/refs.js'
import { type Store, withLock } from '../store/store.js'
import { Writer } from '../store/writer.js'
import { addon } from './addon.js'
import { type Destination, writePlan } from './destination.js'
import { circumstances } from './machine.js'

/** A container, and what was decided for it on some host. */
export interface Decided {
  readonly container: Container
  readonly decision: Decision
}

/** Decides for a container of the store. Throws CONTAINER_UNKNOWN, STORE_CORRUPT, MANIFEST_INVALID. */
export function decideContainer(store: Store, name: string, host: Host): Decided {
  const container = readContainer(store, name)
  const open = (file: PackedRegular) => openHostFile(objectPath(store, file.sha256, isExecutable(file.mode)))
  return { container, decision: decide(container.manifest, host, open) }
}

/**
 * Decides, builds the view and writes the plan file that the launcher will find. `openHost` looks at the host afresh: it is asked
 * again when the host changed meanwhile.
 */
export function prepareContainer(destination: Destination, name: string, openHost: () => Host): void {
  const { store } = destination
  untilSettled(destination, () => {
    const host = openHost()
    return withLock(store, 'shared', () => {
      const { container, decision } = decideContainer(store, name, host)
      const programs = programsOf(container.manifest)
      const request = { name, request: [name], programs, sources: [refPath(store, name), policyPath(store)] }
      return makePlan(destination, container.digest, request, decision, host)
    })
  })
}

/**
 * Writes the plan once nothing changed while it was made. Its guards are taken at the end: what changed between the first look and
 * then would be blessed unseen, so a plan that is not settled must never reach the disk.
 */
function untilSettled(destination: Destination, prepare: () => Plan): void {
  const { store } = destination
  for (let attempt = 1; ; attempt++) {
    const began = BigInt(Date.now()) * 1_000_000n
    const plan = prepare()
    // The store's own objects get links while the view is built.
    const guards = plan.guards.filter(({ path }) => !within(path, join(store.home, 'objects')))
    const changed = changedSince(guards, began)
    // Something comes and goes in some directories all the time; a file that the plan rests on does not.
    if (changed === null || (changed === 'names' && attempt === ATTEMPTS)) {
      withLock(store, 'shared', () => writePlan(destination, plan))
      return
    }
    if (attempt < ATTEMPTS) continue
    throw new AppcError('PLAN_UNSTABLE', 'the host keeps changing while it is planned for', {
      hint: 'wait until the upgrade that is under way has finished, and try again',
    })
  }
}

const ATTEMPTS = 3

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
  openHost: () => Host,
): void {
  untilSettled(destination, () => prepareProgramOnce(destination, program, libraries, openHost()))
}

function prepareProgramOnce(destination: Destination, program: string, libraries: readonly string[], bare: Host): Plan {
  const { store, root } = destination
  const machine = rootFileSystem('/')
  const inside = root !== null && within(program, root) ? program.slice(root.length) : program
  const seen = inside === program ? withProgram(bare.fs, machine, program) : bare.fs
  const host: Host = { ...bare, fs: seen, packages: null }
  const described = describeProgram(seen, inside, libraries, machine)
  const digest = createHash('sha256').update(JSON.stringify(described.manifest)).digest('hex')
  const decision = decide(described.manifest, host, file => described.fs.open(file.path), described.inPlace)
  const sources = importPrivate(store, decision, described.fs)
  const request = {
    name: program,
    request: [program, ...libraries],
    programs: [],
    sources: [program, ...libraries, ...sources, policyPath(store)],
  }
  return withLock(store, 'shared', () => makePlan(destination, digest, request, decision, host))
}

/** A tree that serves as the host sees the machine's programs in the directories that it shares with it (/home, /tmp). */
function withProgram(fs: FileSystem, machine: FileSystem, program: string): FileSystem {
  return overlayFileSystem(fs, new Map([[program, { kind: 'file', from: machine, path: program }]]))
}

/** Copies what is private into the store; returns where on the machine it was read. */
function importPrivate(store: Store, decision: Decision, fs: FileSystem): readonly string[] {
  const files = [...decision.placement.values()].flatMap(node => (node.kind === 'file' ? [node.file] : []))
  const distinct = [...new Map(files.map(file => [file.sha256, file])).values()]
  if (distinct.length === 0) return []
  return Writer.use(store, writer => {
    const sources = distinct.map(file => {
      const source = fs.open(file.path)
      try {
        const { sha256 } = writer.add(source, isExecutable(file.mode))
        if (sha256 !== file.sha256)
          throw new AppcError('PLAN_UNSTABLE', `${file.path} changed while it was planned for`)
      } finally {
        source.close()
      }
      return fs.hostPath(file.path)
    })
    writer.commit()
    return sources.filter(path => path !== null)
  })
}

function makePlan(destination: Destination, digest: string, request: Request, decision: Decision, host: Host): Plan {
  if (!decision.runnable) throw impossible(request, decision)
  const { store, root } = destination
  const now = circumstances()
  const directories = new Targets(host.fs, mountsInside(now.mountPoints, root), now.uid === 0 ? 'deepest' : 'common')
  const layers = buildView(store, addon(), digest, layersOf(decision.placement, directories))
  return compilePlan(store, request, decision, host, root, layers, now)
}

function impossible({ name, programs }: Request, decision: Decision): AppcError {
  const [first, ...others] = decision.problems.filter(({ kind }) => kind !== 'note').map(({ text }) => text)
  return new AppcError('PLAN_IMPOSSIBLE', `${name} cannot run on this host`, {
    ...(first === undefined ? {} : { because: first + (others.length > 0 ? `, and ${others.length} more` : '') }),
    hint:
      programs.length > 0
        ? `appc plan ${name} tells all of it`
        : 'give the directory of the libraries that it was built against: appc-run --lib DIR PROGRAM',
  })
}
