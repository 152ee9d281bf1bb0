import { type CacheEntry, CacheFile } from './cache-file.js'
import { compareNames } from './cache-names.js'
import { readWhole } from './file-system.js'
import { remember } from './remember.js'
import type { FileSystem, Loader } from './types.js'
import { atLeast } from './version.js'

/*
 * The search in /etc/ld.so.cache, as glibc's elf/dl-cache.c has it from 2.31 to 2.43: its own binary search, step by step, so
 * that a damaged or unsorted cache gives what the loader would see. Where the loader would die of a cache, nothing is found.
 */

/** A cache of every library of a large system is below one MiB. */
const MAX_SIZE = 16 * 1024 * 1024
/** Entries of one name are the variants for better CPUs and those of other ABIs: a dozen. */
const MAX_RUN = 1024
/** Paths that are listed, in sizes of the file: an honest cache has most of them once, some as the end of another. */
const MAX_LISTED = 4

/** DL_CACHE_HWCAP_EXTENSION (sysdeps/generic/dl-cache.h): the upper word of hwcap, but for the ISA level in its low bits. */
const HWCAP_EXTENSION = 1 << 30
const ISA_LEVEL_MASK = 0x3ff
/** The upper word's top bit: the obsolete `tls` directories. */
const HWCAP_TLS = 0x8000_0000
const EM_386 = 3
const EM_X86_64 = 62

/**
 * The entry flags that each machine's loader takes (sysdeps/unix/sysv/linux/ARCH/dl-cache.h); the first ends its search. Those
 * not named here have the generic ones.
 */
const FLAGS: Readonly<Record<string, readonly number[]>> = {
  '21/64': [0x503],
  '22/64': [0x403],
  '40/32': [3, 0x903],
  '62/32': [0x803],
  '62/64': [0x303],
  '183/64': [0xa03],
  '243/64': [0x1003],
}
const GENERIC_FLAGS = [3, 1]

/**
 * The bits of hwcap with which a loader before 2.40 takes an entry: of sub-directories by CPU feature, which ldconfig listed
 * until 2.36 (sysdeps/x86/dl-hwcap.h: sse2 and i686, x86_64). Left out are those for some of Intel's CPUs alone (avx512_1,
 * haswell, xeon_phi): x86-64 levels do not tell the maker.
 */
const LEGACY_HWCAPS: Readonly<Record<number, { readonly low: number; readonly high: number }>> = {
  [EM_386]: { low: 1, high: HWCAP_TLS | (1 << 17) },
  [EM_X86_64]: { low: 2, high: HWCAP_TLS },
}

export interface CacheHit {
  readonly path: string
  /** The sub-directory of glibc-hwcaps it is for, e.g. `x86-64-v3`; null for the baseline. */
  readonly hwcaps: string | null
}

export class LibraryCache {
  readonly #file: CacheFile
  readonly #loader: Loader
  readonly #flags: readonly number[]
  readonly #signedChars: boolean
  readonly #hits = new Map<string, readonly CacheHit[]>()
  readonly #priorities = new Map<string, ReadonlyMap<number, number>>()

  private constructor(file: CacheFile, loader: Loader) {
    this.#file = file
    this.#loader = loader
    this.#flags = FLAGS[`${loader.machine}/${loader.class}`] ?? GENERIC_FLAGS
    this.#signedChars = isX86(loader)
  }

  /** null where there is no cache, or one that the loader would ignore. */
  static read(fs: FileSystem, loader: Loader): LibraryCache | null {
    const bytes = readWhole(fs, '/etc/ld.so.cache', MAX_SIZE)
    return bytes === null ? null : LibraryCache.parse(bytes, loader)
  }

  static parse(bytes: Buffer, loader: Loader): LibraryCache | null {
    const file = CacheFile.parse(bytes, loader)
    return file === null ? null : new LibraryCache(file, loader)
  }

  /** The path that the loader takes for a name on a CPU of the given levels, best first; null where it has none. */
  lookup(name: string, levels: readonly string[]): string | null {
    const best = this.#best(name, levels)
    return best === null ? null : this.#file.path(best)
  }

  /**
   * Every absolute path for a name that some CPU would use: variants in the cache's order, then the baseline. The few of a
   * damaged cache that depend on the working directory are nobody's to name.
   */
  hits(name: string): readonly CacheHit[] {
    return remember(this.#hits, name, () => {
      const hits: CacheHit[] = []
      for (const entry of this.#entries(name)) {
        const hwcaps = this.#isVariant(entry) ? this.#file.hwcapsName(entry.hwcapLow) : null
        const path = hwcaps === null ? null : this.#file.path(entry)
        if (path?.startsWith('/')) hits.push({ path, hwcaps })
      }
      const baseline = this.lookup(name, [])
      return baseline?.startsWith('/') ? [...hits, { path: baseline, hwcaps: null }] : hits
    })
  }

  /** Every absolute path in it that this loader could take, in the cache's order. */
  paths(): readonly string[] {
    const paths: string[] = []
    let budget = MAX_LISTED * this.#file.bytes.length
    for (let index = 0; index <= this.#file.last && budget > 0; index++) {
      const entry = this.#file.entry(index)
      if (entry === null) break
      if (!this.#accepts(entry) || !(this.#isVariant(entry) || this.#fits(entry))) continue
      const path = this.#file.path(entry)
      if (!path?.startsWith('/')) continue
      paths.push(path)
      budget -= path.length
    }
    return paths
  }

  /** search_cache: of a name's entries the variant that ranks highest, else the first for every CPU. */
  #best(name: string, levels: readonly string[]): CacheEntry | null {
    let best: CacheEntry | null = null
    let bestPriority = 0
    for (const entry of this.#entries(name)) {
      if (this.#isVariant(entry)) {
        const priority = this.#priority(entry, levels)
        if (priority === 0 || (best !== null && priority >= bestPriority)) continue
        best = entry
        bestPriority = priority
        continue
      }
      const usual = entry.flags === this.#flags[0]
      if (best !== null && atLeast(this.#loader, 33) && this.#file.isNew) break
      if (best !== null && !atLeast(this.#loader, 33) && !usual) continue
      if (!this.#fits(entry)) continue
      best = entry
      if (usual) break
    }
    return best
  }

  /** The entries of a name that are of this loader's kind, in order. */
  *#entries(name: string): Generator<CacheEntry> {
    const wanted = Buffer.from(name)
    const found = this.#find(wanted)
    if (found === null) return
    let index = found.middle
    while (index > 0 && found.middle - index < MAX_RUN && this.#compare(wanted, index - 1) === 0) index--
    for (const end = Math.min(found.right, index + MAX_RUN); index <= end; index++) {
      if (index > found.middle && this.#compare(wanted, index) !== 0) return
      const entry = this.#file.entry(index)
      if (entry === null) return
      if (this.#accepts(entry)) yield entry
    }
  }

  /** Any entry of a name, and the last at which there may be one: what the binary search has not ruled out. */
  #find(wanted: Buffer): { middle: number; right: number } | null {
    let left = 0
    let right = this.#file.last
    while (left <= right) {
      const middle = (left + right) >>> 1
      const order = this.#compare(wanted, middle)
      if (order === null) return null
      if (order === 0) return { middle, right }
      if (order < 0) left = middle + 1
      else right = middle - 1
    }
    return null
  }

  /** Order of the name against an entry's; null where that lies outside the file. */
  #compare(wanted: Buffer, index: number): number | null {
    const at = this.#file.nameAt(index)
    return at === null ? null : compareNames(wanted, this.#file.bytes, at, this.#signedChars)
  }

  #accepts(entry: CacheEntry): boolean {
    return this.#flags.includes(entry.flags) && this.#file.hasPath(entry)
  }

  /** For a sub-directory of glibc-hwcaps. */
  #isVariant({ hwcapHigh }: CacheEntry): boolean {
    return atLeast(this.#loader, 33) && (hwcapHigh & ~ISA_LEVEL_MASK) === HWCAP_EXTENSION
  }

  /** 0: the CPU cannot use it; else the lower the better. */
  #priority({ hwcapLow, hwcapHigh }: CacheEntry, levels: readonly string[]): number {
    // Of the ISA level, a shift takes the low five bits; level 0 is the baseline's (sysdeps/x86/dl-isa-level.h).
    if (isX86(this.#loader) && (hwcapHigh & 31) > levels.length) return 0
    const priorities = remember(this.#priorities, levels.join(':'), () => this.#file.hwcapsPriorities(levels))
    return priorities.get(hwcapLow) ?? 0
  }

  /**
   * Whether an entry that is no variant is for every CPU. The kernel that it asks for (osversion) counted until 2.35: the
   * loader looked for the same in the library's ABI tag.
   */
  #fits({ hwcapLow, hwcapHigh }: CacheEntry): boolean {
    if (atLeast(this.#loader, 40)) return hwcapLow === 0 && hwcapHigh === 0
    const { low, high } = LEGACY_HWCAPS[this.#loader.machine] ?? { low: 0, high: HWCAP_TLS }
    return (hwcapLow & ~low) === 0 && (hwcapHigh & ~high) === 0
  }
}

function isX86({ machine }: Loader): boolean {
  return machine === EM_386 || machine === EM_X86_64
}
