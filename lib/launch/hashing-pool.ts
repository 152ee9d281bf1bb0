import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type HashedBatch, type HashJob, hashShare, stopHashing } from '../upkeep/hashing.js'
import { addon } from './addon.js'

/** dist/bin/appc, where all programs are bundled to, is as deep as this. */
const THREAD = new URL('../../bin/appc/hash-thread.js', import.meta.url)
/** Starting a thread takes as long as hashing some ten MB. */
const ALONE_BYTES = 32 << 20

type Tell = (hashed: HashedBatch) => void

/** Threads that hash the files of one job, one for each processor. They are started at once, and the job may come later. */
export class HashingPool {
  readonly #threads: readonly Worker[]

  constructor(threads = availableParallelism()) {
    this.#threads = Array.from({ length: threads }, () => new Worker(THREAD))
    // Before there is a job a thread keeps nobody waiting.
    for (const thread of this.#threads) thread.unref()
  }

  /** Tells of each batch when it is done. */
  async hash(job: HashJob, tell: Tell): Promise<void> {
    await Promise.all(this.#threads.map(thread => share(thread, job, tell)))
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map(thread => thread.terminate()))
  }
}

function share(thread: Worker, job: HashJob, tell: Tell): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.ref()
    thread.on('message', tell)
    thread.on('error', error => {
      // The others are of no use any more.
      stopHashing(job)
      reject(error)
    })
    thread.on('exit', resolve)
    thread.postMessage(job)
  })
}

/**
 * Hashes the files of a job: of a small one here, and else in threads, in these where there are some. With `signal` it ends early; what was
 * hashed by then has been told.
 */
export async function hashAll(
  job: HashJob,
  bytes: number,
  tell: Tell,
  { pool, threads, signal }: { pool: HashingPool | null; threads: number | undefined; signal: AbortSignal | undefined },
): Promise<void> {
  const stop = () => stopHashing(job)
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  const started = pool ?? (bytes > ALONE_BYTES || job.maxRate !== null ? new HashingPool(threads) : null)
  try {
    if (started === null) await hashHere(job, tell)
    else await started.hash(job, tell)
  } finally {
    signal?.removeEventListener('abort', stop)
    if (started !== pool) await started?.close()
  }
}

/** Gives signals a chance between batches. */
async function hashHere(job: HashJob, tell: Tell): Promise<void> {
  for (const hashed of hashShare(addon(), job)) {
    tell(hashed)
    await new Promise(resolve => setImmediate(resolve))
  }
}
