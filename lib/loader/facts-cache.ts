import { dynamicRange, type Range, tablesRange } from '../elf/ahead.js'
import { Dynamic } from '../elf/dynamic.js'
import { readHeader, readStart, type Start } from '../elf/header.js'
import { readFacts } from '../elf/reader.js'
import type { ElfFacts, ElfSymbols, OpenFile } from '../elf/types.js'
import { Window } from '../elf/window.js'
import { AppcError, type ErrorCode } from '../errors.js'
import { symbolsAt } from './content.js'
import { SymbolIndex } from './symbol-index.js'
import type { FileStat, FileSystem } from './types.js'

/** What a regular file is: its ELF facts, or why it has none. */
export interface Inspection {
  /** null where the file is no ELF file, or too short for any. */
  readonly start: Start | null
  readonly facts: ElfFacts | null
  /** Why `facts` is null: ELF_NOT or ELF_MALFORMED, and in words. */
  readonly code: ErrorCode | null
  readonly because: string
}

/** What earlier runs found out about files, by fileKey. */
export interface FactsMemory {
  readonly isEmpty: boolean
  has(key: string): boolean
  get(key: string): Inspection | undefined
  /** False for what it does not keep. */
  set(key: string, inspection: Inspection): boolean
}

/** Facts by file, so that thousands of programs share what they have in common; with a memory, from one run to the next. */
export class FactsCache {
  readonly #known = new Map<string, Inspection>()

  readonly #symbols = new Map<string, ElfSymbols>()
  /** Tables of files whose symbols were asked for, to be bound to each other. */
  readonly symbolIndex = new SymbolIndex()

  #memory: FactsMemory | null = null

  /** From now on, what earlier runs found out is asked before a file is read. */
  consult(memory: FactsMemory): void {
    this.#memory = memory
  }

  /** Throws the system's error where the file cannot be opened or read. */
  inspect(fs: FileSystem, path: string, stat: FileStat): Inspection {
    return this.get(fileKey(stat)) ?? this.#inspect(fs, path, stat)
  }

  #inspect(fs: FileSystem, path: string, stat: FileStat): Inspection {
    const inspection = inspectAt(fs, path)
    // Between the look at it and its opening, another file may have come in its place, which these facts are of.
    const after = fs.lstat(path)
    return after !== null && fileKey(after) === fileKey(stat) ? this.put(stat, inspection) : inspection
  }

  /** The dynamic symbols of a file; throws ELF_MALFORMED, and the system's error where it cannot be read. */
  symbols(fs: FileSystem, path: string): ElfSymbols {
    const stat = fs.lstat(path)
    const known = stat === null ? undefined : this.#symbols.get(fileKey(stat))
    if (known !== undefined) return known
    const symbols = symbolsAt(fs, path)
    if (stat !== null) this.#symbols.set(fileKey(stat), symbols)
    return symbols
  }

  /** Nothing is known yet of any file. */
  get isEmpty(): boolean {
    return this.#known.size === 0 && this.#memory?.isEmpty !== false
  }

  has(key: string): boolean {
    return this.#known.has(key) || this.#memory?.has(key) === true
  }

  /** What the memory has is not kept beside it: of most files, programs, nobody asks twice. */
  get(key: string): Inspection | undefined {
    return this.#known.get(key) ?? this.#memory?.get(key)
  }

  put(stat: FileStat, inspection: Inspection): Inspection {
    const key = fileKey(stat)
    if (!isSettled(stat) || this.#memory?.set(key, inspection) !== true) this.#known.set(key, inspection)
    return inspection
  }
}

/** File systems keep times by the clock's tick, some by two seconds (FAT): a file may be written to once more in the same one. */
const SETTLING_NS = 2_000_000_000n

/** False for a file that was changed just now: if it is changed again, its key may stay what it is. */
function isSettled({ ctimeNs }: FileStat): boolean {
  return BigInt(Date.now()) * 1_000_000n - ctimeNs > SETTLING_NS
}

const words = new BigUint64Array(5)
const bytes = Buffer.from(words.buffer)
/** Bytes of a file's key: device, inode, size, mtime and ctime in nanoseconds, 64 bits each in the machine's byte order. */
export const KEY_BYTES = words.byteLength

/** What tells a file's content without reading it, as a string of that many bytes: as one key it is made and compared fast. */
export function fileKey({ dev, ino, size, mtimeNs, ctimeNs }: FileStat): string {
  words[0] = dev
  words[1] = ino
  words[2] = BigInt(size)
  words[3] = mtimeNs
  words[4] = ctimeNs
  return bytes.toString('latin1')
}

function inspectAt(fs: FileSystem, path: string): Inspection {
  const file = fs.open(path)
  try {
    const steps = inspect(file)
    for (;;) {
      const { done, value } = steps.next()
      if (done) return value
    }
  } finally {
    file.close()
  }
}

/**
 * Looks at a file. Each step yields the bytes that are asked for next: whoever looks at many files can fetch them all together
 * (OpenFile.part); nobody needs to. What is wrong with the file is an answer too.
 */
export function* inspect(file: OpenFile): Generator<Range, Inspection> {
  const window = new Window(file)
  let start: Start | null = null
  try {
    start = readStart(window)
    const header = readHeader(window, start)
    yield* ahead(dynamicRange(header))
    const dynamic = Dynamic.read(window, header)
    yield* ahead(dynamic && tablesRange(dynamic))
    return { start, facts: readFacts(window, header, dynamic), code: null, because: '' }
  } catch (error) {
    if (!(error instanceof AppcError)) throw error
    return { start, facts: null, code: error.code, because: error.message }
  }
}

function* ahead(range: Range | null): Generator<Range> {
  if (range !== null) yield range
}
