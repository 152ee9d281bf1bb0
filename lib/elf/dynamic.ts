import type { Fields, Order } from './fields.js'
import { type Header, PT_DYNAMIC, PT_LOAD, type Segment } from './header.js'
import { malformed, type Window } from './window.js'

export const DT = {
  NEEDED: 1,
  PLTRELSZ: 2,
  HASH: 4,
  STRTAB: 5,
  SYMTAB: 6,
  RELA: 7,
  RELASZ: 8,
  STRSZ: 10,
  SYMENT: 11,
  SONAME: 14,
  RPATH: 15,
  REL: 17,
  RELSZ: 18,
  PLTREL: 20,
  JMPREL: 23,
  RUNPATH: 29,
  FLAGS: 30,
  GNU_HASH: 0x6ffffef5,
  DEPAUDIT: 0x6ffffefb,
  AUDIT: 0x6ffffefc,
  VERSYM: 0x6ffffff0,
  FLAGS_1: 0x6ffffffb,
  VERDEF: 0x6ffffffc,
  VERDEFNUM: 0x6ffffffd,
  VERNEED: 0x6ffffffe,
  VERNEEDNUM: 0x6fffffff,
  AUXILIARY: 0x7ffffffd,
  FILTER: 0x7fffffff,
} as const

/** More entries than this are an attack: linkers write some thirty, and one for each library. */
const MAX_ENTRIES = 16_384
const STEP = 64
const NONE: readonly number[] = []
/** Linkers write two to five. Every address is looked for in all of them. */
const MAX_LOADS = 1024

/** A dynamic section, and the way from its virtual addresses to the file's bytes. */
export class Dynamic {
  /** Entries in file order. There are some thirty: looking through them costs less than a map of them. */
  readonly #tags: number[] = []
  readonly #values: number[] = []
  readonly #loads: readonly Segment[]
  #strings: { readonly start: number; readonly end: number } | null = null
  /** Of the section in the file: where what it says wrongly is to be looked for. */
  readonly offset: number
  readonly order: Order

  private constructor(
    readonly window: Window,
    readonly header: Header,
    segment: Segment,
  ) {
    this.offset = segment.offset
    this.order = { little: header.data === 'little', wide: header.class === 64 }
    const loads = header.segments.filter(({ type }) => type === PT_LOAD)
    if (loads.length > MAX_LOADS) throw malformed(`${loads.length} segments to load`, header.programHeaders.offset)
    this.#loads = joined(loads)
    this.#read(segment)
  }

  /** null for a static file, which has no PT_DYNAMIC. */
  static read(window: Window, header: Header): Dynamic | null {
    // glibc takes the last PT_DYNAMIC (elf/dl-load.c, _dl_map_object_from_fd); no linker writes two.
    const segment = header.segments.findLast(({ type }) => type === PT_DYNAMIC)
    return segment === undefined ? null : new Dynamic(window, header, segment)
  }

  /** A step at a time: the size of the segment is the file's claim, and DT_NULL comes early. */
  #read({ offset, fileSize }: Segment): void {
    const size = this.order.wide ? 16 : 8
    const count = Math.floor(fileSize / size)
    for (let index = 0; index < count; index += STEP) {
      if (index >= MAX_ENTRIES) throw malformed('dynamic section without an end', offset)
      const length = Math.min(STEP, count - index) * size
      const fields = this.window.fields(offset + index * size, length, this.order, 'dynamic section')
      for (let at = 0; at < length; at += size) {
        const tag = fields.word(at)
        if (tag === 0) return
        this.#tags.push(tag)
        this.#values.push(fields.word(at + size / 2))
      }
    }
  }

  /** The value of a tag that stands once; the loader lets the last one win. */
  value(tag: number): number | null {
    for (let index = this.#tags.length - 1; index >= 0; index--) {
      if (this.#tags[index] === tag) return this.#values[index] as number
    }
    return null
  }

  /** The values of a tag that may stand many times, in order. */
  values(tag: number): readonly number[] {
    let index = this.#tags.indexOf(tag)
    if (index === -1) return NONE
    const values: number[] = []
    for (; index !== -1; index = this.#tags.indexOf(tag, index + 1)) values.push(this.#values[index] as number)
    return values
  }

  /** The file offset of a virtual address, and how many bytes follow it in its segment. */
  locate(address: number, what: string): { readonly offset: number; readonly available: number } {
    for (let i = 0; i < this.#loads.length; i++) {
      const segment = this.#loads[i] as Segment
      const into = address - segment.address
      if (into >= 0 && into < segment.fileSize) {
        const offset = segment.offset + into
        return { offset, available: Math.min(segment.fileSize - into, Math.max(0, this.window.size - offset)) }
      }
    }
    throw malformed(`${what} at address 0x${address.toString(16)} is in no loaded segment`, this.offset)
  }

  /** `length` bytes at a virtual address. */
  fields(address: number, length: number, what: string): Fields {
    const { offset, available } = this.locate(address, what)
    if (length > available) throw malformed(`${what} runs past its segment`, offset)
    return this.window.fields(offset, length, this.order, what)
  }

  /** Where the string table lies in the file, `end` exclusive. */
  strings(): { readonly start: number; readonly end: number } {
    this.#strings ??= this.#locateStrings()
    return this.#strings
  }

  #locateStrings(): { readonly start: number; readonly end: number } {
    const address = this.value(DT.STRTAB)
    const size = this.value(DT.STRSZ)
    if (address === null || size === null) throw malformed('dynamic section without a string table', this.offset)
    const { offset, available } = this.locate(address, 'string table')
    if (size > available) throw malformed('string table runs past its segment', offset)
    return { start: offset, end: offset + size }
  }

  string(index: number, what: string): string {
    const { start, end } = this.strings()
    return this.window.string(start + index, end, what)
  }
}

/**
 * Segments that follow one another both in the file and in memory as one: the loader, which reads memory, does not see where one
 * ends. patchelf leaves a table in two of them when it moves it once more.
 */
function joined(loads: readonly Segment[]): readonly Segment[] {
  const runs: Segment[] = []
  for (const segment of loads) {
    const last = runs.at(-1)
    if (last !== undefined && follows(segment, last)) {
      runs[runs.length - 1] = { ...last, fileSize: last.fileSize + segment.fileSize }
    } else {
      runs.push(segment)
    }
  }
  return runs
}

function follows(segment: Segment, last: Segment): boolean {
  return segment.address === last.address + last.fileSize && segment.offset === last.offset + last.fileSize
}
