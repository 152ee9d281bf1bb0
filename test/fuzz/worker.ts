import { parentPort, workerData } from 'node:worker_threads'
import { allKinds, type Kind } from './kinds.js'
import { Random } from './random.js'

/** Runs inputs for campaign.ts, in a thread of its own that can be ended when it hangs. */
export interface Task {
  /** Inputs of every kind that derive from `seed`; or one kind's input of that very seed. */
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
  const lots = kinds.flatMap((kind, index) => Array.from({ length: kind.share }, () => index))
  const place = new Uint32Array(current)
  let slowest: Slowest = { kind: '', seed: 0, value: 0 }
  let largest: Slowest = { kind: '', seed: 0, value: 0 }
  const seeds = new Random(seed)
  for (let done = 0; done < inputs; done++) {
    const index = kind === null ? seeds.pick(lots) : kinds.findIndex(({ name }) => name === kind)
    const own = kind === null ? seeds.u32() : seed
    place.set([done, index, own])
    const { name, run } = kinds[index] as Kind
    const before = memoryInUse()
    const { time, because } = runOnce(run, own)
    const memory = memoryInUse() - before
    if (time > slowest.value) slowest = { kind: name, seed: own, value: time }
    if (memory > largest.value) largest = { kind: name, seed: own, value: memory }
    if (because !== null) tell({ what: 'failure', kind: name, seed: own, because })
    if (done % NEWS_EVERY === NEWS_EVERY - 1) tell({ what: 'progress', done: done + 1 })
  }
  tell({ what: 'end', done: inputs, slowest, largest })
}

/** A second over the limit may be the machine's, busy with something else: what is slow is slow three times. */
function runOnce(run: Kind['run'], seed: number): { time: number; because: string | null } {
  let time = Number.POSITIVE_INFINITY
  for (let tries = 3; tries > 0; tries--) {
    const start = performance.now()
    try {
      run(new Random(seed))
    } catch (error) {
      return { time: performance.now() - start, because: error instanceof Error ? `${error.stack}` : String(error) }
    }
    time = Math.min(time, performance.now() - start)
    if (time <= MAX_TIME) return { time, because: null }
  }
  return { time, because: `it took ${Math.round(time)} ms` }
}

function memoryInUse(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const port = parentPort
if (port !== null) work(workerData, news => port.postMessage(news))
