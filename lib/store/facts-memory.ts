import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type FactsMemory, type Inspection, KEY_BYTES } from '../loader/facts-cache.js'
import { Decoder, encode, FORMAT, isEncodable, Strings } from './facts-codec.js'
import { readRegular } from './regular.js'

/*
 * Facts of ELF files from one run to the next, in one file: what two thousand of them say is read in a millisecond, and
 * decoded as far as it is asked for. In the machine's byte order:
 *
 *     u32 magic · u32 format · u32 crc32 of all that follows · u32 files · u32 words · u32 bytes of strings
 *     files × KEY_BYTES: the files' keys
 *     files × u32: where each file's words begin
 *     words × u32, as facts-codec.ts has them
 *     strings, UTF-8
 */

const MAGIC = 0x61707063
const HEADER_WORDS = 6
/** What the sum is of begins behind it. */
const SUMMED_AT = 12
/** Facts of all the ELF files of a large system are some ten MB. */
const MAX_BYTES = 1 << 27
/** So many are kept with those of this run: files come and go, and nobody says which are gone. */
const MAX_KEPT = 1 << 16

/** May be deleted at any time, is never trusted when damaged, and failing to write it is no failure: it only saves time. */
export class FactsFile implements FactsMemory {
  readonly #path: string
  #remembered: Remembered
  readonly #used = new Map<string, Inspection>()
  #changed = false

  /** `crc32` of IEEE 802.3, given in from where it is at hand: Node's own comes with all of zlib. */
  constructor(
    path: string,
    private readonly crc32: (bytes: Uint8Array) => number,
  ) {
    this.#path = path
    this.#remembered = read(path, crc32)
  }

  get isEmpty(): boolean {
    return this.#remembered.starts.size === 0
  }

  get(key: string): Inspection | undefined {
    const { starts, decoder } = this.#remembered
    const start = starts.get(key)
    if (start === undefined) return undefined
    try {
      const inspection = decoder.decode(start)
      this.#used.set(key, inspection)
      return inspection
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error
      this.#remembered = nothing()
      return undefined
    }
  }

  /** Only what has facts: of other files the first bytes tell as much. */
  set(key: string, inspection: Inspection): void {
    if (inspection.facts === null || !isEncodable(inspection.facts)) return
    this.#used.set(key, inspection)
    this.#changed = true
  }

  /** Writes what was used in this run, and what else is remembered. Not synced: losing it loses nothing. */
  save(): void {
    if (!this.#changed) return
    for (const key of this.#remembered.starts.keys()) {
      if (this.#used.size >= MAX_KEPT) break
      if (!this.#used.has(key)) this.get(key)
    }
    const aside = `${this.#path}.${process.pid}`
    try {
      mkdirSync(dirname(this.#path), { recursive: true })
      writeFileSync(aside, encodeAll(this.#used, this.crc32))
      renameSync(aside, this.#path)
    } catch {
      // A read-only or full disk: the next run will read the files again, as this one did.
      rmSync(aside, { force: true })
    }
  }
}

interface Remembered {
  /** Where each key's words begin. */
  readonly starts: ReadonlyMap<string, number>
  readonly decoder: Decoder
}

function nothing(): Remembered {
  return { starts: new Map(), decoder: new Decoder(new Uint32Array(), '') }
}

function read(path: string, crc32: (bytes: Uint8Array) => number): Remembered {
  try {
    return parse(readRegular(path, MAX_BYTES, 'remove it'), crc32) ?? nothing()
  } catch {
    // Absent or unreadable: nothing is known, and everything is read anew.
    return nothing()
  }
}

/** null for what is not whole. */
function parse(bytes: Buffer, crc32: (bytes: Uint8Array) => number): Remembered | null {
  if (bytes.length < HEADER_WORDS * 4) return null
  const [magic, format, sum, files = 0, count = 0, strings = 0] = wordsAt(bytes, 0, HEADER_WORDS)
  const keys = HEADER_WORDS * 4
  const starts = keys + files * KEY_BYTES
  const words = starts + files * 4
  const text = words + count * 4
  if (magic !== MAGIC || format !== FORMAT || text + strings !== bytes.length) return null
  if (crc32(bytes.subarray(SUMMED_AT)) !== sum) return null
  const known = new Map<string, number>()
  const places = wordsAt(bytes, starts, files)
  for (let i = 0, at = keys; i < files; i++, at += KEY_BYTES) {
    known.set(bytes.toString('latin1', at, at + KEY_BYTES), places[i] as number)
  }
  return { starts: known, decoder: new Decoder(wordsAt(bytes, words, count), bytes.toString('utf8', text)) }
}

/** A copy: a Buffer may begin anywhere, words may not. */
function wordsAt(bytes: Buffer, offset: number, count: number): Uint32Array {
  return new Uint32Array(Uint8Array.prototype.slice.call(bytes, offset, offset + count * 4).buffer)
}

function encodeAll(files: ReadonlyMap<string, Inspection>, crc32: (bytes: Uint8Array) => number): Buffer {
  const strings = new Strings()
  const words: number[] = []
  const starts: number[] = []
  for (const { identity, facts } of files.values()) {
    starts.push(words.length)
    if (identity !== null && facts !== null) encode(identity, facts, words, strings)
  }
  const text = Buffer.from(strings.toString())
  const summed = Buffer.concat([
    bytesOf([files.size, words.length, text.length]),
    Buffer.from([...files.keys()].join(''), 'latin1'),
    bytesOf(starts),
    bytesOf(words),
    text,
  ])
  return Buffer.concat([bytesOf([MAGIC, FORMAT, crc32(summed)]), summed])
}

function bytesOf(words: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(words).buffer)
}
