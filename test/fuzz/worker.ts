import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { KIND_NAMES } from './kind-names.js'
import { allKinds, type Kind } from './kinds.js'
import { KNOWN, SEEDS } from './known.js'
import { Random } from './random.js'

/** Runs inputs for campaign.ts, in a thread of its own that can be ended when it hangs. */
export interface Task {
  /** Inputs of every kind, of numbers that come of `seed`; or one kind's input of that very number. */
  readonly seed: number
  readonly inputs: number
  readonly kind: string | null
  /** What is known to be nasty comes first, and is no part of the number. */
  readonly known: boolean
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
/** After an input that took more, and those that are known to, garbage is collected: what the next one takes is its own. */
const MUCH = 16 * 1024 * 1024

function work(task: Task, tell: (news: News) => void): void {
  const place = new Uint32Array(task.current)
  let slowest: Slowest = { kind: '', seed: 0, value: 0 }
  let largest: Slowest = { kind: '', seed: 0, value: 0 }
  let done = 0
  for (const [{ name, run }, own] of chosen(task)) {
    place.set([done, KIND_NAMES.indexOf(name), own])
    const before = memoryInUse()
    const { time, because } = runOnce(run, own)
    const memory = memoryInUse() - before
    if (time > slowest.value) slowest = { kind: name, seed: own, value: time }
    if (memory > MUCH || name === 'known') collectGarbage()
    if (memory > largest.value) largest = { kind: name, seed: own, value: memory }
    if (because !== null) tell({ what: 'failure', kind: name, seed: own, because })
    done++
    if (done % NEWS_EVERY === 0) tell({ what: 'progress', done })
  }
  tell({ what: 'end', done, slowest, largest })
}

function* chosen({ seed, inputs, kind: only, known: withKnown, samples }: Task): Generator<[Kind, number]> {
  const kinds = allKinds(samples)
  const named = (name: string) => kinds[KIND_NAMES.indexOf(name)] as Kind
  if (only !== null) return yield [named(only), seed]
  if (withKnown) {
    for (const index of KNOWN.keys()) yield [named('known'), index]
    for (const [name, known] of SEEDS) yield [named(name), known]
  }
  const lots = kinds.flatMap(kind => Array.from({ length: kind.share }, () => kind))
  const random = new Random(seed)
  for (let done = 0; done < inputs; done++) yield [random.pick(lots), random.u32()]
}

/**
 * What takes long is measured again, as time of the processor: the machine may have been busy with something else. And what is
 * slow is slow three times: a collection of garbage may fall into any input.
 */
function runOnce(run: Kind['run'], seed: number): { time: number; because: string | null } {
  const start = performance.now()
  try {
    run(new Random(seed))
  } catch (error) {
    return { time: performance.now() - start, because: error instanceof Error ? `${error.stack}` : String(error) }
  }
  let time = performance.now() - start
  for (let tries = 3; tries > 0 && time > MAX_TIME; tries--) {
    const before = process.cpuUsage()
    run(new Random(seed))
    const { user, system } = process.cpuUsage(before)
    time = Math.min(time, (user + system) / 1000)
  }
  return { time, because: time > MAX_TIME ? `it took ${Math.round(time)} ms` : null }
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

function memoryInUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

const port = parentPort
if (port !== null) work(workerData, news => port.postMessage(news))
