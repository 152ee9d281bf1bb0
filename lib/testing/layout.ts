import { alignUp, Bytes, StringTable } from './bytes.js'
import type { Target } from './machines.js'
import type { SectionPlace } from './symbols.js'

/** One section, which is also what segments are made of. */
export interface Section {
  readonly name: string
  /** SHT_* */
  readonly type: number
  readonly access: 'read' | 'execute' | 'write'
  readonly align: number
  /** Its bytes, which may hold addresses; so it is asked for twice, at first for its size alone. */
  readonly bytes: (placeOf: SectionPlace) => Buffer
  /** SHT_NOBITS: the size in memory. */
  readonly memory?: number
  readonly threadLocal?: boolean
  readonly entrySize?: number
  /** Another section by name, and a number, in whatever sense the type gives them. */
  readonly link?: string
  readonly info?: number
}

export interface Placed extends Section {
  readonly offset: number
  readonly address: number
  readonly size: number
}

export interface Layout {
  readonly sections: readonly Placed[]
  readonly placeOf: SectionPlace
}

/**
 * The largest page that any Linux has. The writable segment begins that much further in memory than in the file: so both
 * segments are mapped from one run of bytes without a gap, and the page that they share is mapped twice.
 */
export const PAGE = 0x1_0000
export const SHT_NOBITS = 8

/** Gives each section its place: what is only read, then what is written. */
export function layOut(sections: readonly Section[], start: number, base: number): Layout {
  const unknown: SectionPlace = () => ({ address: 0, index: 0 })
  const placed: Placed[] = []
  const writable = (section: Section) => section.access === 'write'
  let offset = start
  /** What sections without bytes add in memory behind the file's end. */
  let beyond = 0
  for (const section of [...sections.filter(s => !writable(s)), ...sections.filter(writable)]) {
    const bits = section.type !== SHT_NOBITS
    const size = bits ? section.bytes(unknown).length : (section.memory ?? 0)
    const shift = base + (writable(section) ? PAGE : 0)
    offset = alignUp(offset, section.align)
    placed.push({ ...section, offset, size, address: shift + offset + beyond })
    if (bits) offset += size
    else if (section.threadLocal !== true) beyond += alignUp(size, 16)
  }
  const indices = new Map(placed.map(({ name }, index) => [name, index]))
  const placeOf: SectionPlace = name => {
    const index = indices.get(name) as number
    return { address: (placed[index] as Placed).address, index: index + 1 }
  }
  return { sections: placed, placeOf }
}

/** The section headers and the table of their names, to be put at the end of a file that is `end` bytes long so far. */
export function sectionHeaders(layout: Layout, end: number, { little, wide }: Target) {
  const names = new StringTable()
  const flags = { read: 2, execute: 2 | 4, write: 2 | 1 }
  const table = new Bytes(little, wide).padTo(wide ? 64 : 40)
  for (const { name, type, access, threadLocal = false, address, offset, size, ...rest } of layout.sections) {
    const { link, info = 0, align, entrySize = 0 } = rest
    table.u32(names.add(name), type).word(flags[access] | (threadLocal ? 0x400 : 0), address, offset, size)
    table.u32(link === undefined ? 0 : layout.placeOf(link).index, info).word(align, entrySize)
  }
  const name = names.add('.shstrtab')
  const text = names.done()
  table.u32(name, 3).word(0, 0, end, text.length).u32(0, 0).word(1, 0)
  const offset = alignUp(end + text.length, 8)
  const tail = new Bytes(little, wide)
    .raw(text)
    .padTo(offset - end)
    .raw(table.done())
    .done()
  return { offset, count: layout.sections.length + 2, tail }
}
