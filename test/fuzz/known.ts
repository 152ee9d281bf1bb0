import { DT } from '../../lib/elf/dynamic.js'
import { PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_NOTE } from '../../lib/elf/header.js'
import { ElfBytes } from './elf-bytes.js'
import { Random } from './random.js'
import { fuzzCache, fuzzElf, fuzzLoader } from './subjects.js'

/**
 * Inputs that are nasty in a way of their own; most have once made a reader hang or fill memory. Each is as small as it can be,
 * and where its size matters, the rest of the file is a hole.
 */
export interface Known {
  readonly name: string
  readonly run: () => void
}

const TERABYTE = 2 ** 40
const HEADER = 64
const PROGRAM_HEADER = 56
/** Where the dynamic section and what it leads to are put, in the file and in memory. */
const DYNAMIC = 0x1000
const DATA = 0x2_0000

interface Shape {
  /** Of what is written. */
  readonly length?: number
  /** Of the file, if there is a hole. */
  readonly size?: number
  readonly segments?: readonly (readonly [type: number, offset: number, size: number])[]
  readonly dynamic?: readonly (readonly [tag: number, value: number])[]
  readonly dynamicSize?: number
  readonly more?: (out: ElfBytes) => void
}

/** A 64-bit little-endian library, all of it loaded at address 0. */
function elf(shape: Shape): void {
  const { length = DATA + 0x1_0000, dynamic = [], more } = shape
  const size = shape.size ?? length
  const out = new ElfBytes(Buffer.alloc(length), true, true)
  const segments = [
    ...(shape.segments ?? []),
    [PT_LOAD, 0, size] as const,
    [PT_DYNAMIC, DYNAMIC, shape.dynamicSize ?? (dynamic.length + 1) * 16] as const,
  ]
  out.bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  out.u16(16, 3)
  out.u16(18, 62)
  // A table that would run into the dynamic section stands at the end.
  const table =
    HEADER + segments.length * PROGRAM_HEADER <= DYNAMIC ? HEADER : length - segments.length * PROGRAM_HEADER
  out.word(32, table)
  out.u16(54, PROGRAM_HEADER)
  out.u16(56, segments.length)
  for (const [index, [type, offset, bytes]] of segments.entries()) {
    const at = table + index * PROGRAM_HEADER
    out.u32(at, type)
    for (const [field, value] of [offset, offset, offset, bytes, bytes].entries()) out.word(at + 8 * (field + 1), value)
  }
  for (const [index, [tag, value]] of dynamic.entries()) {
    out.word(DYNAMIC + index * 16, tag)
    out.word(DYNAMIC + index * 16 + 8, value)
  }
  more?.(out)
  fuzzElf(out.bytes, size)
}

const STRINGS = [
  [DT.STRTAB, DATA],
  [DT.STRSZ, 64],
] as const

/** Version needs, each entry `step` bytes after the one before, and each with one version at `aux` from it. */
function needs(out: ElfBytes, count: number, step: number, aux: number): void {
  for (let index = 0; index < count; index++) {
    const at = DATA + 64 + index * step
    out.u16(at, 1)
    out.u16(at + 2, 1)
    out.u32(at + 8, aux)
    out.u32(at + 12, index === count - 1 ? 0 : step)
  }
}

/** A string as long as one may be, and the file's shape around it. */
function longString(dynamic: Shape['dynamic'], more?: Shape['more']): Shape {
  return {
    length: 0x10_0000,
    size: TERABYTE,
    dynamic: [[DT.STRTAB, DATA], [DT.STRSZ, 16_385], ...(dynamic ?? [])],
    more(out) {
      out.bytes.fill(0x61, DATA, DATA + 16_000)
      more?.(out)
    },
  }
}

/** Functions, since some shapes are themselves large. */
const ELF: Readonly<Record<string, () => Shape>> = {
  'a dynamic section of 2^63 bytes': () => ({ dynamicSize: 2 ** 63, dynamic: [[DT.NEEDED, 0]] }),
  'a dynamic section without an end': () => ({
    size: TERABYTE,
    dynamicSize: TERABYTE / 2,
    length: DATA + 0x8_0000,
    more: out => out.bytes.fill(1, DYNAMIC),
  }),
  'a string table of a terabyte': () => ({
    size: TERABYTE,
    dynamic: [
      [DT.STRTAB, DATA],
      [DT.STRSZ, TERABYTE - DATA],
      [DT.SYMTAB, DATA],
      [DT.HASH, DATA + 64],
      [DT.NEEDED, 2 ** 39],
    ],
    more: out => out.u32(DATA + 68, 2),
  }),
  'a string table of 2^64 bytes': () => ({
    dynamic: [
      [DT.STRTAB, DATA],
      [DT.STRSZ, 2 ** 64],
      [DT.NEEDED, 1],
    ],
  }),
  'symbols without end by DT_HASH': () => ({
    size: TERABYTE,
    dynamic: [...STRINGS, [DT.SYMTAB, DATA], [DT.HASH, DATA + 64]],
    more: out => out.u32(DATA + 68, 0xffff_ffff),
  }),
  'as many symbols as are still read': () => ({
    size: TERABYTE,
    dynamic: [
      [DT.STRTAB, DATA],
      [DT.STRSZ, 2 ** 26],
      [DT.SYMTAB, DATA],
      [DT.HASH, DATA + 64],
      [DT.VERSYM, DATA],
    ],
    more: out => out.u32(DATA + 68, 2 ** 21),
  }),
  'a hash table of 2^32 buckets': () => ({
    size: TERABYTE,
    dynamic: [...STRINGS, [DT.SYMTAB, DATA], [DT.GNU_HASH, DATA + 64]],
    more: out => out.u32(DATA + 64, 0xffff_ffff),
  }),
  'a hash chain without an end': () => ({
    size: TERABYTE,
    dynamic: [...STRINGS, [DT.SYMTAB, DATA], [DT.GNU_HASH, DATA + 64]],
    more(out) {
      out.u32(DATA + 64, 1)
      out.u32(DATA + 68, 1)
      out.u32(DATA + 80, 1)
    },
  }),
  'relocations without an end': () => ({
    size: TERABYTE,
    dynamic: [
      ...STRINGS,
      [DT.SYMTAB, DATA],
      [DT.RELA, DATA],
      [DT.RELASZ, 2 ** 39],
      [DT.REL, DATA],
      [DT.RELSZ, 2 ** 39],
    ],
  }),
  'as many relocations as are still read': () => ({
    size: TERABYTE,
    segments: [[PT_INTERP, DATA, 1]],
    dynamic: [
      ...[...STRINGS, [DT.SYMTAB, DATA] as const],
      ...[[DT.RELA, DATA] as const, [DT.RELASZ, 2 ** 24] as const],
      ...[[DT.JMPREL, DATA] as const, [DT.PLTRELSZ, 2 ** 24] as const],
    ],
  }),
  'a lot of everything at once': () => ({
    size: TERABYTE,
    segments: [[PT_INTERP, DATA, 1]],
    dynamic: [
      ...[[DT.STRTAB, DATA] as const, [DT.STRSZ, 2 ** 25] as const, [DT.SYMTAB, DATA + 64] as const],
      ...[[DT.GNU_HASH, DATA + 4096] as const, [DT.VERSYM, DATA + 64] as const],
      ...[[DT.VERDEF, DATA + 64] as const, [DT.VERDEFNUM, 1] as const],
      ...[[DT.RELA, DATA + 8192] as const, [DT.RELASZ, 2 ** 24] as const],
      ...[[DT.JMPREL, DATA + 8192] as const, [DT.PLTRELSZ, 2 ** 24] as const],
    ],
    more(out) {
      out.u16(DATA + 64, 1)
      out.u16(DATA + 68, 2)
      out.u32(DATA + 4096, 1)
      out.u32(DATA + 4096 + 4, 1)
      out.u32(DATA + 8192 + 12, 2 ** 21 - 1)
    },
  }),
  'a version need that is its own version': () => ({
    dynamic: [...STRINGS, [DT.VERNEED, DATA + 64], [DT.VERNEEDNUM, 65_535]],
    more(out) {
      out.u16(DATA + 64, 1)
      out.u16(DATA + 66, 65_535)
      out.u32(DATA + 76, 1)
    },
  }),
  'version needs that overlap': () => ({
    length: DATA + 0x4_0000,
    dynamic: [...STRINGS, [DT.VERNEED, DATA + 64], [DT.VERNEEDNUM, 32_767]],
    more: out => needs(out, 8000, 16, 16),
  }),
  'version needs on a page each': () => ({
    length: DATA + 8000 * 4096,
    size: TERABYTE,
    dynamic: [...STRINGS, [DT.VERNEED, DATA + 64], [DT.VERNEEDNUM, 32_767]],
    more: out => needs(out, 8000, 4096, 0x7000_0000),
  }),
  'version needs in a file of 30,000 loaded segments': () => ({
    length: DATA + 0x28_0000,
    segments: Array.from({ length: 30_000 }, () => [PT_LOAD, 0, 1] as const),
    dynamic: [...STRINGS, [DT.VERNEED, DATA + 64], [DT.VERNEEDNUM, 32_767]],
    more: out => needs(out, 32_000, 16, 16),
  }),
  'a long name needed thousands of times': () =>
    longString(Array.from({ length: 10_000 }, () => [DT.NEEDED, 0] as const)),
  'a long version needed thousands of times': () =>
    longString(
      [
        [DT.VERNEED, DATA + 0x8000],
        [DT.VERNEEDNUM, 32_767],
      ],
      out => {
        for (let at = DATA + 0x8000; at < out.bytes.length; at += 16) {
          out.u16(at, 1)
          out.u16(at + 2, 1)
          out.u32(at + 8, 16)
          out.u32(at + 12, 16)
        }
      },
    ),
  'a thousand of each tag': () => ({
    dynamic: [...Object.values(DT), ...Object.values(DT)].flatMap(tag =>
      Array.from({ length: 200 }, () => [tag, tag === DT.STRTAB ? DATA : 1] as const),
    ),
  }),
  '30,000 segments of notes': () => ({
    length: 0x30_0000,
    segments: Array.from({ length: 30_000 }, () => [PT_NOTE, DATA, 65_536] as const),
  }),
  '30,000 segments of one large note': () => ({
    length: 0x30_0000,
    segments: Array.from({ length: 30_000 }, () => [PT_NOTE, DATA, 65_536] as const),
    more(out) {
      out.u32(DATA, 4)
      out.u32(DATA + 4, 65_520)
      out.u32(DATA + 8, 0x407c0c0a)
      out.bytes.write('FDO\0[', DATA + 12)
      out.bytes.fill('[', DATA + 16, DATA + 65_536)
    },
  }),
  'as many section headers as are still read': () => ({
    size: TERABYTE,
    more(out) {
      out.word(40, DATA)
      out.u16(58, 64)
      out.word(DATA + 32, 2 ** 17)
    },
  }),
  'section headers without an end': () => ({
    size: TERABYTE,
    more(out) {
      out.word(40, DATA)
      out.u16(58, 64)
      out.word(DATA + 32, 2 ** 34)
    },
  }),
}

const LONG = 16 * 1024 * 1024 - 4096

/** A file that passes for ELF, filled up with one text. */
function loaderOf(start: string, repeated: string, times: number): () => void {
  return () => {
    const bytes = Buffer.alloc(LONG / 4, start + repeated.repeat(times))
    bytes.fill(0, 0, HEADER)
    bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
    fuzzLoader(bytes)
  }
}

/** A cache as large as is read, all of whose entries have the name and path that stand at the end. */
function cacheOf(name: string, hwcap: number): () => void {
  return () => {
    const bytes = Buffer.alloc(LONG)
    bytes.write('glibc-ld.so.cache1.1')
    const strings = LONG - name.length - 1
    const count = Math.floor((strings - 48) / 24)
    bytes.writeUInt32LE(count, 20)
    for (let index = 0; index < count; index++) {
      const at = 48 + index * 24
      bytes.writeUInt32LE(0x303, at)
      bytes.writeUInt32LE(strings, at + 4)
      bytes.writeUInt32LE(strings, at + 8)
      bytes.writeUInt32LE(hwcap, at + 20)
    }
    bytes.write(name, strings)
    fuzzCache(new Random(0), bytes)
  }
}

export const KNOWN: readonly Known[] = [
  ...Object.entries(ELF).map(([name, shape]) => ({ name, run: () => elf(shape()) })),
  { name: 'a loader of library directories', run: loaderOf('/lib', '', 0) },
  { name: 'a loader of many directories', run: loaderOf('\0/lib/', '', 0) },
  { name: 'a loader of many lists of directories', run: loaderOf('\0/lib/\0x', '', 0) },
  { name: 'a loader of one long name', run: loaderOf('', 'a', 1) },
  { name: 'a loader of one long list file', run: loaderOf('musl libc\0%.*s/etc/ld-musl-', 'a', 2 ** 21) },
  { name: 'a loader of a long $LIB', run: loaderOf('\0LIB\0lib', 'a', 2 ** 21) },
  { name: 'a loader of a long version', run: loaderOf('stable release version ', '9', 2 ** 21) },
  { name: 'a cache of one name', run: cacheOf('libb.so', 0) },
  { name: 'a cache of one name’s variants', run: cacheOf('liba.so.1', 1 << 30) },
  { name: 'a cache of one long number', run: cacheOf(`/${'0'.repeat(2 ** 20)}`, 0) },
  { name: 'a cache of digits', run: cacheOf('0'.repeat(2 ** 20), 1 << 30) },
  { name: 'a cache of long paths', run: cacheOf(`/${'a'.repeat(4000)}`, 0) },
]

/** Made-up inputs by kind and number that once failed. They mean something else when the maker of their kind changes. */
export const SEEDS: readonly (readonly [kind: string, seed: number])[] = [['hole-elf', 630_951_002]]
