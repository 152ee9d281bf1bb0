import { compareNames } from '../loader/cache-names.js'
import { Bytes, StringTable } from './bytes.js'

export interface CacheEntry {
  /** The soname that is looked up. */
  readonly name: string
  readonly path: string
  /** The sub-directory of glibc-hwcaps that it is for, such as `x86-64-v3`. [none] */
  readonly hwcaps?: string
  /** What kind of library: FLAG_* of glibc's sysdeps/generic/ldconfig.h. [0x303: x86-64, glibc 2] */
  readonly flags?: number
}

export interface CacheOptions {
  /** ['little'] */
  readonly byteOrder?: 'little' | 'big'
  /** Who made it, as `ldconfig -p` tells. ['appc'] */
  readonly generator?: string
  /** false: entries stay in the order given, in which the loader's search may not find them. [true] */
  readonly sorted?: boolean
}

const MAGIC = 'glibc-ld.so.cache1.1'
const HEADER = 48
const ENTRY = 24
const EXTENSION_MAGIC = 3_936_625_012
const TAG_GENERATOR = 0
const TAG_HWCAPS = 1
const HWCAP_EXTENSION = 1n << 62n

/** An ld.so.cache as ldconfig of glibc 2.33 and later writes it (elf/cache.c). */
export function ldSoCache(entries: readonly CacheEntry[], options: CacheOptions = {}): Buffer {
  const { byteOrder = 'little', generator = 'appc', sorted = true } = options
  const ordered = sorted ? [...entries].sort(compareEntries) : entries
  const hwcaps = [...new Set(entries.flatMap(entry => entry.hwcaps ?? []))].sort()
  const strings = new StringTable()
  const stringsAt = HEADER + ENTRY * entries.length
  const at = (text: string) => stringsAt + strings.add(text)
  const table = new Bytes(byteOrder === 'little', false)
  for (const { name, path, hwcaps: level, flags = 0x303 } of ordered) {
    const hwcap = level === undefined ? 0n : HWCAP_EXTENSION | BigInt(hwcaps.indexOf(level))
    table.u32(flags, at(name), at(path), 0).u64(hwcap)
  }
  const levels = hwcaps.map(at)
  const text = strings.done()
  const header = new Bytes(byteOrder === 'little', false).raw(Buffer.from(MAGIC)).u32(entries.length, text.length)
  header.u8(byteOrder === 'little' ? 2 : 3)
  const file = new Bytes(byteOrder === 'little', false).padTo(HEADER).raw(table.done()).raw(text).align(4)
  // Two sections of 16 bytes after magic and count; then what they tell of.
  const [extension, levelsAt] = [file.length, file.length + 8 + 2 * 16]
  file.u32(EXTENSION_MAGIC, 2)
  file.u32(TAG_GENERATOR, 0, levelsAt + 4 * levels.length, Buffer.byteLength(generator))
  file.u32(TAG_HWCAPS, 0, levelsAt, 4 * levels.length)
  file.u32(...levels).raw(Buffer.from(generator))
  const bytes = file.done()
  bytes.set(header.align(4).u32(extension).done())
  return bytes
}

/** The loader searches from the end: names fall; of one name, variants for better CPUs come before the plain one. */
function compareEntries(a: CacheEntry, b: CacheEntry): number {
  const byName = compareNames(Buffer.from(b.name), Buffer.from(a.name), 0, true)
  if (byName !== 0) return byName
  const byFlags = (b.flags ?? 0x303) - (a.flags ?? 0x303)
  if (byFlags !== 0) return byFlags
  if (a.hwcaps === b.hwcaps) return 0
  if (a.hwcaps === undefined || b.hwcaps === undefined) return a.hwcaps === undefined ? 1 : -1
  return a.hwcaps < b.hwcaps ? -1 : 1
}
