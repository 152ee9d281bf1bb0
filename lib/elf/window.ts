import { AppcError } from '../errors.js'
import { Fields, type Order } from './fields.js'
import type { OpenFile, Part } from './types.js'

const PAGE = 4096
/*
 * A file's size bounds nothing: a hole of a terabyte costs its maker nothing. So what one file can have a reader keep is bounded
 * by what real ones do: string and symbol tables of some 50 MiB, the rest on a few dozen pages, strings of some 100 KiB.
 */
const MAX_RANGE = 64 * 1024 * 1024
const MAX_PAGES = 4096
const MAX_STRINGS = 16 * 1024 * 1024
/** Ends of strings are looked for in parts of this size at most: of a large table without any, each would take milliseconds. */
const MAX_SCAN = 128 * 1024

/**
 * An ELF file's bytes by offset, for small reads: every range is checked against the file's size before anything is
 * allocated, and pages are kept, since headers, dynamic section and strings lie close together.
 * Positioned reads of a few pages cost a third of mapping the file or of reading it whole.
 */
export class Window {
  readonly #file: OpenFile
  /** Where the last read was: the next is there too, as a rule. */
  #last: Part | null = null
  /** Made when the first is read: of most files, all is in memory before. */
  #pages: Map<number, Part> | null = null
  /** Bytes of strings handed out. Entries may share a string, but in no honest file do they repeat more than it holds. */
  #stringBytes = 0

  constructor(file: OpenFile) {
    this.#file = file
  }

  get size(): number {
    return this.#file.size
  }

  /** The bytes [offset, offset + length); ELF_MALFORMED where that is not all inside the file. `what` names them. */
  bytes(offset: number, length: number, what: string): Buffer {
    const part = this.#part(offset, length, what)
    const start = offset - part.offset
    return part.bytes.subarray(start, start + length)
  }

  /** The same bytes as integers. */
  fields(offset: number, length: number, order: Order, what: string): Fields {
    const part = this.#part(offset, length, what)
    return new Fields(part.view, offset - part.offset, length, order)
  }

  #part(offset: number, length: number, what: string): Part {
    const last = this.#last
    if (last !== null && length >= 0 && offset >= last.offset && offset + length <= endOf(last)) return last
    this.#check(offset, length, what)
    this.#last = this.#file.part?.(offset, length) ?? this.#read(offset, length, what)
    return this.#last
  }

  #read(offset: number, length: number, what: string): Part {
    const first = Math.floor(offset / PAGE)
    if (length <= PAGE && Math.floor((offset + length - 1) / PAGE) === first) {
      const page = this.#page(first)
      if (endOf(page) < offset + length) throw malformed(`${what} ends early`, offset)
      return page
    }
    if (length > MAX_RANGE) throw malformed(`${what} has ${length} bytes`, offset)
    const buffer = Buffer.allocUnsafe(length)
    if (this.#file.read(buffer, offset) < length) throw malformed(`${what} ends early`, offset)
    return partOf(offset, buffer)
  }

  /** The NUL-terminated string at `offset`, which must end before `end` (a file offset). */
  string(offset: number, end: number, what: string): string {
    if (offset >= end) throw malformed(`${what} lies outside its table`, offset)
    this.#check(offset, end - offset, what)
    const ready = this.#ready(offset)
    if (ready !== null && ready.bytes.length <= MAX_SCAN) {
      const start = offset - ready.offset
      const stop = ready.bytes.indexOf(0, start)
      if (stop !== -1 && stop < end - ready.offset) return this.#handOut(ready.bytes, start, stop, offset)
    }
    const parts: Buffer[] = []
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / PAGE)
      const { bytes: page } = this.#page(index)
      const start = at - index * PAGE
      const stop = Math.min(page.length, end - index * PAGE)
      if (stop <= start) break
      const nul = page.indexOf(0, start)
      if (nul !== -1 && nul < stop) {
        parts.push(page.subarray(start, nul))
        const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
        return this.#handOut(bytes, 0, bytes.length, offset)
      }
      parts.push(page.subarray(start, stop))
      at = (index + 1) * PAGE
      // No name that the loader could open is longer than PATH_MAX.
      if (at - offset > 4 * PAGE) break
    }
    throw malformed(`${what} has no end`, offset)
  }

  /** The part in memory that an offset is in; null where there is none. */
  #ready(offset: number): Part | null {
    const last = this.#last
    if (last !== null && offset >= last.offset && offset < endOf(last)) return last
    return this.#file.part?.(offset, 1) ?? null
  }

  #handOut(bytes: Buffer, start: number, stop: number, offset: number): string {
    this.#stringBytes += stop - start
    if (this.#stringBytes > Math.min(this.#file.size, MAX_STRINGS))
      throw malformed('strings repeat without end', offset)
    return bytes.toString('utf8', start, stop)
  }

  #check(offset: number, length: number, what: string): void {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
      throw malformed(`${what} has an impossible place or size`, offset)
    }
    if (offset + length > this.#file.size) throw malformed(`${what} runs past the end of the file`, offset)
  }

  #page(index: number): Part {
    this.#pages ??= new Map()
    let page = this.#pages.get(index)
    if (page === undefined) {
      if (this.#pages.size === MAX_PAGES) throw malformed('what is looked for lies all over the file', index * PAGE)
      const buffer = Buffer.allocUnsafe(Math.min(PAGE, this.#file.size - index * PAGE))
      page = partOf(index * PAGE, buffer.subarray(0, this.#file.read(buffer, index * PAGE)))
      this.#pages.set(index, page)
    }
    return page
  }
}

function endOf({ offset, bytes }: Part): number {
  return offset + bytes.length
}

export function partOf(offset: number, bytes: Buffer): Part {
  return { offset, bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) }
}

/** `offset` is the place in the file that is wrong. */
export function malformed(what: string, offset: number): AppcError {
  const place = Math.max(0, offset)
  return new AppcError('ELF_MALFORMED', `malformed ELF file: ${what} (at offset 0x${place.toString(16)})`, {
    offset: place,
  })
}
