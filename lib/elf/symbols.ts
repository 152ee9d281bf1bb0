import { isAscii } from 'node:buffer'
import { DT, Dynamic } from './dynamic.js'
import type { Fields } from './fields.js'
import { openElf, PT_INTERP } from './header.js'
import type { ElfSymbols, ExportedSymbol, ImportedSymbol, OpenFile } from './types.js'
import { readDefinitions, readNeeds } from './versions.js'
import { malformed } from './window.js'

const STB_LOCAL = 0
const STB_WEAK = 2
const STT_OBJECT = 1
const STT_COMMON = 5
const STT_TLS = 6
const STT_GNU_IFUNC = 10
const STV_DEFAULT = 0
const STV_PROTECTED = 3
const SHN_ABS = 0xfff1
const VERSYM_HIDDEN = 0x8000
/** Few symbols share a bucket, but a chain that does not end is as long as its segment: it is read in pieces that grow. */
const MAX_PIECE = 1 << 16
/*
 * What a hole in a file would make endless: several times as many symbols, and as many bytes of relocations, as the largest
 * libraries have. Tables of both are read in pieces, and larger string tables are not kept twice.
 */
const MAX_SYMBOLS = 1 << 21
const MAX_RELOCATIONS = 1 << 25
const MAX_TEXT = 1 << 23
const EM_S390 = 22
const EM_ALPHA = 0x9026

/**
 * R_*_COPY of each machine: it has the loader fill the program's own copy of a library's variable. MIPS is left out: its programs
 * reach variables through the GOT, and its 64-bit relocations are packed in a way of their own.
 */
const COPY_RELOCATIONS: Readonly<Record<number, number>> = {
  3: 5,
  20: 19,
  21: 19,
  22: 9,
  40: 20,
  62: 5,
  183: 1024,
  243: 4,
}

/**
 * The dynamic symbols of an ELF file. Both lists are empty for a static file. Throws like readElf; does not close the file.
 */
export function readSymbols(file: OpenFile): ElfSymbols {
  const { window, header } = openElf(file)
  const dynamic = Dynamic.read(window, header)
  const address = dynamic?.value(DT.SYMTAB) ?? null
  if (dynamic === null || address === null) return { imports: [], exports: [] }
  const copied = copiedSymbols(dynamic)
  const count = countSymbols(dynamic, address)
  if (count === 0) return { imports: [], exports: [] }
  if (count > MAX_SYMBOLS) throw malformed(`${count} symbols`, dynamic.offset)
  return decodeSymbols(dynamic, address, count, copied)
}

function symbolSize(dynamic: Dynamic): number {
  return dynamic.order.wide ? 24 : 16
}

interface Version {
  readonly name: string
  /** The soname that is asked for it; undefined for a version that the file defines itself. */
  readonly file?: string
}

function decodeSymbols(dynamic: Dynamic, address: number, count: number, copied: ReadonlySet<number>): ElfSymbols {
  const wide = dynamic.order.wide
  const size = symbolSize(dynamic)
  const names = stringTable(dynamic)
  const versions = versionTable(dynamic)
  const versymAddress = dynamic.value(DT.VERSYM)
  const versym =
    versymAddress === null || versions.size === 0 ? null : dynamic.fields(versymAddress, count * 2, 'version symbols')
  const imports: ImportedSymbol[] = []
  const exports: ExportedSymbol[] = []
  const step = Math.floor(MAX_PIECE / size)
  let table = readPiece(0)
  function readPiece(first: number): Fields {
    return dynamic.fields(address + first * size, Math.min(step, count - first) * size, 'symbol table')
  }
  for (let index = 1; index < count; index++) {
    if (index % step === 0) table = readPiece(index)
    const at = (index % step) * size
    const info = table.u8(at + (wide ? 4 : 12))
    const binding = info >> 4
    const nameAt = table.u32(at)
    if (binding === STB_LOCAL || nameAt === 0) continue
    const name = names(nameAt)
    const section = table.u16(at + (wide ? 6 : 14))
    const raw = versym === null ? 0 : versym.u16(index * 2)
    const version = versions.get(raw & 0x7fff)
    const weak = binding === STB_WEAK
    const bytes = table.word(at + (wide ? 16 : 8))
    // A copied variable is the program's by its symbol and the library's by its value.
    if (section === 0 || copied.has(index))
      imports.push(importOf(name, version, weak, copied.has(index) ? bytes : undefined))
    if (section === 0) continue
    const type = info & 15
    const visibility = table.u8(at + (wide ? 5 : 13)) & 3
    // What check_match and do_lookup_x of glibc's elf/dl-lookup.c leave out: hidden ones, odd types, and undefined values.
    if (visibility !== STV_DEFAULT && visibility !== STV_PROTECTED) continue
    if (type > 2 && type !== STT_COMMON && type !== STT_TLS && type !== STT_GNU_IFUNC) continue
    if (table.word(at + (wide ? 8 : 4)) === 0 && section !== SHN_ABS && type !== STT_TLS) continue
    // Linkers mark each version that is defined by an absolute symbol of its name; nothing refers to those.
    if (section === SHN_ABS && name === version?.name) continue
    const sized = type === STT_OBJECT || type === STT_COMMON || type === STT_TLS
    exports.push(exportOf(name, version, (raw & VERSYM_HIDDEN) !== 0, weak, sized ? bytes : undefined))
  }
  return { imports, exports }
}

// Fields are set one by one: with spread objects, this takes three times as long, and libcrypto has 5,500 symbols.
function importOf(
  name: string,
  version: Version | undefined,
  weak: boolean,
  copySize: number | undefined,
): ImportedSymbol {
  const symbol: Mutable<ImportedSymbol> = { name }
  if (version !== undefined) symbol.version = version.name
  if (version?.file !== undefined) symbol.file = version.file
  if (weak) symbol.weak = true
  if (copySize !== undefined) symbol.copySize = copySize
  return symbol
}

function exportOf(
  name: string,
  version: Version | undefined,
  hidden: boolean,
  weak: boolean,
  objectSize: number | undefined,
): ExportedSymbol {
  const symbol: Mutable<ExportedSymbol> = { name }
  if (version !== undefined) symbol.version = version.name
  if (hidden) symbol.hidden = true
  if (weak) symbol.weak = true
  if (objectSize !== undefined) symbol.objectSize = objectSize
  return symbol
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Names by their offset in the string table, decoded from one buffer. */
function stringTable(dynamic: Dynamic): (offset: number) => string {
  const { start, end } = dynamic.strings()
  const bytes = dynamic.window.bytes(start, end - start, 'string table')
  let budget = 16 * bytes.length + 65_536
  // Slices of one string are much cheaper than a decoding each; only where a character is one byte do offsets agree.
  const text = bytes.length <= MAX_TEXT && isAscii(bytes) ? bytes.toString('latin1') : null
  return offset => {
    const stop = offset >= bytes.length ? -1 : text === null ? bytes.indexOf(0, offset) : text.indexOf('\0', offset)
    if (stop === -1) throw malformed('symbol name outside the string table', start + offset)
    // Symbols share names by version and suffix; a table made to repeat one long name for each symbol is an attack.
    budget -= stop - offset
    if (budget < 0) throw malformed('symbol names repeat without end', start + offset)
    return text === null ? bytes.toString('utf8', offset, stop) : text.slice(offset, stop)
  }
}

/** Versions by the index that DT_VERSYM refers to. The base version stands for none. */
function versionTable(dynamic: Dynamic): Map<number, Version> {
  const table = new Map<number, Version>()
  for (const { index, name, base } of readDefinitions(dynamic)) if (!base && index > 1) table.set(index, { name })
  for (const { index, version, file } of readNeeds(dynamic)) if (index > 1) table.set(index, { name: version, file })
  return table
}

/**
 * Nothing says how many dynamic symbols there are. DT_HASH has as many chains; DT_GNU_HASH ends with the last exported
 * symbol, which is the last of all, but where nothing is exported it tells nothing: then only symbols that a relocation
 * names can matter.
 */
function countSymbols(dynamic: Dynamic, symbols: number): number {
  const hash = dynamic.value(DT.HASH)
  if (hash !== null) {
    // The second of its words, which these two machines have of 64 bits (glibc, Elf_Symndx in sysdeps/*/bits/elfclass.h).
    const machine = dynamic.header.machine
    const wide = dynamic.order.wide && (machine === EM_S390 || machine === EM_ALPHA)
    const words = dynamic.fields(hash, wide ? 16 : 8, 'hash table')
    return wide ? words.u64(8) : words.u32(4)
  }
  const gnuHash = dynamic.value(DT.GNU_HASH)
  const hashed = gnuHash === null ? 0 : countHashed(dynamic, gnuHash, symbols)
  return hashed > 0 ? hashed : 1 + highestRelocated(dynamic)
}

function countHashed(dynamic: Dynamic, address: number, symbols: number): number {
  const header = dynamic.fields(address, 16, 'hash table')
  const bucketCount = header.u32(0)
  const symbolOffset = header.u32(4)
  const bucketsAt = address + 16 + header.u32(8) * (dynamic.order.wide ? 8 : 4)
  if (bucketCount === 0) return 0
  if (bucketCount > MAX_SYMBOLS)
    throw malformed(`hash table of ${bucketCount} buckets`, dynamic.locate(address, 'hash table').offset)
  const buckets = dynamic.fields(bucketsAt, bucketCount * 4, 'hash buckets')
  let last = 0
  for (let i = 0; i < bucketCount; i++) last = Math.max(last, buckets.u32(i * 4))
  if (last < symbolOffset || last === 0) return 0
  const chainsAt = bucketsAt + bucketCount * 4
  // The chain of the highest bucket holds the last symbol; its end has the low bit set.
  const room = Math.floor(dynamic.locate(symbols, 'symbol table').available / symbolSize(dynamic))
  const limit = Math.min(room, MAX_SYMBOLS)
  for (let index = last, piece = 64; index < limit; piece = Math.min(4 * piece, MAX_PIECE)) {
    const at = chainsAt + (index - symbolOffset) * 4
    const rest = Math.ceil(dynamic.locate(at, 'hash chain').available / 4)
    const chain = dynamic.fields(at, 4 * Math.min(piece, limit - index, rest), 'hash chain')
    for (let offset = 0; offset < chain.length; offset += 4, index++)
      if ((chain.u32(offset) & 1) === 1) return index + 1
  }
  throw malformed('hash chain that outruns the symbol table', dynamic.locate(address, 'hash table').offset)
}

/** Symbol index and type of each relocation, in whatever tables there are; read in pieces, for there may be millions. */
function eachRelocation(dynamic: Dynamic, visit: (symbol: number, type: number) => void): void {
  const wide = dynamic.order.wide
  const isRela = dynamic.value(DT.PLTREL) === DT.RELA
  const tables = [
    { at: DT.RELA, size: DT.RELASZ, entry: wide ? 24 : 12 },
    { at: DT.REL, size: DT.RELSZ, entry: wide ? 16 : 8 },
    { at: DT.JMPREL, size: DT.PLTRELSZ, entry: (wide ? 16 : 8) + (isRela ? (wide ? 8 : 4) : 0) },
  ]
  let total = 0
  for (const { at, size, entry } of tables) {
    const address = dynamic.value(at)
    const length = dynamic.value(size) ?? 0
    if (address === null || length === 0) continue
    total += length
    if (total > MAX_RELOCATIONS) throw malformed(`relocations of ${total} bytes`, dynamic.offset)
    const count = Math.floor(length / entry)
    const step = Math.floor(MAX_PIECE / entry)
    for (let index = 0; index < count; index += step) {
      const size = Math.min(step, count - index) * entry
      const table = dynamic.fields(address + index * entry, size, 'relocations')
      for (let at = 0; at < size; at += entry) {
        if (wide)
          visit(table.u32(at + (dynamic.order.little ? 12 : 8)), table.u32(at + (dynamic.order.little ? 8 : 12)))
        else visit(table.u32(at + 4) >>> 8, table.u8(at + (dynamic.order.little ? 4 : 7)))
      }
    }
  }
}

function highestRelocated(dynamic: Dynamic): number {
  let highest = 0
  eachRelocation(dynamic, symbol => {
    if (symbol > highest) highest = symbol
  })
  return highest
}

/** Indices of the symbols with a copy relocation. Only programs have them, and only programs are searched. */
function copiedSymbols(dynamic: Dynamic): Set<number> {
  const copied = new Set<number>()
  const copy = COPY_RELOCATIONS[dynamic.header.machine]
  const isProgram = dynamic.header.type === 2 || dynamic.header.segments.some(({ type }) => type === PT_INTERP)
  if (copy === undefined || !isProgram) return copied
  eachRelocation(dynamic, (symbol, type) => {
    if (type === copy) copied.add(symbol)
  })
  return copied
}
