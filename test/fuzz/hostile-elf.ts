import { DT } from '../../lib/elf/dynamic.js'
import { PT_DYNAMIC, PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_NOTE, PT_TLS } from '../../lib/elf/header.js'
import { ElfBytes } from './elf-bytes.js'
import type { Random } from './random.js'

/**
 * Made-up ELF files: headers, program headers, a dynamic section and all it leads to, sound enough for a reader to go deep, with
 * some of the numbers hostile.
 */

/** Boundaries of every integer that a reader may keep an offset, size or count in. */
const HOSTILE = [
  ...[0, 1, 2, 3, 7, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff, 0x1_0000_0000],
  ...[2 ** 40, 2 ** 53 - 1, 2 ** 53, 2 ** 63 - 1024, 2 ** 63, 2 ** 64],
]
const MACHINES = [3, 20, 21, 22, 40, 62, 62, 183, 243, 0, 0xffff]

export class HostileElf {
  readonly #random: Random
  readonly #out: ElfBytes
  readonly #wide: boolean
  /** One number in so many is hostile; 0: none is. */
  readonly #malice: number
  readonly #base: number
  /** Of the file, which may be longer than what is written of it: the rest is a hole. */
  readonly #size: number

  constructor(random: Random, scratch: Buffer, claimed: number | null) {
    this.#random = random
    this.#wide = random.once(2)
    this.#malice = random.pick([0, 8, 30, 30, 100, 100])
    const base = random.pick([0, 0, 0x1000, 0x40_0000, 0x8000_0000, 2 ** 47])
    this.#base = this.#wide ? base : base % 2 ** 32
    const bytes = scratch.subarray(0, random.pick([1024, 4096, 8192, 8192, 16_384]))
    this.#out = new ElfBytes(bytes.fill(0), this.#wide, !random.once(3))
    this.#size = claimed ?? bytes.length
    this.#write()
  }

  get bytes(): Buffer {
    return this.#out.bytes
  }

  #write(): void {
    const random = this.#random
    this.#out.take(this.#wide ? 64 : 52)
    const headers = random.once(50) ? random.below(65_536) : 4 + random.below(5)
    const table = this.#out.take(Math.min(headers, 24) * (this.#wide ? 56 : 32))
    const strings = this.#strings()
    const symbols = 1 + random.below(24)
    const entries = this.#dynamicEntries(strings, symbols)
    const interpreter = this.#out.text('/lib/ld.so')
    const notes = this.#notes()
    this.#header(table, headers)
    this.#segments(table, Math.min(headers, 24), this.#dynamic(entries), interpreter, notes)
  }

  /** Usually the number itself, or one near it. */
  #number(value: number): number {
    if (this.#malice === 0 || !this.#random.once(this.#malice)) return value
    const size = this.#size
    return this.#random.pick([...HOSTILE, size - 1, size, size + 1, value + 1, Math.max(0, value - 1), this.#out.end])
  }

  #header(table: number, count: number): void {
    const random = this.#random
    this.#out.bytes.set([
      0x7f,
      0x45,
      0x4c,
      0x46,
      this.#wide ? 2 : 1,
      this.#out.little ? 1 : 2,
      1,
      random.once(20) ? 9 : 0,
    ])
    this.#out.u16(16, random.pick([2, 3, 3, 3, 1, 4]))
    this.#out.u16(18, random.pick(MACHINES))
    this.#out.u32(20, 1)
    this.#out.word(this.#wide ? 32 : 28, this.#number(table))
    const tail = this.#wide ? 54 : 42
    this.#out.u16(tail, this.#number(this.#wide ? 56 : 32))
    this.#out.u16(tail + 2, this.#number(count))
    // Section headers: seldom any, and then nonsense.
    if (random.once(8)) {
      this.#out.word(this.#wide ? 40 : 32, this.#number(table))
      this.#out.u16(tail + 4, this.#wide ? 64 : 40)
      this.#out.u16(tail + 6, this.#number(random.below(6)))
      this.#out.u16(tail + 8, this.#number(random.below(6)))
    }
  }

  #segments(
    table: number,
    count: number,
    dynamic: { at: number; size: number },
    interpreter: number,
    notes: { at: number; size: number },
  ): void {
    const random = this.#random
    const { length } = this.#out.bytes
    const segments = [
      { type: PT_LOAD, at: 0, size: this.#size },
      { type: PT_DYNAMIC, ...dynamic },
      { type: PT_NOTE, ...notes },
      { type: random.pick([PT_INTERP, PT_TLS]), at: interpreter, size: 11 },
      { type: PT_GNU_STACK, at: 0, size: 0 },
    ]
    for (let index = 0; index < count; index++) {
      const { type, at, size } = segments[index] ?? {
        type: random.pick([PT_LOAD, PT_LOAD, PT_NOTE, PT_NOTE, PT_DYNAMIC, PT_INTERP, random.below(10)]),
        at: random.below(length),
        size: random.below(length),
      }
      const header = table + index * (this.#wide ? 56 : 32)
      this.#out.u32(header, this.#number(type))
      this.#out.u32(header + (this.#wide ? 4 : 24), random.below(8))
      const fields = [at, this.#base + at, at, size, size].map(value => this.#number(value))
      const width = this.#wide ? 8 : 4
      for (const [field, value] of fields.entries()) this.#out.word(header + width * (field + 1), value)
      this.#out.word(header + (this.#wide ? 48 : 28), random.pick([1, 4, 8, 4096]))
    }
  }

  #strings(): { at: number; size: number; some: () => number } {
    const random = this.#random
    const size = random.pick([16, 64, 256, 1024])
    const at = this.#out.take(size)
    const starts = [0]
    for (let i = 1; i < size - 1; i++) {
      const ended = random.once(9)
      this.#out.u8(at + i, ended ? 0 : random.pick([0x24, 0x2f, 0x61, 0x6c, 0x31, 0xc3, 0xff]))
      if (ended) starts.push(i + 1)
    }
    // An unterminated last string now and then.
    if (random.once(10))
      this.#out.bytes.fill(0x61, Math.min(at + 1, this.#out.bytes.length), Math.min(at + size, this.#out.bytes.length))
    return { at, size, some: () => this.#number(random.pick(starts)) }
  }

  #dynamicEntries(strings: { at: number; size: number; some: () => number }, symbols: number): [number, number][] {
    const random = this.#random
    const address = (at: number) => this.#number(this.#base + at)
    const entries: [number, number][] = []
    for (let needed = random.below(6); needed > 0; needed--) entries.push([DT.NEEDED, strings.some()])
    for (const tag of [DT.SONAME, DT.RPATH, DT.RUNPATH, DT.AUXILIARY, DT.FILTER, DT.AUDIT, DT.DEPAUDIT]) {
      if (random.once(3)) entries.push([tag, strings.some()])
    }
    if (random.once(40)) for (let i = random.below(800); i > 0; i--) entries.push([DT.NEEDED, strings.some()])
    entries.push([DT.STRTAB, address(strings.at)], [DT.STRSZ, this.#number(strings.size)])
    entries.push([DT.SYMTAB, address(this.#symbols(symbols, strings))], [DT.SYMENT, this.#wide ? 24 : 16])
    if (random.once(2)) entries.push([DT.HASH, address(this.#hash(symbols))])
    if (random.once(2)) entries.push([DT.GNU_HASH, address(this.#gnuHash(symbols))])
    if (random.once(2)) {
      const { at, count } = this.#verneed(strings)
      entries.push([DT.VERNEED, address(at)], [DT.VERNEEDNUM, this.#number(count)])
    }
    if (random.once(2)) {
      const { at, count } = this.#verdef(strings)
      entries.push([DT.VERDEF, address(at)], [DT.VERDEFNUM, this.#number(count)])
    }
    if (random.once(2)) entries.push([DT.VERSYM, address(this.#versym(symbols))])
    entries.push(...this.#relocations(symbols, address))
    for (const tag of [DT.FLAGS, DT.FLAGS_1]) if (random.once(2)) entries.push([tag, random.u32()])
    if (random.once(4)) entries.push([this.#number(random.below(40)), this.#number(0)])
    // The loader lets the last one win: a second of any tag.
    if (random.once(4)) {
      const [tag, value] = random.pick(entries)
      entries.push([tag, this.#number(value)])
    }
    return entries
  }

  #dynamic(entries: readonly [number, number][]): { at: number; size: number } {
    const width = this.#wide ? 8 : 4
    const ended = !this.#random.once(10)
    const size = (entries.length + (ended ? 1 : 0)) * 2 * width
    const at = this.#out.take(size)
    for (const [index, [tag, value]] of entries.entries()) {
      this.#out.word(at + index * 2 * width, tag)
      this.#out.word(at + index * 2 * width + width, value)
    }
    return { at, size }
  }

  #symbols(count: number, strings: { some: () => number }): number {
    const random = this.#random
    const size = this.#wide ? 24 : 16
    const at = this.#out.take(count * size)
    for (let index = 1; index < count; index++) {
      const symbol = at + index * size
      this.#out.u32(symbol, strings.some())
      this.#out.u8(symbol + (this.#wide ? 4 : 12), random.u32())
      this.#out.u8(symbol + (this.#wide ? 5 : 13), random.below(4))
      this.#out.u16(symbol + (this.#wide ? 6 : 14), random.pick([0, 1, 0xfff1, 0xffff]))
      this.#out.word(symbol + (this.#wide ? 8 : 4), random.below(2))
      this.#out.word(symbol + (this.#wide ? 16 : 8), this.#number(8))
    }
    return at
  }

  #hash(symbols: number): number {
    const at = this.#out.take(16 + symbols * 4)
    this.#out.u32(at, this.#number(1))
    this.#out.u32(at + 4, this.#number(symbols))
    return at
  }

  #gnuHash(symbols: number): number {
    const random = this.#random
    const buckets = 1 + random.below(4)
    const width = this.#wide ? 8 : 4
    const first = 1 + random.below(symbols)
    const at = this.#out.take(16 + width + buckets * 4 + symbols * 4)
    for (const [index, value] of [buckets, first, 1, 6].entries()) this.#out.u32(at + index * 4, this.#number(value))
    const bucketsAt = at + 16 + width
    for (let index = 0; index < buckets; index++) {
      this.#out.u32(bucketsAt + index * 4, this.#number(random.once(3) ? 0 : first + random.below(symbols)))
    }
    // Chains whose last word has no end bit lead into what comes after.
    for (let index = 0; index < symbols; index++) {
      this.#out.u32(bucketsAt + (buckets + index) * 4, random.once(3) ? random.u32() | 1 : random.u32() & ~1)
    }
    return at
  }

  #verneed(strings: { some: () => number }): { at: number; count: number } {
    const random = this.#random
    const count = 1 + random.below(4)
    const start = this.#out.end
    for (let index = 0; index < count; index++) {
      const versions = random.below(5)
      const at = this.#out.take(16 + versions * 16)
      this.#out.u16(at, this.#number(1))
      this.#out.u16(at + 2, this.#number(versions))
      this.#out.u32(at + 4, strings.some())
      this.#out.u32(at + 8, this.#number(16))
      this.#out.u32(at + 12, this.#number(index === count - 1 ? 0 : 16 + versions * 16))
      for (let version = 0; version < versions; version++) {
        const need = at + 16 + version * 16
        this.#out.u32(need, random.u32())
        this.#out.u16(need + 4, random.below(4))
        this.#out.u16(need + 6, this.#number(2 + version))
        this.#out.u32(need + 8, strings.some())
        this.#out.u32(need + 12, this.#number(version === versions - 1 ? 0 : 16))
      }
    }
    return { at: start, count }
  }

  #verdef(strings: { some: () => number }): { at: number; count: number } {
    const random = this.#random
    const count = 1 + random.below(6)
    const start = this.#out.end
    for (let index = 0; index < count; index++) {
      const at = this.#out.take(32)
      this.#out.u16(at, this.#number(1))
      this.#out.u16(at + 2, random.below(4))
      this.#out.u16(at + 4, this.#number(index + 1))
      this.#out.u16(at + 6, this.#number(1))
      this.#out.u32(at + 12, this.#number(20))
      this.#out.u32(at + 16, this.#number(index === count - 1 ? 0 : 32))
      this.#out.u32(at + 20, strings.some())
    }
    return { at: start, count }
  }

  #versym(symbols: number): number {
    const at = this.#out.take(symbols * 2)
    for (let index = 0; index < symbols; index++)
      this.#out.u16(at + index * 2, this.#random.pick([0, 1, 2, 3, 0x8002, 0xffff]))
    return at
  }

  #relocations(symbols: number, address: (at: number) => number): [number, number][] {
    const random = this.#random
    const entry = this.#wide ? 24 : 12
    const count = random.below(6)
    const at = this.#out.take(count * entry)
    for (let index = 0; index < count; index++) {
      const info = at + index * entry + (this.#wide ? 8 : 4)
      if (this.#wide)
        this.#out.word(info, this.#number(random.below(symbols)) * 2 ** 32 + random.pick([5, 19, 9, 1024]))
      else this.#out.u32(info, (this.#number(random.below(symbols)) % 2 ** 24) * 256 + 5)
    }
    const tags: readonly [number, number][] = [
      [DT.RELA, DT.RELASZ],
      [DT.REL, DT.RELSZ],
      [DT.JMPREL, DT.PLTRELSZ],
    ]
    const kind = random.pick(tags)
    return random.once(2)
      ? []
      : [
          [kind[0], address(at)],
          [kind[1], this.#number(count * entry)],
          [DT.PLTREL, DT.RELA],
        ]
  }

  #notes(): { at: number; size: number } {
    const random = this.#random
    const start = this.#out.end
    for (let count = random.below(6); count > 0; count--) {
      const payload = random.pick([
        '\x00\x00\x00\x00\x03\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00',
        'build-id-of-20-bytes',
        '[{"soname":["liba.so.1"],"priority":"required"}]\0',
        '[{"soname":[]},[[[[[[',
        '{"type":"deb","name":"a\\u0000"}\0',
        '',
      ])
      const at = this.#out.take(16 + payload.length)
      this.#out.u32(at, this.#number(4))
      this.#out.u32(at + 4, this.#number(payload.length))
      this.#out.u32(at + 8, random.pick([1, 3, 5, 0x407c0c0a, 0xcafe1a7e]))
      this.#out.bytes.write(
        random.pick(['GNU\0', 'GNU\0', 'FDO\0', 'FDO\0', 'Go\0\0']) + payload,
        Math.min(at + 12, this.#out.bytes.length),
        'latin1',
      )
    }
    return { at: start, size: Math.max(0, this.#out.end - start) }
  }
}
