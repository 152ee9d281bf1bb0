import { createHash } from 'node:crypto'
import { readSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { eachPiece } from '../store/objects.js'
import type { StoreSystem } from '../store/store.js'

/** Files to hash, for any number of threads: each takes the next batch when it has done one. */
export interface HashJob {
  readonly paths: Joined
  /** Where each batch ends in `paths`. */
  readonly batches: readonly number[]
  /** Read from the disk, not from memory. */
  readonly fromDisk: boolean
  /** Bytes a second, of all threads together; null: as fast as it can be. */
  readonly maxRate: number | null
  readonly shared: SharedArrayBuffer
}

/** By NUL, which no path has: one long text gets to a thread in a fraction of the time that ten thousand take. */
type Joined = string

/** What became of a batch, or of its begin where it was stopped: paths of the job from `first` on. */
export interface HashedBatch {
  readonly first: number
  /** The digest in hexadecimal, or the code of the system call that failed (`EIO`; EINVAL for what is no regular file). */
  readonly outcomes: readonly Outcome[]
  /** Rows of looks.ts: as the files were before they were read. Nothing of those that could not be opened. */
  readonly stats: BigUint64Array
}

export type Outcome = { readonly digest: string } | { readonly errorCode: string }

/** While one batch is hashed the disk reads the next: as many bytes as this, or as many files. */
const BATCH_BYTES = 4 << 20
const BATCH_FILES = 64
/** Larger ones first: whoever begins one last would keep the others waiting. */
const LARGE = 8 << 20

const [CURSOR, STOP] = [0, 1]
/** In 64-bit words: when the next byte may be read, in microseconds of the monotonic clock. */
const NEXT_FREE = 1

interface Candidate {
  readonly path: string
  readonly size: number
  /** Inodes in this order lie on the disk in about this order. */
  readonly inode: number
}

/** `order[i]` is the candidate that is the job's path i. */
export function planHashing(
  candidates: readonly Candidate[],
  options: Pick<HashJob, 'fromDisk' | 'maxRate'>,
): { readonly job: HashJob; readonly order: readonly number[] } {
  const order = candidates
    .map((_, index) => index)
    .sort((a, b) => compare(candidates[a] as Candidate, candidates[b] as Candidate))
  const batches: number[] = []
  let bytes = 0
  let files = 0
  for (const [at, index] of order.entries()) {
    bytes += (candidates[index] as Candidate).size
    files++
    if (bytes < BATCH_BYTES && files < BATCH_FILES && at < order.length - 1) continue
    batches.push(at + 1)
    bytes = files = 0
  }
  const paths = order.map(index => (candidates[index] as Candidate).path).join('\0')
  return { job: { paths, batches, ...options, shared: new SharedArrayBuffer(16) }, order }
}

function compare(a: Candidate, b: Candidate): number {
  if (a.size >= LARGE || b.size >= LARGE) return b.size - a.size
  return a.inode - b.inode
}

/** Has all threads end after what they are reading. */
export function stopHashing(job: HashJob): void {
  Atomics.store(new Int32Array(job.shared), STOP, 1)
}

/** A thread's share of the job: batch by batch until none is left. */
export function* hashShare(system: Pick<StoreSystem, 'openMany' | 'closeMany'>, job: HashJob): Generator<HashedBatch> {
  const control = new Int32Array(job.shared)
  const throttle = job.maxRate === null ? () => {} : throttleTo(job.maxRate, job)
  const paths = job.paths.split('\0')
  let opened = openNext(system, job, paths, control)
  try {
    while (opened !== null) {
      const batch = opened
      opened = null
      const outcomes: Outcome[] = []
      try {
        // Opened before this one is read: its first bytes come from the disk meanwhile.
        opened = openNext(system, job, paths, control)
        for (let at = 0; at < batch.descriptors.length && !isStopped(control); at++)
          outcomes.push(hashOne(batch.descriptors[at] as number, throttle))
      } finally {
        system.closeMany(batch.descriptors)
      }
      yield { first: batch.first, outcomes, stats: batch.stats }
    }
  } finally {
    if (opened !== null) system.closeMany(opened.descriptors)
  }
}

interface Opened {
  readonly first: number
  readonly descriptors: Int32Array
  readonly stats: BigUint64Array
}

function openNext(
  system: Pick<StoreSystem, 'openMany'>,
  job: HashJob,
  paths: readonly string[],
  control: Int32Array,
): Opened | null {
  if (isStopped(control)) return null
  const batch = Atomics.add(control, CURSOR, 1)
  const end = job.batches[batch]
  if (end === undefined) return null
  const first = job.batches[batch - 1] ?? 0
  return { first, ...system.openMany(paths.slice(first, end), job.fromDisk) }
}

function hashOne(fd: number, throttle: (bytes: number) => void): Outcome {
  if (fd < 0) return { errorCode: getSystemErrorName(fd) }
  const hash = createHash('sha256')
  try {
    eachPiece(
      (buffer, position) => readSync(fd, buffer, 0, buffer.length, position),
      piece => {
        hash.update(piece)
        throttle(piece.length)
      },
    )
    return { digest: hash.digest('hex') }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    // As bad as wrong bytes: EIO, and whatever else a file system has to say.
    return { errorCode: String(error.code) }
  }
}

function isStopped(control: Int32Array): boolean {
  return Atomics.load(control, STOP) !== 0
}

/**
 * Each piece that was read puts off the next, of whichever thread: so the threads share the rate as they need it. What was not used
 * of it is not made up for.
 */
function throttleTo(maxRate: number, { shared }: HashJob): (bytes: number) => void {
  const times = new BigInt64Array(shared)
  const never = new Int32Array(new SharedArrayBuffer(4))
  const control = new Int32Array(shared)
  return bytes => {
    const cost = BigInt(Math.ceil((bytes / maxRate) * 1e6))
    for (;;) {
      const now = process.hrtime.bigint() / 1000n
      const free = Atomics.load(times, NEXT_FREE)
      const start = free > now ? free : now
      if (Atomics.compareExchange(times, NEXT_FREE, free, start + cost) !== free) continue
      // In parts, so that it can be stopped.
      for (let left = Number(start + cost - now) / 1000; left > 0 && !isStopped(control); left -= 100)
        Atomics.wait(never, 0, 0, Math.min(left, 100))
      return
    }
  }
}
