import type { Loader } from './types.js'
import { atLeast } from './version.js'

/*
 * The format of /etc/ld.so.cache: sysdeps/generic/dl-cache.h of glibc 2.36, and what elf/dl-cache.c checks of it. An old format
 * of 12-byte entries may stand alone or before a new one, which hides in its strings.
 */

const OLD_MAGIC = 'ld.so-1.7.0'
const NEW_MAGIC = 'glibc-ld.so.cache1.1'
const OLD_HEADER = 16
const OLD_ENTRY = 12
const NEW_HEADER = 48
const NEW_ENTRY = 24
const EXTENSION_MAGIC = 3_936_625_012
const TAG_HWCAPS = 1
const KNOWN_TAGS = 2
const PAGE = 4096
/** The loader could open no longer path. */
const PATH_MAX = 4096
const EM_386 = 3

export interface CacheEntry {
  readonly flags: number
  /** Offset of the path. */
  readonly value: number
  /** The halves of the hwcap field; 0 in the old format. */
  readonly hwcapLow: number
  readonly hwcapHigh: number
}

interface Place {
  /** Where offsets of strings are counted from, and the first that is refused. */
  readonly strings: number
  readonly stringsSize: number
  readonly first: number
  readonly entrySize: number
  readonly count: number
}

/** A cache's entries and strings by number and offset. Nothing that it says of itself is believed. */
export class CacheFile {
  /** As it is mapped: with zeros up to the end of the last page. The loader reads them, and dies of what lies beyond. */
  readonly #mapped: Buffer
  readonly #view: DataView
  readonly #size: number
  readonly #little: boolean
  readonly #place: Place
  /** The hwcaps extension, as offsets in the file of NUL-ended names; entries refer to them by index. */
  readonly #hwcaps: { readonly start: number; readonly count: number }

  private constructor(bytes: Buffer, mapped: Buffer, loader: Loader, place: Place) {
    this.#mapped = mapped
    this.#view = viewOf(mapped)
    this.#size = bytes.length
    this.#little = loader.data === 'little'
    this.#place = place
    this.#hwcaps = this.isNew && atLeast(loader, 33) ? this.#locateHwcaps() : NO_HWCAPS
  }

  /** null for a file that the loader ignores. */
  static parse(bytes: Buffer, loader: Loader): CacheFile | null {
    const mapped = Buffer.alloc(Math.ceil(bytes.length / PAGE) * PAGE)
    bytes.copy(mapped)
    const place = findEntries(mapped, bytes.length, loader)
    return place === null ? null : new CacheFile(bytes, mapped, loader, place)
  }

  get isNew(): boolean {
    return this.#place.entrySize === NEW_ENTRY
  }

  /** The last index, as the loader's int: below zero for no entries or for more than an int counts. It may lie past the end. */
  get last(): number {
    return (this.#place.count - 1) | 0
  }

  /** Where an entry's name is in `bytes`; null where it is refused, or the entry lies past the end. */
  nameAt(index: number): number | null {
    const at = this.#entryAt(index)
    return at === null ? null : this.#stringAt(this.#u32(at + 4))
  }

  get bytes(): Uint8Array {
    return this.#mapped
  }

  /** null past the end. */
  entry(index: number): CacheEntry | null {
    const at = this.#entryAt(index)
    if (at === null) return null
    const { isNew } = this
    return {
      flags: this.#u32(at),
      value: this.#u32(at + 8),
      hwcapLow: isNew ? this.#u32(at + (this.#little ? 16 : 20)) : 0,
      hwcapHigh: isNew ? this.#u32(at + (this.#little ? 20 : 16)) : 0,
    }
  }

  /** Whether the loader takes an entry's path for one inside the file. */
  hasPath({ value }: CacheEntry): boolean {
    return this.#stringAt(value) !== null
  }

  /** null where it is refused, or empty, or too long to be opened. */
  path({ value }: CacheEntry): string | null {
    const at = this.#stringAt(value)
    return (at === null ? null : this.#text(at)) || null
  }

  /** The sub-directory of glibc-hwcaps that an entry refers to by index; null where there is none. */
  hwcapsName(index: number): string | null {
    if (index >= this.#hwcaps.count) return null
    const at = this.#u32(this.#hwcaps.start + index * 4)
    return at < this.#size ? this.#text(at) || null : null
  }

  /**
   * How the loader ranks the sub-directories that the CPU can use, best first: index → 1 and up. It walks the cache's list and
   * its own, both sorted by name, side by side, so that a name out of order is missed.
   */
  hwcapsPriorities(levels: readonly string[]): ReadonlyMap<number, number> {
    const own = levels.map((name, index) => ({ name: Buffer.from(name), priority: index + 1 }))
    own.sort((a, b) => Buffer.compare(a.name, b.name))
    const priorities = new Map<number, number>()
    for (let left = 0, right = 0; left < this.#hwcaps.count && right < own.length; ) {
      const at = this.#u32(this.#hwcaps.start + left * 4)
      // The loader never comes past such a name: it fills its memory with zeros until it dies.
      if (at >= this.#size) return new Map()
      const { name, priority } = own[right] as { name: Buffer; priority: number }
      const order = this.#compare(at, name)
      if (order === 0) priorities.set(left, priority)
      if (order <= 0) left++
      if (order >= 0) right++
    }
    return priorities
  }

  /** strcmp of the string at `at` with a name. */
  #compare(at: number, name: Buffer): number {
    for (let i = 0; i < name.length; i++) {
      const difference = (this.#mapped[at + i] ?? 0) - (name[i] as number)
      if (difference !== 0) return difference
    }
    return this.#mapped[at + name.length] ?? 0
  }

  #entryAt(index: number): number | null {
    const { first, entrySize } = this.#place
    const at = first + index * entrySize
    return at + entrySize <= this.#mapped.length ? at : null
  }

  #stringAt(offset: number): number | null {
    return offset < this.#place.stringsSize ? this.#place.strings + offset : null
  }

  /** null where it is too long for a path. */
  #text(at: number): string | null {
    const some = this.#mapped.subarray(at, at + PATH_MAX)
    const end = some.indexOf(0)
    if (end === -1 && some.length === PATH_MAX) return null
    return some.toString('utf8', 0, end === -1 ? some.length : end)
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, this.#little)
  }

  /** cache_extension_load: offsets in an extension count from the file's start, even where the new format does not begin there. */
  #locateHwcaps(): { start: number; count: number } {
    const directory = this.#u32(this.#place.first - NEW_HEADER + 32)
    if (directory === 0 || directory % 4 !== 0 || directory + 8 > this.#size) return NO_HWCAPS
    if (this.#u32(directory) !== EXTENSION_MAGIC) return NO_HWCAPS
    const sections = this.#u32(directory + 4)
    if (directory + 8 + sections * 16 > this.#size) return NO_HWCAPS
    let hwcaps = { start: 0, size: 0 }
    for (let at = directory + 8; at < directory + 8 + sections * 16; at += 16) {
      const start = this.#u32(at + 8)
      const size = this.#u32(at + 12)
      // One bad section voids those after it as well as itself, and then the loader uses none.
      if (start + size > this.#size) return NO_HWCAPS
      const tag = this.#u32(at)
      if (tag < KNOWN_TAGS && tag === TAG_HWCAPS) hwcaps = { start, size }
    }
    if (hwcaps.start % 4 !== 0 || hwcaps.size % 4 !== 0) return NO_HWCAPS
    return { start: hwcaps.start, count: hwcaps.size / 4 }
  }
}

const NO_HWCAPS = { start: 0, count: 0 }

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Which of the formats it is, as _dl_load_cache_lookup tells it; null for none. */
function findEntries(mapped: Buffer, size: number, loader: Loader): Place | null {
  const little = loader.data === 'little'
  const u32 = (at: number) => (little ? mapped.readUInt32LE(at) : mapped.readUInt32BE(at))
  const magicAt = (at: number, magic: string) => mapped.toString('latin1', at, at + magic.length) === magic
  if (size > NEW_HEADER && magicAt(0, NEW_MAGIC)) {
    const count = u32(20)
    // Until 2.32 the count was believed.
    if (atLeast(loader, 33) && Math.floor((size - NEW_HEADER) / NEW_ENTRY) < count) return null
    if (isForeign(mapped.readUInt8(28), loader)) return null
    return { strings: 0, stringsSize: size, first: NEW_HEADER, entrySize: NEW_ENTRY, count }
  }
  if (size <= OLD_HEADER || !magicAt(0, OLD_MAGIC)) return null
  const count = u32(12)
  if (Math.floor((size - OLD_HEADER) / OLD_ENTRY) < count) return null
  const strings = OLD_HEADER + count * OLD_ENTRY
  // Aligned as a structure with 64-bit integers is: to four bytes on i386.
  const alignment = loader.machine === EM_386 ? 4 : 8
  const header = Math.ceil(strings / alignment) * alignment
  if (size < header + NEW_HEADER || !magicAt(header, NEW_MAGIC)) {
    return { strings, stringsSize: size - strings, first: OLD_HEADER, entrySize: OLD_ENTRY, count }
  }
  if (isForeign(mapped.readUInt8(header + 28), loader)) return null
  return {
    strings: header,
    // Since 2.33 offsets are compared with the size of the file, though they do not count from its start.
    stringsSize: atLeast(loader, 33) ? size : size - header,
    first: header + NEW_HEADER,
    entrySize: NEW_ENTRY,
    count: u32(header + 20),
  }
}

/** The byte order of who wrote it, since 2.31: 2 little, 3 big, in two bits; a whole 0 comes from older ones. */
function isForeign(flags: number, loader: Loader): boolean {
  return atLeast(loader, 31) && flags !== 0 && (flags & 3) !== (loader.data === 'little' ? 2 : 3)
}
