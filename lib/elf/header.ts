import { AppcError } from '../errors.js'
import type { Fields } from './fields.js'
import type { OpenFile } from './types.js'
import { malformed, Window } from './window.js'

/** The first 24 bytes, as they are in files of all classes: what glibc tells a foreign file by, before anything in it is right. */
export interface Start {
  /** null for what neither class, or neither encoding, has; the numbers after it are then read as little-endian. */
  readonly class: 32 | 64 | null
  readonly data: 'little' | 'big' | null
  /** The version in the identification. */
  readonly headerVersion: number
  readonly osabi: number
  readonly abiVersion: number
  /** The rest of the identification is not zero, which glibc does not take. */
  readonly padded: boolean
  /** e_type: 1 relocatable, 2 executable, 3 shared, 4 core. */
  readonly type: number
  readonly machine: number
  /** e_version, which glibc holds to be 1. */
  readonly version: number
}

/** The ELF header, decoded. Numbers are file offsets, addresses and bytes. */
export interface Identity extends Start {
  readonly class: 32 | 64
  readonly data: 'little' | 'big'
  readonly entry: number
  /** e_flags, the processor's own: on ARM the float ABI, on MIPS the ABI. */
  readonly flags: number
  readonly headerSize: number
  readonly programHeaders: Table
  readonly sectionHeaders: Table
  /** e_shstrndx as it is: which section has the sections' names. */
  readonly sectionNames: number
}

/** Where one of the two header tables lies, as the header has it. */
export interface Table {
  readonly offset: number
  readonly entrySize: number
  readonly count: number
}

export interface Header extends Identity {
  readonly segments: readonly Segment[]
}

export interface Segment {
  readonly type: number
  readonly flags: number
  readonly offset: number
  readonly address: number
  readonly physicalAddress: number
  readonly fileSize: number
  readonly memorySize: number
  readonly align: number
}

export const PT_LOAD = 1
export const PT_DYNAMIC = 2
export const PT_INTERP = 3
export const PT_NOTE = 4
export const PT_TLS = 7
export const PT_GNU_STACK = 0x6474e551

const MAGIC = 0x7f454c46
const START = 24
/** For single bytes, and what is compared with zero. */
const NO_ORDER = { little: true, wide: false }

/** Throws ELF_NOT for a file without the magic number, ELF_MALFORMED for one that ends before any header does. */
export function readStart(window: Window): Start {
  const bytes = window.fields(0, Math.min(window.size, START), NO_ORDER, 'header')
  if (bytes.length < 4 || bytes.letters(0) !== MAGIC) throw new AppcError('ELF_NOT', 'not an ELF file')
  if (bytes.length < START) throw malformed('header runs past the end of the file', 0)
  const [bits, data] = [bytes.u8(4), bytes.u8(5)]
  const fields = window.fields(0, START, { little: data !== 2, wide: false }, 'header')
  return {
    class: bits === 1 ? 32 : bits === 2 ? 64 : null,
    data: data === 1 ? 'little' : data === 2 ? 'big' : null,
    headerVersion: bytes.u8(6),
    osabi: bytes.u8(7),
    abiVersion: bytes.u8(8),
    padded: bytes.u8(9) !== 0 || bytes.u16(10) !== 0 || bytes.u32(12) !== 0,
    type: fields.u16(16),
    machine: fields.u16(18),
    version: fields.u32(20),
  }
}

/** Throws as readStart does, and ELF_MALFORMED for what ends or errs within the header. */
export function readIdentity(window: Window, start = readStart(window)): Identity {
  const { class: bits, data } = start
  if (bits === null) throw malformed('class is neither 32 nor 64 bit', 4)
  if (data === null) throw malformed('data encoding is neither little nor big endian', 5)
  if (start.headerVersion !== 1) throw malformed(`version ${start.headerVersion} is not 1`, 6)
  const wide = bits === 64
  const fields = window.fields(0, wide ? 64 : 52, { little: data === 'little', wide }, 'header')
  const tail = wide ? 48 : 36
  // A spread of so many would make an object that is a hash table, at a hundred times the cost.
  return {
    class: bits,
    data,
    headerVersion: start.headerVersion,
    osabi: start.osabi,
    abiVersion: start.abiVersion,
    padded: start.padded,
    type: start.type,
    machine: start.machine,
    version: start.version,
    entry: fields.word(24),
    flags: fields.u32(tail),
    headerSize: fields.u16(tail + 4),
    programHeaders: {
      offset: fields.word(wide ? 32 : 28),
      entrySize: fields.u16(tail + 6),
      count: fields.u16(tail + 8),
    },
    sectionHeaders: {
      offset: fields.word(wide ? 40 : 32),
      entrySize: fields.u16(tail + 10),
      count: fields.u16(tail + 12),
    },
    sectionNames: fields.u16(tail + 14),
  }
}

export function readHeader(window: Window, start = readStart(window)): Header {
  const identity = readIdentity(window, start)
  return Object.assign(identity, { segments: readSegments(window, identity) })
}

/**
 * A count of 0xffff (PN_XNUM) is taken as it is: neither the kernel nor glibc looks for a larger one in the first section
 * header, as tools do with core files.
 */
function readSegments(window: Window, identity: Identity): Segment[] {
  const { offset, entrySize, count } = identity.programHeaders
  if (count === 0) return []
  const wide = identity.class === 64
  const size = wide ? 56 : 32
  // glibc 2.36, elf/dl-load.c: any other size is an error, though the standard leaves room for it.
  if (entrySize !== size) throw malformed(`program headers of ${entrySize} bytes instead of ${size}`, wide ? 54 : 42)
  const order = { little: identity.data === 'little', wide }
  const table = window.fields(offset, count * size, order, 'program header table')
  const segments: Segment[] = []
  for (let at = 0; at < count * size; at += size) segments.push(wide ? segment64(table, at) : segment32(table, at))
  return segments
}

function segment64(table: Fields, at: number): Segment {
  return {
    type: table.u32(at),
    flags: table.u32(at + 4),
    offset: table.u64(at + 8),
    address: table.u64(at + 16),
    physicalAddress: table.u64(at + 24),
    fileSize: table.u64(at + 32),
    memorySize: table.u64(at + 40),
    align: table.u64(at + 48),
  }
}

function segment32(table: Fields, at: number): Segment {
  return {
    type: table.u32(at),
    flags: table.u32(at + 24),
    offset: table.u32(at + 4),
    address: table.u32(at + 8),
    physicalAddress: table.u32(at + 12),
    fileSize: table.u32(at + 16),
    memorySize: table.u32(at + 20),
    align: table.u32(at + 28),
  }
}

/** Opens the common part of every reader: a window and the header in it. */
export function openElf(file: OpenFile): { window: Window; header: Header } {
  const window = new Window(file)
  return { window, header: readHeader(window) }
}
