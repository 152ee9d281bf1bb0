import { type FactsMemory, type Inspection, KEY_BYTES } from '../loader/facts-cache.js'
import { Decoder, encode, FORMAT, isEncodable, Strings, Words } from './facts-codec.js'
import { readRegular } from './regular.js'
import { replaceIfPossible } from './writing.js'

/*
 * Facts of ELF files from one run to the next, in one file: what two thousand of them say is read in a millisecond, and
 * decoded as far as it is asked for. In the machine's byte order:
 *
 *     u32 magic · u32 format · u32 XXH32 of all that follows · u32 files · u32 words · u32 bytes of strings
 *     files × KEY_BYTES: the files' keys
 *     files × u32: where each file's words begin
 *     words × u32, as facts-codec.ts has them
 *     strings, UTF-8, joined by NULs
 */

const MAGIC = 0x61707063
const HEADER_WORDS = 6
/** What the sum is of begins behind it. */
const SUMMED_AT = 12
/** Facts of all the ELF files of a large system are some ten MB. */
const MAX_BYTES = 1 << 27
/** Files come and go, and nobody says which are gone: with more than this it begins anew, as when a quarter of its bytes is full. */
const MAX_FILES = 1 << 16

type Checksum = (bytes: Uint8Array) => number

/**
 * Facts stay encoded until they are asked for: as objects, those of thousands of files would be copied again and again by the
 * garbage collector. The file may be deleted at any time, is never trusted when damaged, and failing to write it is no failure:
 * it only saves time.
 */
export class FactsFile implements FactsMemory {
  readonly #path: string
  readonly #checksum: Checksum
  #content: Content
  #changed = false

  /** `checksum` is XXH32, given in from where it is at hand. */
  constructor(path: string, checksum: Checksum) {
    this.#path = path
    this.#checksum = checksum
    this.#content = read(path, checksum)
  }

  get isEmpty(): boolean {
    return this.#content.starts.size === 0
  }

  has(key: string): boolean {
    return this.#content.starts.has(key)
  }

  get(key: string): Inspection | undefined {
    const { starts, words, strings } = this.#content
    const start = starts.get(key)
    if (start === undefined) return undefined
    try {
      return new Decoder(words, strings).decode(start)
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error
      this.#content = nothing()
      return undefined
    }
  }

  /** Only what has facts is kept: of other files the first bytes tell as much. */
  set(key: string, { start, facts }: Inspection): boolean {
    if (start === null || facts === null || !isEncodable(facts)) return false
    if (this.#content.starts.size >= MAX_FILES || sizeOf(this.#content) > MAX_BYTES / 4) this.#content = nothing()
    const { starts, words, strings } = this.#content
    starts.set(key, words.length)
    encode(start, facts, words, strings)
    this.#changed = true
    return true
  }

  save(): void {
    if (!this.#changed) return
    const bytes = toBytes(this.#content, this.#checksum)
    // What is longer would not be read.
    if (bytes.length <= MAX_BYTES) replaceIfPossible(this.#path, bytes)
  }
}

interface Content {
  /** Where each key's words begin. */
  readonly starts: Map<string, number>
  readonly words: Words
  readonly strings: Strings
}

/** About how many bytes it comes to, keys aside. */
function sizeOf({ words, strings }: Content): number {
  return words.length * 4 + strings.length
}

function nothing(): Content {
  return { starts: new Map(), words: new Words(new Uint32Array()), strings: new Strings('') }
}

function read(path: string, checksum: Checksum): Content {
  try {
    return parse(readRegular(path, MAX_BYTES, 'remove it'), checksum) ?? nothing()
  } catch {
    // Absent or unreadable: nothing is known, and everything is read anew.
    return nothing()
  }
}

/** null for what is not whole. */
function parse(bytes: Buffer, checksum: Checksum): Content | null {
  if (bytes.length < HEADER_WORDS * 4) return null
  const [magic, format, sum, files = 0, count = 0, size = 0] = wordsAt(bytes, 0, HEADER_WORDS)
  const keys = HEADER_WORDS * 4
  const places = keys + files * KEY_BYTES
  const words = places + files * 4
  const text = words + count * 4
  if (magic !== MAGIC || format !== FORMAT || text + size !== bytes.length) return null
  if (checksum(bytes.subarray(SUMMED_AT)) !== sum) return null
  const starts = new Map<string, number>()
  const startWords = wordsAt(bytes, places, files)
  const keyText = bytes.toString('latin1', keys, places)
  for (let i = 0; i < files; i++) starts.set(keyText.slice(i * KEY_BYTES, (i + 1) * KEY_BYTES), startWords[i] as number)
  return {
    starts,
    words: new Words(wordsAt(bytes, words, count)),
    strings: new Strings(bytes.toString('utf8', text)),
  }
}

/** A copy: a Buffer may begin anywhere, words may not. */
function wordsAt(bytes: Buffer, offset: number, count: number): Uint32Array {
  return new Uint32Array(Uint8Array.prototype.slice.call(bytes, offset, offset + count * 4).buffer)
}

function toBytes({ starts, words, strings }: Content, checksum: Checksum): Buffer {
  const text = Buffer.from(strings.toString())
  const summed = Buffer.concat([
    bytesOf([starts.size, words.length, text.length]),
    Buffer.from([...starts.keys()].join(''), 'latin1'),
    bytesOf([...starts.values()]),
    bytesOf(words.toArray()),
    text,
  ])
  return Buffer.concat([bytesOf([MAGIC, FORMAT, checksum(summed)]), summed])
}

function bytesOf(words: ArrayLike<number>): Buffer {
  return Buffer.from(Uint32Array.from(words).buffer)
}
