import { readWhole } from './file-system.js'
import { remember } from './remember.js'
import type { FileSystem, Loader } from './types.js'
import { atLeast } from './version.js'

/*
 * /etc/ld.so.cache, as glibc 2.36's elf/dl-cache.c reads it. The search is its own binary search, step by step, so that a
 * damaged or unsorted cache gives what the loader would see.
 */

const OLD_MAGIC = 'ld.so-1.7.0'
const NEW_MAGIC = 'glibc-ld.so.cache1.1'
const OLD_HEADER = 16
const OLD_ENTRY = 12
const NEW_HEADER = 48
const NEW_ENTRY = 24
const EXTENSION_MAGIC = 3_936_625_012
const TAG_HWCAPS = 1
/** A cache of every library of a large system is below one MiB. */
const MAX_SIZE = 64 * 1024 * 1024

/** DL_CACHE_HWCAP_EXTENSION (sysdeps/generic/dl-cache.h): the upper word of hwcap, but for the ISA level in its low bits. */
const HWCAP_EXTENSION = 1 << 30
const ISA_LEVEL_MASK = 0x3ff
/** The upper word's top bit: the obsolete `tls` directories. */
const HWCAP_TLS = 0x8000_0000

/** The entry flags of each machine's libraries (sysdeps/unix/sysv/linux/ARCH/dl-cache.h); the generic one is 3. */
const FLAGS: Readonly<Record<string, number>> = {
  '62/64': 0x303,
  '62/32': 0x803,
  '183/64': 0xa03,
  '40/32': 0x903,
  '21/64': 0x503,
  '22/64': 0x403,
  '243/64': 0x1003,
}

export interface CacheHit {
  readonly path: string
  /** The sub-directory of glibc-hwcaps it is for, e.g. `x86-64-v3`; null for the baseline. */
  readonly hwcaps: string | null
}

export class LibraryCache {
  readonly #bytes: Buffer
  readonly #view: DataView
  /** Where strings are counted from, where the first entry is, how large entries are, and how many. */
  readonly #base: number
  readonly #first: number
  readonly #entrySize: number
  readonly #count: number
  readonly #hwcaps: readonly string[]
  readonly #loader: Loader
  readonly #hits = new Map<string, readonly CacheHit[]>()

  private constructor(
    bytes: Buffer,
    loader: Loader,
    place: { base: number; first: number; entrySize: number; count: number },
  ) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#base = place.base
    this.#first = place.first
    this.#entrySize = place.entrySize
    this.#count = place.count
    this.#loader = loader
    this.#hwcaps = place.entrySize === NEW_ENTRY && atLeast(loader, 33) ? this.#readHwcaps() : []
  }

  /** null where there is no cache, or one that the loader would ignore. */
  static read(fs: FileSystem, loader: Loader): LibraryCache | null {
    const bytes = readWhole(fs, '/etc/ld.so.cache', MAX_SIZE)
    return bytes === null ? null : LibraryCache.parse(bytes, loader)
  }

  static parse(bytes: Buffer, loader: Loader): LibraryCache | null {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const magicAt = (offset: number, magic: string) => bytes.toString('latin1', offset, offset + magic.length) === magic
    const newAt = (base: number) => ({
      base,
      first: base + NEW_HEADER,
      entrySize: NEW_ENTRY,
      count: view.getUint32(base + 20, true),
    })
    // Byte 28: the writer's byte order, since 2.33: 2 little, 3 big, in two bits; a whole 0 comes from older ones.
    const foreign = (base: number) => {
      const flags = view.getUint8(base + 28)
      return atLeast(loader, 33) && flags !== 0 && (flags & 3) !== 2
    }
    if (bytes.length > NEW_HEADER && magicAt(0, NEW_MAGIC)) {
      const place = newAt(0)
      if (foreign(0) || Math.floor((bytes.length - NEW_HEADER) / NEW_ENTRY) < place.count) return null
      return new LibraryCache(bytes, loader, place)
    }
    if (bytes.length <= OLD_HEADER || !magicAt(0, OLD_MAGIC)) return null
    const count = view.getUint32(12, true)
    if (Math.floor((bytes.length - OLD_HEADER) / OLD_ENTRY) < count) return null
    const strings = OLD_HEADER + count * OLD_ENTRY
    const base = Math.ceil(strings / 8) * 8
    if (bytes.length >= base + NEW_HEADER && magicAt(base, NEW_MAGIC)) {
      if (foreign(base)) return null
      const place = newAt(base)
      // The loader would read past the end here; there are no such entries.
      const fit = Math.floor((bytes.length - base - NEW_HEADER) / NEW_ENTRY)
      return new LibraryCache(bytes, loader, { ...place, count: Math.min(place.count, fit) })
    }
    return new LibraryCache(bytes, loader, { base: strings, first: OLD_HEADER, entrySize: OLD_ENTRY, count })
  }

  /** The path that the loader takes for a name on a CPU of the given level; null where it has none. */
  lookup(name: string, levels: readonly string[]): string | null {
    let best: CacheHit | null = null
    let bestPriority = Number.POSITIVE_INFINITY
    for (const hit of this.hits(name)) {
      if (hit.hwcaps === null) return best?.path ?? hit.path
      const priority = levels.indexOf(hit.hwcaps)
      if (priority === -1 || priority >= bestPriority) continue
      best = hit
      bestPriority = priority
    }
    return best?.path ?? null
  }

  /** Every entry for a name that some CPU would use, in the cache's order: variants first, then the baseline. */
  hits(name: string): readonly CacheHit[] {
    return remember(this.#hits, name, () => this.#search(name))
  }

  /** Every path in it that this loader could take, in the cache's order. */
  paths(): readonly string[] {
    const hits = Array.from({ length: this.#count }, (_, index) => this.#hit(index))
    return hits.flatMap(hit => (hit === null ? [] : [hit.entry.path]))
  }

  #search(name: string): CacheHit[] {
    const wanted = Buffer.from(name)
    let left = 0
    let right = this.#count - 1
    while (left <= right) {
      const middle = (left + right) >> 1
      const order = this.#compare(wanted, middle)
      if (order === null) return []
      if (order === 0) return this.#collect(wanted, middle, right)
      if (order < 0) left = middle + 1
      else right = middle - 1
    }
    return []
  }

  /** From any entry of that name, all of them: back to the first, then on to the last. */
  #collect(wanted: Buffer, found: number, right: number): CacheHit[] {
    let index = found
    while (index > 0) {
      const order = this.#compare(wanted, index - 1)
      if (order === null) return []
      if (order !== 0) break
      index--
    }
    const hits: CacheHit[] = []
    for (; index <= right; index++) {
      if (index > found && this.#compare(wanted, index) !== 0) break
      const hit = this.#hit(index)
      if (hit === null) continue
      hits.push(hit.entry)
      if (hit.last) break
    }
    return hits
  }

  #hit(index: number): { entry: CacheHit; last: boolean } | null {
    const at = this.#first + index * this.#entrySize
    const flags = this.#view.getInt32(at, true)
    const value = this.#string(this.#view.getUint32(at + 8, true))
    const usual = FLAGS[`${this.#loader.machine}/${this.#loader.class}`] ?? 3
    if ((flags !== 1 && flags !== usual) || value === null) return null
    let hwcaps: string | null = null
    if (this.#entrySize === NEW_ENTRY) {
      const low = this.#view.getUint32(at + 16, true)
      const high = this.#view.getUint32(at + 20, true)
      if (atLeast(this.#loader, 33) && (high & ~ISA_LEVEL_MASK) >>> 0 === HWCAP_EXTENSION) {
        hwcaps = this.#hwcaps[low] ?? null
        if (hwcaps === null) return null
      } else if (low !== 0 || (high & ~HWCAP_TLS) !== 0) {
        // Sub-directories by CPU feature, which no glibc since 2.37 looks into; before, only old ldconfigs listed them.
        return null
      }
    }
    return { entry: { path: value.toString(), hwcaps }, last: hwcaps === null && flags === usual }
  }

  /** Order of the name against an entry's; null where the entry's string lies outside the file. */
  #compare(wanted: Buffer, index: number): number | null {
    const key = this.#string(this.#view.getUint32(this.#first + index * this.#entrySize + 4, true))
    return key === null ? null : compareNames(wanted, key)
  }

  #string(offset: number): Buffer | null {
    const start = this.#base + offset
    if (start >= this.#bytes.length) return null
    const end = this.#bytes.indexOf(0, start)
    return end === -1 ? null : this.#bytes.subarray(start, end)
  }

  /** The names of glibc-hwcaps sub-directories that entries refer to by index. */
  #readHwcaps(): string[] {
    const view = this.#view
    const start = this.#base + view.getUint32(this.#base + 32, true)
    if (start === this.#base || start + 8 > view.byteLength || view.getUint32(start, true) !== EXTENSION_MAGIC)
      return []
    const sections = view.getUint32(start + 4, true)
    for (let i = 0, at = start + 8; i < sections && at + 16 <= view.byteLength; i++, at += 16) {
      if (view.getUint32(at, true) !== TAG_HWCAPS) continue
      const table = this.#base + view.getUint32(at + 8, true)
      const size = view.getUint32(at + 12, true)
      if (table + size > view.byteLength) return []
      return Array.from(
        { length: size >> 2 },
        (_, index) => this.#string(view.getUint32(table + index * 4, true))?.toString() ?? '',
      )
    }
    return []
  }
}

/** _dl_cache_libcmp: runs of digits compare as numbers, and a digit sorts above any other character. */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  const digit = (c: number) => c >= 48 && c <= 57
  let i = 0
  let j = 0
  while (i < a.length) {
    const x = a[i] as number
    const y = b[j] ?? 0
    if (digit(x)) {
      if (!digit(y)) return 1
      let m = 0
      let n = 0
      while (i < a.length && digit(a[i] as number)) m = (m * 10 + (a[i++] as number) - 48) | 0
      while (j < b.length && digit(b[j] as number)) n = (n * 10 + (b[j++] as number) - 48) | 0
      if (m !== n) return m - n
    } else {
      if (digit(y)) return -1
      if (x !== y) return x - y
      i++
      j++
    }
  }
  return -(b[j] ?? 0)
}
