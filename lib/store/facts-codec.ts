import type { Start } from '../elf/header.js'
import type { ElfFacts, VersionDefinition, VersionNeed } from '../elf/types.js'
import type { Inspection } from '../loader/facts-cache.js'
import { remember } from '../loader/remember.js'

/*
 * An ELF file's facts as 32-bit words, with strings by their number: most files name the same few thousand, and a number is
 * read a hundred times faster than JSON.
 */

/** Raised whenever the words mean something else. */
export const FORMAT = 3

const WIDE = 1
const BIG = 2
const DYNAMIC = 4
const EXECUTABLE_STACK = 8
const TLS = 16
const PADDED = 32

/** What a file seldom says anything of, kept as JSON. */
type Rest = Pick<
  ElfFacts,
  'auxiliaries' | 'filters' | 'audits' | 'abiTag' | 'dlopen' | 'packageMetadata' | 'unreadNotes'
>

/** 32-bit words: those of the file, and behind them what is added. */
export class Words {
  #words: Uint32Array
  #length: number

  constructor(words: Uint32Array) {
    this.#words = words
    this.#length = words.length
  }

  get length(): number {
    return this.#length
  }

  at(index: number): number {
    if (index >= this.#length) throw new RangeError('the words have ended')
    return this.#words[index] as number
  }

  push(word: number): void {
    if (this.#length === this.#words.length) this.#grow()
    this.#words[this.#length++] = word
  }

  #grow(): void {
    const larger = new Uint32Array(Math.max(1024, this.#length * 2))
    larger.set(this.#words)
    this.#words = larger
  }

  /** Not a copy. */
  toArray(): Uint32Array {
    return this.#words.subarray(0, this.#length)
  }
}

/** Strings by number, each once. Number 0 stands for null. */
export class Strings {
  readonly #strings: string[]
  /** Of all of them together, in UTF-16. */
  #length: number
  /** Made when a string is added: most runs only read. */
  #numbers: Map<string, number> | null = null

  /** From what toString gave; '' is the beginning. */
  constructor(joined: string) {
    this.#strings = joined.split('\0')
    this.#length = joined.length
  }

  get length(): number {
    return this.#length
  }

  at(number: number): string {
    const text = this.#strings[number]
    if (text === undefined) throw new RangeError('no string has that number')
    return text
  }

  number(text: string | null): number {
    if (text === null) return 0
    this.#numbers ??= new Map(this.#strings.map((known, number) => [known, number] as const).slice(1))
    let number = this.#numbers.get(text)
    if (number === undefined) {
      number = this.#strings.push(text) - 1
      this.#numbers.set(text, number)
      this.#length += text.length
    }
    return number
  }

  /** Joined by NULs, which no string of an ELF file holds; before the first stands null's. */
  toString(): string {
    return this.#strings.join('\0')
  }
}

/** False for what only a made-up file claims. */
export function isEncodable(facts: ElfFacts): boolean {
  return facts.flags <= 0xffff_ffff && facts.flags1 <= 0xffff_ffff
}

export function encode(start: Start, facts: ElfFacts, words: Words, strings: Strings): void {
  const { auxiliaries, filters, audits, abiTag, dlopen, packageMetadata, unreadNotes } = facts
  const rest: Rest = { auxiliaries, filters, audits, abiTag, dlopen, packageMetadata, unreadNotes }
  words.push(
    (facts.class === 64 ? WIDE : 0) |
      (facts.data === 'big' ? BIG : 0) |
      (facts.dynamic ? DYNAMIC : 0) |
      (facts.executableStack ? EXECUTABLE_STACK : 0) |
      (facts.tls ? TLS : 0) |
      (start.padded ? PADDED : 0),
  )
  words.push(start.osabi)
  words.push(start.abiVersion)
  words.push(start.type)
  words.push(start.machine)
  words.push(start.version)
  words.push(facts.flags)
  words.push(facts.flags1)
  words.push(strings.number(facts.interpreter))
  words.push(strings.number(facts.soname))
  words.push(strings.number(facts.rpath))
  words.push(strings.number(facts.runpath))
  words.push(strings.number(facts.buildId))
  words.push(strings.number(JSON.stringify(rest)))
  words.push(facts.needed.length)
  for (const name of facts.needed) words.push(strings.number(name))
  words.push(facts.verdefs.length)
  for (const { name, weak } of facts.verdefs) words.push(strings.number(name) * 2 + Number(weak))
  words.push(facts.verneeds.length)
  for (const { file, version, weak } of facts.verneeds) {
    words.push(strings.number(file))
    words.push(strings.number(version) * 2 + Number(weak))
  }
}

const rests = new WeakMap<Strings, Map<number, Rest>>()

/** Reads what `encode` wrote. RangeError or SyntaxError where that is not what the words hold. */
export class Decoder {
  #at = 0

  constructor(
    private readonly words: Words,
    private readonly strings: Strings,
  ) {}

  decode(at: number): Inspection {
    this.#at = at
    const bits = this.#next()
    const [bitness, data] = [(bits & WIDE) === 0 ? 32 : 64, (bits & BIG) === 0 ? 'little' : 'big'] as const
    const start: Start = {
      class: bitness,
      data,
      headerVersion: 1,
      osabi: this.#next(),
      abiVersion: this.#next(),
      padded: (bits & PADDED) !== 0,
      type: this.#next(),
      machine: this.#next(),
      version: this.#next(),
    }
    const [flags, flags1] = [this.#next(), this.#next()]
    const interpreter = this.#text(this.#next())
    const soname = this.#text(this.#next())
    const rpath = this.#text(this.#next())
    const runpath = this.#text(this.#next())
    const buildId = this.#text(this.#next())
    const rest = this.#rest(this.#next())
    const facts: ElfFacts = {
      class: bitness,
      data,
      machine: start.machine,
      osabi: start.osabi,
      type: start.type === 2 ? 'exec' : start.type === 3 ? 'dyn' : 'other',
      dynamic: (bits & DYNAMIC) !== 0,
      executableStack: (bits & EXECUTABLE_STACK) !== 0,
      tls: (bits & TLS) !== 0,
      flags,
      flags1,
      interpreter,
      soname,
      rpath,
      runpath,
      buildId,
      auxiliaries: rest.auxiliaries,
      filters: rest.filters,
      audits: rest.audits,
      abiTag: rest.abiTag,
      dlopen: rest.dlopen,
      packageMetadata: rest.packageMetadata,
      unreadNotes: rest.unreadNotes,
      needed: this.#list(() => this.strings.at(this.#next())),
      verdefs: this.#list(() => this.#definition()),
      verneeds: this.#list(() => this.#need()),
    }
    return { start, facts, code: null, because: '' }
  }

  #definition(): VersionDefinition {
    const word = this.#next()
    return { name: this.strings.at(word >>> 1), weak: (word & 1) !== 0 }
  }

  #need(): VersionNeed {
    const file = this.strings.at(this.#next())
    const word = this.#next()
    return { file, version: this.strings.at(word >>> 1), weak: (word & 1) !== 0 }
  }

  /** Nearly all files have the same. */
  #rest(number: number): Rest {
    const known = remember(rests, this.strings, () => new Map<number, Rest>())
    return remember(known, number, () => JSON.parse(this.strings.at(number)) as Rest)
  }

  #list<T>(item: () => T): T[] {
    const length = this.#next()
    if (length > this.words.length - this.#at) throw new RangeError('more items than there are words')
    const items: T[] = []
    for (let i = 0; i < length; i++) items.push(item())
    return items
  }

  #text(number: number): string | null {
    return number === 0 ? null : this.strings.at(number)
  }

  #next(): number {
    return this.words.at(this.#at++)
  }
}
