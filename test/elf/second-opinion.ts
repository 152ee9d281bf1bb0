import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import t from 'tap'
import { type Header, openElf } from '../../lib/elf/header.js'
import { readSections, type Section } from '../../lib/elf/sections.js'
import { machineFiles, withFile } from '../support/elf-files.js'

/**
 * The npm package elfy on the header, segments and sections of real 64-bit files. All fields but these are compared, for elfy 1.0.0
 * reads them at a wrong place; what it says is held against what stands there:
 * - `osabi` is byte 6 of the file, the version of the identification, and not 7
 * - `abiversion` is byte 7, the OS ABI, and not 8
 * - of a section, `addralign` is what begins at byte 46 of its 64-bit header, and not 48
 * - of a section, `entsize` is what begins at byte 54, and not 56
 * Types of segments that it does not know (GNU_PROPERTY is one) it leaves undefined: there only the other fields are compared.
 * Alignment and entry size of sections are compared with readelf, in sections.ts.
 */
const { constants, parse } = createRequire(import.meta.url)('elfy') as Elfy

/** It has no types of its own. */
interface Elfy {
  parse(bytes: Buffer): Fields & { readonly body: { readonly programs: Fields[]; readonly sections: Fields[] } }
  readonly constants: Readonly<Record<string, Readonly<Record<number, string>>>>
}
type Fields = Readonly<Record<string, unknown>>

function headerOf(header: Header, bytes: Buffer): Fields {
  return {
    class: String(header.class),
    endian: header.data === 'little' ? 'lsb' : 'msb',
    version: header.version,
    osabi: constants.osabi?.[bytes[6] as number],
    abiversion: constants.abiversion?.[header.osabi],
    type: constants.type?.[header.type],
    machine: constants.machine?.[header.machine],
    entry: header.entry,
    phoff: header.programHeaders.offset,
    shoff: header.sectionHeaders.offset,
    flags: header.flags,
    ehsize: header.headerSize,
    phentsize: header.programHeaders.entrySize,
    phnum: header.programHeaders.count,
    shentsize: header.sectionHeaders.entrySize,
    shnum: header.sectionHeaders.count,
    shstrndx: header.sectionNames,
  }
}

function segmentsOf(header: Header): Fields[] {
  return header.segments.map(segment => ({
    type: constants.entryType?.[segment.type],
    offset: segment.offset,
    vaddr: segment.address,
    paddr: segment.physicalAddress,
    filesz: segment.fileSize,
    memsz: segment.memorySize,
    flags: flagNames(segment.flags, constants.entryFlags),
    align: segment.align,
  }))
}

function sectionsOf(sections: readonly Section[], header: Header, bytes: Buffer): Fields[] {
  return sections.map((section, index) => {
    const at = header.sectionHeaders.offset + index * header.sectionHeaders.entrySize
    return {
      name: section.name,
      type: constants.sectType?.[section.type] ?? section.type,
      flags: flagNames(section.flags, constants.sectFlags),
      addr: section.address,
      off: section.offset,
      size: section.size,
      link: section.link,
      info: section.info,
      addralign: Number(bytes.readBigUInt64LE(at + 46)),
      entsize: Number(bytes.readBigUInt64LE(at + 54)),
    }
  })
}

function flagNames(flags: number, names: Readonly<Record<number, string>> = {}): Fields {
  const bits = Array.from({ length: 32 }, (_, index) => 1 << index).filter(bit => flags & bit)
  return Object.fromEntries(bits.map(bit => [names[bit] ?? String(bit), true]))
}

/** Without the bytes that offset and size say already. */
function withoutData(list: readonly Fields[]): Fields[] {
  return list.map(({ data, ...fields }) => fields)
}

t.test('real files', async t => {
  let files = 0
  let segments = 0
  let sections = 0
  for (const path of machineFiles(560)) {
    const ours = withFile(path, file => {
      const { window, header } = openElf(file)
      return { header, sections: readSections(window, header) }
    })
    // It wants section names, so section headers.
    if (ours.header.class !== 64 || ours.sections.length === 0) continue
    const bytes = readFileSync(path)
    const { body, ...header } = parse(bytes)
    t.equal(lines([headerOf(ours.header, bytes)]), lines([header]), `${path}: header`)
    t.equal(lines(segmentsOf(ours.header)), lines(withoutData(body.programs)), `${path}: segments`)
    t.equal(
      lines(sectionsOf(ours.sections, ours.header, bytes)),
      lines(withoutData(body.sections)),
      `${path}: sections`,
    )
    files++
    segments += body.programs.length
    sections += body.sections.length
  }
  t.ok(files >= 500, `${files} files`)
  t.comment(`${files} files: ${segments} segments, ${sections} sections`)
})

/** t.same would take a minute for them all. */
function lines(list: readonly Fields[]): string {
  return list.map(fields => JSON.stringify(fields)).join('\n')
}
