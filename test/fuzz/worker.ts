import { parentPort, workerData } from 'node:worker_threads'
import { allKinds, KIND_NAMES, type Kind } from './kinds.js'
import { KNOWN, SEEDS } from './known.js'
import { Random } from './random.js'

/** Runs inputs for campaign.ts, in a thread of its own that can be ended when it hangs. */
export interface Task {
  /** Inputs of every kind, of numbers that come of `seed`; or one kind's input of that very number. */
  readonly seed: number
  readonly inputs: number
  readonly kind: string | null
  /** Real ELF files to be changed. */
  readonly samples: readonly Uint8Array[]
  /** Which input is being run, its kind and seed: for those who find the thread hanging or dead. */
  readonly current: SharedArrayBuffer
}

export type News =
  | { readonly what: 'failure'; readonly kind: string; readonly seed: number; readonly because: string }
  | { readonly what: 'progress'; readonly done: number }
  | { readonly what: 'end'; readonly done: number; readonly slowest: Slowest; readonly largest: Slowest }

/** What took the longest, in ms, or the most memory, in bytes. */
export interface Slowest {
  readonly kind: string
  readonly seed: number
  readonly value: number
}

const MAX_TIME = 1000
const NEWS_EVERY = 10_000

function work({ seed, inputs, kind, samples, current }: Task, tell: (news: News) => void): void {
  const kinds = allKinds(samples)
  const place = new Uint32Array(current)
  let slowest: Slowest = { kind: '', seed: 0, value: 0 }
  let largest: Slowest = { kind: '', seed: 0, value: 0 }
  let done = 0
  for (const [{ name, run }, own] of chosen(kinds, seed, inputs, kind)) {
    place.set([done, KIND_NAMES.indexOf(name), own])
    const before = memoryInUse()
    const { time, because } = runOnce(run, own)
    const memory = memoryInUse() - before
    if (time > slowest.value) slowest = { kind: name, seed: own, value: time }
    if (memory > largest.value) largest = { kind: name, seed: own, value: memory }
    if (because !== null) tell({ what: 'failure', kind: name, seed: own, because })
    done++
    if (done % NEWS_EVERY === 0) tell({ what: 'progress', done })
  }
  tell({ what: 'end', done, slowest, largest })
}

/** What is known to be nasty comes first, and is no part of the number. */
function* chosen(kinds: readonly Kind[], seed: number, inputs: number, only: string | null): Generator<[Kind, number]> {
  const named = (name: string) => kinds[KIND_NAMES.indexOf(name)] as Kind
  if (only !== null) return yield [named(only), seed]
  for (const index of KNOWN.keys()) yield [named('known'), index]
  for (const [name, known] of SEEDS) yield [named(name), known]
  const lots = kinds.flatMap(kind => Array.from({ length: kind.share }, () => kind))
  const random = new Random(seed)
  for (let done = 0; done < inputs; done++) yield [random.pick(lots), random.u32()]
}

/**
 * The time is the processor's, since the machine may be busy with something else; and what is slow is slow three times: a
 * collection of garbage may fall into any input.
 */
function runOnce(run: Kind['run'], seed: number): { time: number; because: string | null } {
  let time = Number.POSITIVE_INFINITY
  for (let tries = 3; tries > 0; tries--) {
    const start = process.cpuUsage()
    try {
      run(new Random(seed))
    } catch (error) {
      return { time: elapsed(start), because: error instanceof Error ? `${error.stack}` : String(error) }
    }
    time = Math.min(time, elapsed(start))
    if (time <= MAX_TIME) return { time, because: null }
  }
  return { time, because: `it took ${Math.round(time)} ms` }
}

/** In ms. */
function elapsed(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}

function memoryInUse(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const port = parentPort
if (port !== null) work(workerData, news => port.postMessage(news))
