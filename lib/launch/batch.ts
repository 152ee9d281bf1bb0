import type { Range } from '../elf/ahead.js'
import type { OpenFile, Part } from '../elf/types.js'
import { partOf } from '../elf/window.js'
import { type FactsCache, fileKey, type Inspection, inspect } from '../loader/facts-cache.js'
import { errorCode } from '../loader/file-system.js'
import { kindOf, readFully } from '../loader/root-file-system.js'
import type { FileStat } from '../loader/types.js'
import type { Addon } from './addon.js'

/** Columns of a row as native/addon/batch.cpp has them: errno, dev, ino, size, mtime, ctime, mode, uid, gid. */
const COLUMNS = 9
/** Files that are open at once, far below the usual limit of 1,024 descriptors. */
const CHUNK = 32
/** Three of four files have all that is asked of them, but for the dynamic section, in their first bytes. */
const HEAD_BYTES = 8192
/** What one round takes as a rule. */
const SPACE = CHUNK * HEAD_BYTES

/**
 * Looks at many files of this machine together, links not followed: puts into the cache what it does not know of them yet,
 * and returns what lstat(2) told, by path. Files that cannot be opened or read are left to whoever asks for them. Reading the heads
 * of two thousand files one by one takes twice as long, of which most is Node's way into the kernel.
 */
export function lookAtMany(
  native: Pick<Addon, 'lstatMany' | 'openMany' | 'readMany' | 'closeMany'>,
  paths: readonly string[],
  cache: FactsCache,
): Map<string, FileStat> {
  const stats = new Map<string, FileStat>()
  const unknown = cache.isEmpty ? paths : notKnown(paths, native.lstatMany(paths), cache, stats)
  const space: Buffer[] = []
  for (let at = 0; at < unknown.length; at += CHUNK) {
    const chunk = unknown.slice(at, at + CHUNK)
    const { descriptors, stats: opened } = native.openMany(chunk)
    try {
      const files: Ahead[] = []
      for (const [index, path] of chunk.entries()) {
        const stat = statOf(opened, index)
        if (stat === null) continue
        stats.set(path, stat)
        files.push(new Ahead(descriptors[index] as number, stat))
      }
      readChunk(native, files, cache, space)
    } finally {
      native.closeMany(descriptors)
    }
  }
  return stats
}

/** Notes what lstat told in `stats`; returns those whose facts are to be read. */
function notKnown(
  paths: readonly string[],
  rows: BigUint64Array,
  cache: FactsCache,
  stats: Map<string, FileStat>,
): readonly string[] {
  return paths.filter((path, index) => {
    const stat = statOf(rows, index)
    if (stat === null) return false
    stats.set(path, stat)
    return stat.kind === 'file' && !cache.has(fileKey(stat))
  })
}

/**
 * Rounds of fetching what all of them ask for next, until all have their answers. `space`: a buffer for each round, used again
 * for the next chunk, when nobody looks at these files' bytes any more: memory that is new to the process costs more than reading.
 */
function readChunk(native: Pick<Addon, 'readMany'>, files: readonly Ahead[], cache: FactsCache, space: Buffer[]): void {
  let asking = files
  let ranges: Range[] = files.map(({ size }) => ({ offset: 0, length: Math.min(HEAD_BYTES, size) }))
  for (let round = 0; asking.length > 0; round++) {
    space[round] = fetch(native, asking, ranges, space[round])
    const next: Ahead[] = []
    ranges = []
    for (const file of asking) {
      const range = file.proceed(cache)
      if (range === null) continue
      next.push(file)
      ranges.push(range)
    }
    asking = next
  }
}

/** Returns the buffer that it read into: the one given, where that is large enough. */
function fetch(
  native: Pick<Addon, 'readMany'>,
  files: readonly Ahead[],
  ranges: readonly Range[],
  space: Buffer | undefined,
): Buffer {
  const starts = new Uint32Array(files.length + 1)
  for (const [index, { length }] of ranges.entries()) starts[index + 1] = (starts[index] as number) + length
  const size = starts[files.length] as number
  const buffer = space !== undefined && space.length >= size ? space : Buffer.allocUnsafe(Math.max(size, SPACE))
  const descriptors = Int32Array.from(files, ({ fd }) => fd)
  const positions = Float64Array.from(ranges, ({ offset }) => offset)
  const counts = native.readMany(descriptors, positions, starts, buffer)
  for (const [index, file] of files.entries()) {
    const start = starts[index] as number
    const count = counts[index] as number
    if (count > 0) file.add(positions[index] as number, buffer.subarray(start, start + count))
  }
  return buffer
}

/** A file some of whose bytes are in memory already. Its descriptor is closed by whoever opened it. */
class Ahead implements OpenFile {
  readonly size: number
  readonly #stat: FileStat
  readonly #parts: Part[] = []
  readonly #steps: Generator<Range, Inspection>

  constructor(
    readonly fd: number,
    stat: FileStat,
  ) {
    this.size = stat.size
    this.#stat = stat
    this.#steps = inspect(this)
  }

  add(offset: number, bytes: Buffer): void {
    this.#parts.push(partOf(offset, bytes))
  }

  /** What it wants next that is not in memory; null when all is known and the answer is in the cache, or it cannot be read. */
  proceed(cache: FactsCache): Range | null {
    for (;;) {
      const step = this.#next()
      if (step === null) return null
      const { done, value } = step
      if (done) {
        cache.put(this.#stat, value)
        return null
      }
      const length = Math.min(value.length, this.size - value.offset)
      if (length > 0 && this.part(value.offset, length) === null) return { offset: value.offset, length }
    }
  }

  #next(): IteratorResult<Range, Inspection> | null {
    try {
      return this.#steps.next()
    } catch (error) {
      errorCode(error)
      return null
    }
  }

  part(position: number, length: number): Part | null {
    for (let i = 0; i < this.#parts.length; i++) {
      const part = this.#parts[i] as Part
      const start = position - part.offset
      if (start >= 0 && start + length <= part.bytes.length) return part
    }
    return null
  }

  read(buffer: Uint8Array, position: number): number {
    return readFully(this.fd, buffer, position)
  }

  close(): void {}
}

/** What a row of the addon's tells; null where the call failed. */
export function statOf(rows: BigUint64Array, index: number): FileStat | null {
  const at = index * COLUMNS
  const column = (number: number) => rows[at + number] as bigint
  if (column(0) !== 0n) return null
  const mode = Number(column(6))
  return {
    kind: kindOf(mode),
    dev: column(1),
    ino: column(2),
    size: Number(column(3)),
    mode,
    uid: Number(column(7)),
    gid: Number(column(8)),
    mtimeNs: column(4),
    ctimeNs: column(5),
  }
}
