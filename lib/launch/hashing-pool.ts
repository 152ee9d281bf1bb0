import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type HashedBatch, type HashJob, hashShare, stopHashing } from '../upkeep/hashing.js'
import { addon } from './addon.js'

export interface HashingOptions {
  /** Has it end early; what was hashed by then has been told. */
  readonly signal?: AbortSignal | undefined
  /** Default: one for each processor. */
  readonly threads?: number | undefined
}

/** dist/bin/appc, where the programs are bundled to, is as deep as this. */
const THREAD = new URL('../../lib/launch/hash-thread.js', import.meta.url)
/** Starting a thread takes as long as hashing some ten MB. */
const ALONE_BYTES = 32 << 20

/** Hashes the files of a job with all processors, and tells of each batch when it is done. */
export async function hashTogether(
  job: HashJob,
  bytes: number,
  tell: (hashed: HashedBatch) => void,
  { signal, threads = availableParallelism() }: HashingOptions = {},
): Promise<void> {
  const stop = () => stopHashing(job)
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  try {
    if (bytes <= ALONE_BYTES && job.maxRate === null) await hashHere(job, tell)
    else await Promise.all(Array.from({ length: Math.min(threads, job.batches.length) }, () => runThread(job, tell)))
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

/** Gives signals a chance between batches. */
async function hashHere(job: HashJob, tell: (hashed: HashedBatch) => void): Promise<void> {
  for (const hashed of hashShare(addon(), job)) {
    tell(hashed)
    await new Promise(resolve => setImmediate(resolve))
  }
}

function runThread(job: HashJob, tell: (hashed: HashedBatch) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(THREAD, { workerData: job })
    thread.on('message', tell)
    thread.on('error', error => {
      // The others are of no use any more.
      stopHashing(job)
      reject(error)
    })
    thread.on('exit', resolve)
  })
}
