import type { Range } from '../elf/ahead.js'
import type { OpenFile, Part } from '../elf/types.js'
import { partOf } from '../elf/window.js'
import { type FactsCache, fileKey, type Inspection, inspect } from '../loader/facts-cache.js'
import { errorCode } from '../loader/file-system.js'
import { kindOf, readFully } from '../loader/root-file-system.js'
import type { FileStat } from '../loader/types.js'
import type { Addon, Opening } from './addon.js'

/** Columns of a row as native/addon/look.cpp has them: errno, dev, ino, size, mtime, ctime, mode, uid, gid. */
const COLUMNS = 9
/** Files that are looked at together. Twice as many are open at once, far below the usual limit of 1,024 descriptors. */
const CHUNK = 32
/** A third of all files have all that is asked of them in their first bytes; to most others one range is missing, the dynamic section. */
const HEAD_BYTES = 16384
/** What one round takes as a rule. */
const SPACE = CHUNK * HEAD_BYTES

type Native = Pick<Addon, 'lstatMany' | 'openAhead' | 'takeOpened' | 'readMany' | 'closeMany'>

/**
 * Looks at many files of this machine together, links not followed: puts into the cache what it does not know of them yet,
 * and returns what lstat(2) told, by path. Files that cannot be opened or read are left to whoever asks for them. Reading the heads
 * of two thousand files one by one takes twice as long, of which most is Node's way into the kernel; and while one chunk is looked
 * at, a thread opens the next.
 */
export function lookAtMany(native: Native, paths: readonly string[], cache: FactsCache): Map<string, FileStat> {
  const stats = new Map<string, FileStat>()
  const unknown = cache.isEmpty ? paths : notKnown(paths, native.lstatMany(paths), cache, stats)
  const space = { heads: [Buffer.alloc(0), Buffer.alloc(0)], rounds: [] }
  let opening = openChunk(native, unknown, 0, space)
  for (let at = 0; opening !== null; at += CHUNK) {
    const { descriptors, stats: rows, counts } = native.takeOpened(opening)
    const heads = space.heads[0] as Buffer
    space.heads.reverse()
    try {
      opening = openChunk(native, unknown, at + CHUNK, space)
      const files: Ahead[] = []
      for (let index = 0; index < descriptors.length; index++) {
        const stat = statOf(rows, index)
        if (stat === null) continue
        stats.set(unknown[at + index] as string, stat)
        const count = counts[index] as number
        const start = index * HEAD_BYTES
        const head = count > 0 ? heads.subarray(start, start + count) : null
        files.push(new Ahead(descriptors[index] as number, stat, head))
      }
      readChunk(native, files, cache, space.rounds)
    } finally {
      native.closeMany(descriptors)
    }
  }
  return stats
}

/**
 * Memory that is used again for the next chunk, when nobody looks at these files' bytes any more: what is new to the process costs
 * more than reading. Heads are read to one of two buffers while the other's are looked at; the rounds after them have one each.
 */
interface Space {
  readonly heads: Buffer[]
  readonly rounds: Buffer[]
}

function openChunk(native: Native, paths: readonly string[], at: number, { heads }: Space): Opening | null {
  if (at >= paths.length) return null
  if (heads[0]?.length === 0) heads[0] = Buffer.allocUnsafeSlow(SPACE)
  return native.openAhead(paths.slice(at, at + CHUNK), heads[0] as Buffer, HEAD_BYTES)
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

/** Rounds of fetching what all of them ask for next, until all have their answers. */
function readChunk(native: Native, files: readonly Ahead[], cache: FactsCache, space: Buffer[]): void {
  let asking = files
  for (let round = 0; asking.length > 0; round++) {
    const next: Ahead[] = []
    const ranges: Range[] = []
    for (const file of asking) {
      const range = file.proceed(cache)
      if (range === null) continue
      next.push(file)
      ranges.push(range)
    }
    if (next.length > 0) space[round] = fetch(native, next, ranges, space[round])
    asking = next
  }
}

/** Returns the buffer that it read into: the one given, where that is large enough. */
function fetch(native: Native, files: readonly Ahead[], ranges: readonly Range[], space: Buffer | undefined): Buffer {
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
    head: Buffer | null,
  ) {
    this.size = stat.size
    if (head !== null) this.add(0, head)
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
function statOf(rows: BigUint64Array, index: number): FileStat | null {
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
