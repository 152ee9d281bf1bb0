import { closeSync, openSync } from 'node:fs'
import { AppcError } from '../errors.js'
import { type Mount, parseMounts, visibleMounts } from '../store/mount-table.js'
import type { Store } from '../store/store.js'
import { addon } from './addon.js'
import { isOwn } from './owner.js'
import { listProcesses, look, namespaceOf, type Process, readIds, readMountinfo } from './processes.js'
import { nameInKey, parseSignature, type Signature, storeInSignature } from './signature.js'

/** A container that runs: the processes that see the overlays of one launch. */
export interface Running {
  readonly name: string
  readonly signature: Signature
  /** The overlays' source, as a whole. */
  readonly source: string
  /** Where the overlays lie. */
  readonly targets: readonly string[]
  /** The oldest process: the program, or what stays beside it. Its id is the container's. */
  readonly leader: Process
  /** Whose namespaces are the container's: the leader, or where that stays beside it the program. */
  readonly program: Process
  /** All, oldest first. */
  readonly processes: readonly Process[]
}

/**
 * The running containers of a store, by name and age. There is no list of them: they are found in /proc, where the kernel shows the
 * overlays of each process. Whose they are is told by who owns the mount namespace, since all else may be made up: those of the
 * caller alone are found.
 */
export function findRunning(store: Store): readonly Running[] {
  const all = listProcesses()
  const own = storeInSignature(store)
  const sightings = new Sightings()
  const members = new Map<number, View>()
  const others: Process[] = []
  for (const process of all) {
    const view = sightings.of(process)
    if (view === 'not believed') others.push(process)
    else if (view?.signature.store === own && nameInKey(view.signature.key) !== null) members.set(process.pid, view)
  }
  const leaders = [...members.keys()].filter(isOutside)
  // A program may have given what it has started namespaces of its own (a browser does). Parents come first.
  for (const { pid, parent } of others) {
    const view = members.get(parent)
    if (view !== undefined && sightings.shows(pid, view)) members.set(pid, view)
  }
  const launches = new Set(leaders.map(pid => (members.get(pid) as View).signature.launch))
  const running = [...launches].map(launch => asRunning(launch, leaders, members, all))
  return running
    .filter(container => container !== null)
    .sort((a, b) => (a.name === b.name ? a.leader.pid - b.leader.pid : a.name < b.name ? -1 : 1))
}

/** What a process sees of a launch. */
interface View {
  readonly signature: Signature
  readonly source: string
  readonly targets: readonly string[]
}

/** One look for each mount namespace: hundreds of processes share the machine's. */
class Sightings {
  readonly #views = new Map<string, View | 'not believed' | null>()

  of({ pid }: Process): View | 'not believed' | null {
    const namespace = namespaceOf(pid, 'mnt')
    if (namespace === null) return ofClosed(pid)
    const known = this.#views.get(namespace)
    if (known !== undefined) return known
    const view = hasOwnMounts(pid) ? viewOf(pid) : 'not believed'
    this.#views.set(namespace, view)
    return view
  }

  /** Of one that is not believed, but descends from one that is. */
  shows(pid: number, { source }: View): boolean {
    return overlaysOf(pid, FOREIGN_BYTES).some(mount => mount.source === source)
  }
}

/** Longer tables are not looked at: others can make theirs as long as they like. */
const OWN_BYTES = 64 << 20
const FOREIGN_BYTES = 1 << 20

/**
 * Of a process that the caller may not look into though it is his: the launcher that stays beside a program keeps what is inside from
 * doing so. Its table of mounts is open to all.
 */
function ofClosed(pid: number): View | 'not believed' | null {
  const uid = process.geteuid?.() ?? 0
  if (!readIds(pid)?.uids.every(id => id === uid)) return null
  return isOutside(pid) ? viewOf(pid) : 'not believed'
}

function viewOf(pid: number): View | null {
  const overlays = overlaysOf(pid, OWN_BYTES)
  const newest = overlays.reduce<Mount | null>(
    (last, mount) => (last === null || mount.id > last.id ? mount : last),
    null,
  )
  const signature = newest && parseSignature(newest.source)
  if (newest === null || signature === null) return null
  const targets = overlays.filter(({ source }) => source === newest.source).map(({ point }) => point)
  return { signature, source: newest.source, targets }
}

function overlaysOf(pid: number, bytes: number): readonly Mount[] {
  return visibleMounts(parseMounts(readMountinfo(pid, bytes) ?? '')).filter(({ ours }) => ours)
}

function hasOwnMounts(pid: number): boolean {
  const owner = look(() => {
    const namespace = openSync(`/proc/${pid}/ns/mnt`, 'r')
    try {
      return addon().ownerOf(namespace)
    } finally {
      closeSync(namespace)
    }
  })
  return owner !== null && isOwn(owner, pid)
}

/** In no PID namespace below the caller's. What a program that is kept in one says of itself is not believed. */
function isOutside(pid: number): boolean {
  return readIds(pid)?.pids.length === 1
}

/** null where there is no program yet, or no more. */
function asRunning(
  launch: string,
  leaders: readonly number[],
  members: ReadonlyMap<number, View>,
  all: readonly Process[],
): Running | null {
  const processes = all.filter(({ pid }) => members.get(pid)?.signature.launch === launch)
  const leader = processes.find(({ pid }) => leaders.includes(pid)) as Process
  const { signature, source, targets } = members.get(leader.pid) as View
  const program = signature.supervised ? grandchildOf(leader, all) : leader
  if (program === null) return null
  return { name: nameInKey(signature.key) as string, signature, source, targets, leader, program, processes }
}

/** Between what stays beside the program and the program is one process, the first of its PID namespace if there is one. */
function grandchildOf(leader: Process, all: readonly Process[]): Process | null {
  const children = new Set(all.filter(({ parent }) => parent === leader.pid).map(({ pid }) => pid))
  return all.find(({ parent }) => children.has(parent)) ?? null
}

/**
 * The one that is meant by `NAME` or, where several run, by `NAME:PID`. Throws CONTAINER_NOT_RUNNING, and CONTAINER_AMBIGUOUS with
 * their ids.
 */
export function requireOne(running: readonly Running[], designation: string): Running {
  const [found, ...others] = requireRunning(running, designation)
  if (others.length === 0) return found
  const choices = [found, ...others].map(({ name, leader }) => `${name}:${leader.pid}`)
  throw new AppcError('CONTAINER_AMBIGUOUS', `${designation} runs ${choices.length} times`, {
    hint: `say which: ${choices.join(', ')}`,
  })
}

/** All that run under `NAME`, or the one of `NAME:PID`. Throws CONTAINER_NOT_RUNNING. */
export function requireRunning(running: readonly Running[], designation: string): readonly [Running, ...Running[]] {
  const [name, pid] = designation.split(':')
  const named = running.filter(container => container.name === name)
  const [first, ...others] = named.filter(({ leader }) => pid === undefined || leader.pid === Number(pid))
  if (first !== undefined) return [first, ...others]
  const choices = named.map(({ leader }) => `${name}:${leader.pid}`)
  throw new AppcError('CONTAINER_NOT_RUNNING', `${designation} does not run`, {
    hint: choices.length > 0 ? `these do: ${choices.join(', ')}` : 'appc ps shows what runs',
  })
}
