import type { ElfFacts, VersionDefinition, VersionNeed } from '../elf/types.js'
import type { Inspection, Kind } from '../loader/facts-cache.js'

/*
 * An ELF file's facts as 32-bit words, with strings by their number: most files name the same few thousand, and a number is
 * read a hundred times faster than JSON.
 */

/** Raised whenever the words mean something else. */
export const FORMAT = 2

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

/** Strings by number, each once. Number 0 stands for null. */
export class Strings {
  readonly #numbers = new Map<string, number>()

  number(text: string | null): number {
    if (text === null) return 0
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#numbers.set(text, this.#numbers.size + 1)
    return this.#numbers.size
  }

  /** Joined by NULs, which no string of an ELF file holds; before the first stands null's. */
  toString(): string {
    return ['', ...this.#numbers.keys()].join('\0')
  }
}

/** False for what only a made-up file claims. */
export function isEncodable(facts: ElfFacts): boolean {
  return facts.flags <= 0xffff_ffff && facts.flags1 <= 0xffff_ffff
}

export function encode(kind: Kind, facts: ElfFacts, words: number[], strings: Strings): void {
  const list = (texts: readonly string[]) => words.push(texts.length, ...texts.map(text => strings.number(text)))
  const { auxiliaries, filters, audits, abiTag, dlopen, packageMetadata, unreadNotes } = facts
  const rest: Rest = { auxiliaries, filters, audits, abiTag, dlopen, packageMetadata, unreadNotes }
  words.push(
    (facts.class === 64 ? WIDE : 0) |
      (facts.data === 'big' ? BIG : 0) |
      (facts.dynamic ? DYNAMIC : 0) |
      (facts.executableStack ? EXECUTABLE_STACK : 0) |
      (facts.tls ? TLS : 0) |
      (kind.padded ? PADDED : 0),
    kind.osabi,
    kind.abiVersion,
    kind.type,
    kind.machine,
    kind.version,
    facts.flags,
    facts.flags1,
    ...[facts.interpreter, facts.soname, facts.rpath, facts.runpath, facts.buildId].map(text => strings.number(text)),
    strings.number(JSON.stringify(rest)),
  )
  list(facts.needed)
  words.push(facts.verdefs.length)
  for (const { name, weak } of facts.verdefs) words.push(strings.number(name) * 2 + Number(weak))
  words.push(facts.verneeds.length)
  for (const { file, version, weak } of facts.verneeds)
    words.push(strings.number(file), strings.number(version) * 2 + Number(weak))
}

/** Reads what `encode` wrote. RangeError where that is not what the words hold. */
export class Decoder {
  readonly #words: Uint32Array
  readonly #strings: readonly string[]
  readonly #rests = new Map<number, Rest>()
  #at = 0

  constructor(words: Uint32Array, strings: string) {
    this.#words = words
    this.#strings = strings.split('\0')
  }

  decode(start: number): Inspection {
    this.#at = start
    const bits = this.#next()
    const identity: Kind = {
      class: (bits & WIDE) === 0 ? 32 : 64,
      data: (bits & BIG) === 0 ? 'little' : 'big',
      osabi: this.#next(),
      abiVersion: this.#next(),
      padded: (bits & PADDED) !== 0,
      type: this.#next(),
      machine: this.#next(),
      version: this.#next(),
    }
    const facts: ElfFacts = {
      class: identity.class,
      data: identity.data,
      machine: identity.machine,
      osabi: identity.osabi,
      type: identity.type === 2 ? 'exec' : identity.type === 3 ? 'dyn' : 'other',
      dynamic: (bits & DYNAMIC) !== 0,
      executableStack: (bits & EXECUTABLE_STACK) !== 0,
      tls: (bits & TLS) !== 0,
      flags: this.#next(),
      flags1: this.#next(),
      interpreter: this.#text(this.#next()),
      soname: this.#text(this.#next()),
      rpath: this.#text(this.#next()),
      runpath: this.#text(this.#next()),
      buildId: this.#text(this.#next()),
      ...this.#rest(this.#next()),
      needed: this.#list(() => this.#string(this.#next())),
      verdefs: this.#list(() => this.#definition()),
      verneeds: this.#list(() => this.#need()),
    }
    return { identity, facts, code: null, because: '' }
  }

  #definition(): VersionDefinition {
    const word = this.#next()
    return { name: this.#string(word >>> 1), weak: (word & 1) !== 0 }
  }

  #need(): VersionNeed {
    const file = this.#string(this.#next())
    const word = this.#next()
    return { file, version: this.#string(word >>> 1), weak: (word & 1) !== 0 }
  }

  /** Nearly all files have the same. */
  #rest(number: number): Rest {
    let rest = this.#rests.get(number)
    if (rest === undefined) {
      rest = JSON.parse(this.#string(number)) as Rest
      this.#rests.set(number, rest)
    }
    return rest
  }

  #list<T>(item: () => T): T[] {
    const length = this.#next()
    if (length > this.#words.length - this.#at) throw new RangeError('more items than there are words')
    const items: T[] = []
    for (let i = 0; i < length; i++) items.push(item())
    return items
  }

  #text(number: number): string | null {
    return number === 0 ? null : this.#string(number)
  }

  #string(number: number): string {
    const text = this.#strings[number]
    if (text === undefined) throw new RangeError('no string has that number')
    return text
  }

  #next(): number {
    const word = this.#words[this.#at++]
    if (word === undefined) throw new RangeError('the words have ended')
    return word
  }
}
