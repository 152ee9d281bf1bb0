import { AppcError } from '../errors.js'
import type { OpenFile } from './types.js'
import { malformed, Window } from './window.js'

/** The ELF header and the program headers, decoded; numbers are file offsets, virtual addresses and sizes in bytes. */
export interface Header {
  readonly class: 32 | 64
  readonly data: 'little' | 'big'
  readonly osabi: number
  readonly abiVersion: number
  readonly machine: number
  /** e_type: 1 relocatable, 2 executable, 3 shared, 4 core. */
  readonly type: number
  readonly segments: readonly Segment[]
}

export interface Segment {
  readonly type: number
  readonly flags: number
  readonly offset: number
  readonly address: number
  readonly fileSize: number
  readonly memorySize: number
}

export const PT_LOAD = 1
export const PT_DYNAMIC = 2
export const PT_INTERP = 3
export const PT_NOTE = 4
export const PT_TLS = 7
export const PT_GNU_STACK = 0x6474e551

/** What stands before the program headers, with their place: enough for the loader to tell a foreign file by. */
export interface Identity extends Omit<Header, 'segments'> {
  readonly programHeaders: { readonly offset: number; readonly entrySize: number; readonly count: number }
}

/** Throws ELF_NOT for a file without the magic number, ELF_MALFORMED for one that ends or errs within the header. */
export function readIdentity(window: Window): Identity {
  if (window.size < 4 || window.bytes(0, 4, 'magic number').readUInt32BE(0) !== 0x7f454c46) {
    throw new AppcError('ELF_NOT', 'not an ELF file')
  }
  const ident = window.bytes(0, 16, 'identification')
  if (ident[4] !== 1 && ident[4] !== 2) throw malformed(`class ${ident[4]} is neither 32 nor 64 bit`, 4)
  if (ident[5] !== 1 && ident[5] !== 2) throw malformed(`data encoding ${ident[5]} is neither little nor big endian`, 5)
  if (ident[6] !== 1) throw malformed(`version ${ident[6]} is not 1`, 6)
  const wide = ident[4] === 2
  const fields = new Fields(window.bytes(0, wide ? 64 : 52, 'header'), ident[5] === 1, wide)
  const tail = wide ? 52 : 40
  return {
    class: wide ? 64 : 32,
    data: ident[5] === 1 ? 'little' : 'big',
    osabi: ident[7] as number,
    abiVersion: ident[8] as number,
    type: fields.u16(16),
    machine: fields.u16(18),
    programHeaders: {
      offset: fields.word(wide ? 32 : 28),
      entrySize: fields.u16(tail + 2),
      count: fields.u16(tail + 4),
    },
  }
}

export function readHeader(window: Window): Header {
  const { programHeaders, ...identity } = readIdentity(window)
  return { ...identity, segments: readSegments(window, identity, programHeaders) }
}

function readSegments(
  window: Window,
  identity: Omit<Header, 'segments'>,
  { offset, entrySize, count }: Identity['programHeaders'],
): Segment[] {
  if (count === 0) return []
  const wide = identity.class === 64
  const size = wide ? 56 : 32
  // glibc 2.36, elf/dl-load.c: any other size is an error, though the standard leaves room for it.
  if (entrySize !== size) throw malformed(`program headers of ${entrySize} bytes instead of ${size}`, wide ? 54 : 42)
  const table = new Fields(window.bytes(offset, count * size, 'program header table'), identity.data === 'little', wide)
  return Array.from({ length: count }, (_, index) => {
    const at = index * size
    return wide
      ? {
          type: table.u32(at),
          flags: table.u32(at + 4),
          offset: table.word(at + 8),
          address: table.word(at + 16),
          fileSize: table.word(at + 32),
          memorySize: table.word(at + 40),
        }
      : {
          type: table.u32(at),
          flags: table.u32(at + 24),
          offset: table.word(at + 4),
          address: table.word(at + 8),
          fileSize: table.word(at + 16),
          memorySize: table.word(at + 20),
        }
  })
}

/** Integers in a file's own byte order and word size. A read outside the bytes throws RangeError: check sizes before. */
export class Fields {
  readonly length: number
  readonly #view: DataView

  constructor(
    bytes: Buffer,
    readonly little: boolean,
    readonly wide: boolean,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.length = bytes.length
  }

  u8(offset: number): number {
    return this.#view.getUint8(offset)
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, this.little)
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, this.little)
  }

  /** Addresses above 2^53 lose their low bits; no check on a range can then pass, for no file is that large. */
  u64(offset: number): number {
    const low = this.#view.getUint32(offset + (this.little ? 0 : 4), this.little)
    const high = this.#view.getUint32(offset + (this.little ? 4 : 0), this.little)
    return high * 0x1_0000_0000 + low
  }

  word(offset: number): number {
    return this.wide ? this.u64(offset) : this.u32(offset)
  }
}

/** Opens the common part of every reader: a window and the header in it. */
export function openElf(file: OpenFile): { window: Window; header: Header } {
  const window = new Window(file)
  return { window, header: readHeader(window) }
}
