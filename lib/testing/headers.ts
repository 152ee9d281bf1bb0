import { PT_DYNAMIC, PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_NOTE, PT_TLS } from '../elf/header.js'
import { Bytes } from './bytes.js'
import { PAGE, type Placed, type Section, SHT_NOBITS } from './layout.js'
import type { Target } from './machines.js'
import type { ElfDescription } from './types.js'

const PT_PHDR = 6
const SHT_NOTE = 7
const PF = { read: 4, write: 2, execute: 1 } as const
const TYPES = { other: 1, exec: 2, dyn: 3 } as const

export function fileHeaderSize({ wide }: Target): number {
  return wide ? 64 : 52
}

export function programHeaderSize({ wide }: Target): number {
  return wide ? 56 : 32
}

function sectionHeaderSize({ wide }: Target): number {
  return wide ? 64 : 40
}

export interface FileHeader {
  readonly entry: number
  readonly segmentCount: number
  /** Where they are and how many; the last names the others. */
  readonly sectionHeaders: { readonly offset: number; readonly count: number } | null
}

export function fileHeader(description: ElfDescription, target: Target, { entry, ...rest }: FileHeader): Buffer {
  const { osabi = 0, abiVersion = 0, type = 'dyn' } = description
  const { offset, count } = rest.sectionHeaders ?? { offset: 0, count: 0 }
  return new Bytes(target.little, target.wide)
    .raw(Buffer.from('\x7fELF', 'latin1'))
    .u8(target.wide ? 2 : 1, target.little ? 1 : 2, 1, osabi, abiVersion)
    .padTo(16)
    .u16(TYPES[type], target.machine)
    .u32(1)
    .word(entry, fileHeaderSize(target), offset)
    .u32(target.flags)
    .u16(fileHeaderSize(target), programHeaderSize(target), rest.segmentCount)
    .u16(sectionHeaderSize(target), count, Math.max(0, count - 1))
    .done()
}

/** A kind of segment: the sections that it is for, all in one run. */
interface Kind {
  readonly type: number
  readonly flags: number
  readonly align: number
  /** Begins with the file, whatever it is for. */
  readonly whole?: boolean
  readonly covers: (section: Section) => boolean
}

/** The segments that these sections make. The kernel wants PT_PHDR and PT_INTERP before any PT_LOAD. */
export function segmentKinds(sections: readonly Section[], { executableStack = false }: ElfDescription): Kind[] {
  const { read, write, execute } = PF
  const named = (name: string) => (section: Section) => section.name === name
  const hasInterpreter = sections.some(named('.interp'))
  const kinds: readonly Kind[] = [
    { type: PT_INTERP, flags: read, align: 1, covers: named('.interp') },
    { type: PT_LOAD, flags: read | execute, align: PAGE, whole: true, covers: ({ access }) => access !== 'write' },
    {
      type: PT_LOAD,
      flags: read | write,
      align: PAGE,
      covers: ({ access, threadLocal }) => access === 'write' && threadLocal !== true,
    },
    { type: PT_DYNAMIC, flags: read | write, align: 8, covers: named('.dynamic') },
    { type: PT_NOTE, flags: read, align: 4, covers: ({ type }) => type === SHT_NOTE },
    { type: PT_TLS, flags: read, align: 8, covers: ({ threadLocal }) => threadLocal === true },
  ]
  const nothing = () => false
  return [
    ...(hasInterpreter ? [{ type: PT_PHDR, flags: read, align: 8, covers: nothing }] : []),
    ...kinds.filter(({ covers }) => sections.some(covers)),
    { type: PT_GNU_STACK, flags: read | write | (executableStack ? execute : 0), align: 16, covers: nothing },
  ]
}

export function programHeaders(
  kinds: readonly Kind[],
  sections: readonly Placed[],
  base: number,
  target: Target,
): Buffer {
  const { little, wide } = target
  const table = new Bytes(little, wide)
  const size = kinds.length * programHeaderSize(target)
  for (const kind of kinds) {
    const { offset, address, fileSize, memorySize } =
      kind.type === PT_PHDR
        ? { offset: fileHeaderSize(target), address: base + fileHeaderSize(target), fileSize: size, memorySize: size }
        : extent(kind, sections, base)
    table.u32(kind.type)
    if (wide) table.u32(kind.flags)
    table.word(offset, address, address, fileSize, memorySize)
    if (!wide) table.u32(kind.flags)
    table.word(kind.align)
  }
  return table.done()
}

function extent({ covers, whole = false }: Kind, sections: readonly Placed[], base: number) {
  const covered = sections.filter(covers)
  const [first] = covered
  if (first === undefined) return { offset: 0, address: 0, fileSize: 0, memorySize: 0 }
  const { offset, address } = whole ? { offset: 0, address: base } : first
  const inFile = covered.filter(({ type }) => type !== SHT_NOBITS)
  return {
    offset,
    address,
    fileSize: Math.max(offset, ...inFile.map(section => section.offset + section.size)) - offset,
    memorySize: Math.max(...covered.map(section => section.address + section.size)) - address,
  }
}
