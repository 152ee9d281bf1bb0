import type { Fields } from './fields.js'
import { type Header, openElf, PT_DYNAMIC, PT_INTERP } from './header.js'
import type { OpenFile } from './types.js'
import { malformed, type Window } from './window.js'

export interface Section {
  readonly name: string
  readonly type: number
  readonly flags: number
  readonly address: number
  readonly offset: number
  readonly size: number
  readonly link: number
  readonly info: number
  readonly align: number
  readonly entrySize: number
}

const SHT_NOBITS = 8
const SHF_ALLOC = 2
const SHF_TLS = 0x400
/** Twice what fits into the header's own count; in a file with a hole, any number does. */
const MAX_SECTIONS = 1 << 17
/** e_shstrndx that says: see sh_link of the first section header. */
const SHN_XINDEX = 0xffff

/**
 * The section headers, which loading never needs; a stripped file has none. What they describe is not read, but for their
 * names.
 */
export function readSections(window: Window, header: Header): Section[] {
  const table = readTable(window, header)
  if (table === null) return []
  const { fields, size } = table
  const first = sectionAt(fields, 0)
  const index = header.sectionNames === SHN_XINDEX ? first.link : header.sectionNames
  if (index * size >= fields.length)
    throw malformed(`section names in section ${index}, which is not there`, table.fields.wide ? 62 : 50)
  const names = sectionAt(fields, index * size)
  const sections: Section[] = []
  for (let at = 0; at < fields.length; at += size) {
    const name =
      index === 0 ? '' : window.string(names.offset + fields.u32(at), names.offset + names.size, 'section name')
    sections.push({ name, ...sectionAt(fields, at) })
  }
  return sections
}

/**
 * A separate debug file (objcopy --only-keep-debug, eu-strip -f): its headers are those of the file it was taken from, but
 * the bytes that the loader would need are left out, and only the section headers tell: they are of type SHT_NOBITS. Throws like
 * readElf; does not close the file.
 */
export function isDebugFile(file: OpenFile): boolean {
  const { window, header } = openElf(file)
  // One of each, as the loader takes them: a product of all segments and all sections would be too much work.
  const needed = [
    header.segments.findLast(({ type }) => type === PT_DYNAMIC),
    header.segments.find(({ type }) => type === PT_INTERP),
  ].filter(segment => segment !== undefined)
  if (needed.length === 0) return false
  const table = readTable(window, header)
  if (table === null) return false
  for (let at = 0; at < table.fields.length; at += table.size) {
    const { type, flags, address, size } = sectionAt(table.fields, at)
    // .tbss has no place of its own: its addresses are those of the sections after it.
    if (type !== SHT_NOBITS || (flags & (SHF_ALLOC | SHF_TLS)) !== SHF_ALLOC) continue
    if (needed.some(segment => segment.address >= address && segment.address < address + size)) return true
  }
  return false
}

/** The table's bytes and the size of one entry; null where there are no section headers. */
function readTable(window: Window, header: Header): { readonly fields: Fields; readonly size: number } | null {
  const { offset, entrySize, count } = header.sectionHeaders
  if (offset === 0) return null
  const wide = header.class === 64
  const size = wide ? 64 : 40
  if (entrySize !== size) throw malformed(`section headers of ${entrySize} bytes instead of ${size}`, wide ? 58 : 46)
  const order = { little: header.data === 'little', wide }
  const read = (entries: number) => window.fields(offset, entries * size, order, 'section header table')
  // A count that does not fit into 16 bits is the size of the first, empty section.
  const entries = count === 0 ? sectionAt(read(1), 0).size : count
  if (entries > MAX_SECTIONS) throw malformed(`${entries} sections`, offset)
  return entries === 0 ? null : { fields: read(entries), size }
}

function sectionAt(table: Fields, at: number): Omit<Section, 'name'> {
  return table.wide
    ? {
        type: table.u32(at + 4),
        flags: table.u64(at + 8),
        address: table.u64(at + 16),
        offset: table.u64(at + 24),
        size: table.u64(at + 32),
        link: table.u32(at + 40),
        info: table.u32(at + 44),
        align: table.u64(at + 48),
        entrySize: table.u64(at + 56),
      }
    : {
        type: table.u32(at + 4),
        flags: table.u32(at + 8),
        address: table.u32(at + 12),
        offset: table.u32(at + 16),
        size: table.u32(at + 20),
        link: table.u32(at + 24),
        info: table.u32(at + 28),
        align: table.u32(at + 32),
        entrySize: table.u32(at + 36),
      }
}
