import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { News, Slowest, Task } from './worker.js'

/** Without a sign of life for so long, an input hangs. Thrice the slowest that is let pass, tried thrice, and some more. */
const PATIENCE = 12_000
/** For JavaScript objects, in MB: what runs away ends here, and not with the machine. */
const HEAP = 160
/** After so many there is no more to be learned. */
const MAX_FAILURES = 10

export interface Result {
  readonly done: number
  /** Each begins with KIND:SEED, which repeats it. */
  readonly failures: readonly string[]
  readonly slowest: Slowest | null
  readonly largest: Slowest | null
  /** Of the whole process, in bytes. */
  readonly peakMemory: number
}

/** Runs inputs to their end, to a hang or to the end of memory, whatever comes first. */
export async function campaign(
  task: Omit<Task, 'current'>,
  kinds: readonly string[],
  progress: (done: number) => void,
): Promise<Result> {
  const current = new SharedArrayBuffer(12)
  const place = new Uint32Array(current)
  const failures: string[] = []
  let end: Extract<News, { what: 'end' }> | null = null
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: { ...task, current } satisfies Task,
    resourceLimits: { maxOldGenerationSizeMb: HEAP, maxYoungGenerationSizeMb: HEAP / 10 },
  })
  const here = () => `${kinds[place[1] as number]}:${place[2]}`
  let last = -1
  const watch = setInterval(() => {
    const done = place[0] as number
    if (done === last && done > 0) {
      failures.push(`${here()} hangs`)
      void worker.terminate()
    }
    last = done
  }, PATIENCE)
  await new Promise<void>(resolve => {
    worker.on('message', (news: News) => {
      if (news.what === 'progress') progress(news.done)
      if (news.what === 'end') end = news
      if (news.what !== 'failure') return
      failures.push(`${news.kind}:${news.seed} ${news.because}`)
      if (failures.length >= MAX_FAILURES) void worker.terminate()
    })
    worker.on('error', error => failures.push(`${here()} ended the thread: ${error.message}`))
    worker.on('exit', () => resolve())
  })
  clearInterval(watch)
  const { done, slowest, largest } = end ?? { done: place[0] as number, slowest: null, largest: null }
  return { done, failures, slowest, largest, peakMemory: peakMemory() }
}

/** VmHWM, proc(5). */
function peakMemory(): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
}
