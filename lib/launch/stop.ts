import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { AppcError } from '../errors.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { addon } from './addon.js'
import { type Process, readProcess } from './processes.js'
import { findRunning, type Running } from './running.js'

/** How long a container may take to end, in milliseconds, where nothing else is said. */
export const PATIENCE = 10_000

/** How long killed processes may take, which the kernel ends as soon as they come back to it. */
const AFTER_KILL = 10_000

/**
 * Ends containers. The leader is asked to (SIGTERM), as by a service manager: it knows best in which order its own are to end. When it
 * has ended, those that it has left are asked. What is there after `patience` milliseconds is killed. Returns the leaders of containers
 * for which that was necessary. Throws STOP_FAILED.
 */
export async function stop(store: Store, chosen: readonly Running[], patience: number): Promise<ReadonlySet<Process>> {
  const launches = new Map(chosen.map(({ signature, leader }) => [signature.launch, leader]))
  const killed = new Set<Process>()
  const handles = new Handles()
  try {
    for (const { processes } of chosen) handles.open(processes)
    const deadline = performance.now() + patience
    for (;;) {
      const left = findRunning(store).filter(({ signature }) => launches.has(signature.launch))
      for (const { processes } of left) handles.open(processes)
      if (handles.size === 0) return killed
      const over = performance.now() - deadline
      if (over >= AFTER_KILL) throw unkillable(handles.ids())
      for (const { signature, leader, processes } of left) {
        const first = launches.get(signature.launch) as Process
        if (over >= 0) killed.add(first)
        else handles.ask(isSame(leader, first) ? [leader] : processes)
      }
      if (over >= 0) handles.kill()
      await handles.someEnd(over < 0 ? -over : AFTER_KILL - over)
    }
  } finally {
    handles.close()
  }
}

function isSame(a: Process, b: Process): boolean {
  return a.pid === b.pid && a.started === b.started
}

/** Processes that have not ended yet. */
class Handles {
  readonly #open = new Map<number, Process>()
  readonly #known = new Set<string>()
  readonly #asked = new Set<number>()

  get size(): number {
    return this.#open.size
  }

  ids(): readonly number[] {
    return [...this.#open.values()].map(({ pid }) => pid)
  }

  open(processes: readonly Process[]): void {
    for (const wanted of processes) {
      const identity = `${wanted.pid} ${wanted.started}`
      // A command that was executed inside to stop the container is not to wait for its own end.
      if (this.#known.has(identity) || wanted.pid === process.pid) continue
      this.#known.add(identity)
      const handle = openHandle(wanted)
      if (handle !== null) this.#open.set(handle, wanted)
    }
  }

  ask(processes: readonly Process[]): void {
    const wanted = new Set(processes.map(({ pid }) => pid))
    for (const [handle, { pid }] of this.#open) {
      if (!wanted.has(pid) || this.#asked.has(handle)) continue
      this.#asked.add(handle)
      // One that is stopped would get it when it goes on.
      send(handle, 'SIGTERM')
      send(handle, 'SIGCONT')
    }
  }

  kill(): void {
    for (const handle of this.#open.keys()) send(handle, 'SIGKILL')
  }

  async someEnd(milliseconds: number): Promise<void> {
    for (const handle of await addon().awaitEnds([...this.#open.keys()], Math.ceil(milliseconds))) this.#close(handle)
  }

  close(): void {
    for (const handle of this.#open.keys()) this.#close(handle)
  }

  #close(handle: number): void {
    this.#open.delete(handle)
    closeSync(handle)
  }
}

/** null when it has ended. A handle stays that process's; that it is this one the time of its start tells. */
function openHandle({ pid, started }: Process): number | null {
  try {
    const handle = addon().openProcess(pid)
    if (readProcess(pid)?.started === started) return handle
    closeSync(handle)
    return null
  } catch (error) {
    if (hasCode(error, 'ESRCH', 'EINVAL')) return null
    throw error
  }
}

/** What the caller may not signal (a program that has become another user) is told when it does not end. */
function send(handle: number, signal: 'SIGTERM' | 'SIGCONT' | 'SIGKILL'): void {
  try {
    addon().signalProcess(handle, constants.signals[signal])
  } catch (error) {
    if (!hasCode(error, 'ESRCH', 'EPERM')) throw error
  }
}

function unkillable(pids: readonly number[]): AppcError {
  return new AppcError('STOP_FAILED', `${pids.length === 1 ? 'a process does' : 'processes do'} not end`, {
    because: `${pids.join(', ')} ${pids.length === 1 ? 'was' : 'were'} killed, and still there`,
    hint: 'they wait for a disk or a server in the kernel, or have become another user; root may end those',
  })
}
