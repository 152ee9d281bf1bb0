import { AppcError } from '../errors.js'
import { INTERPRETERS } from '../loader/loader.js'
import { Bytes } from './bytes.js'
import { dynamicSections } from './dynamic.js'
import { fileHeader, fileHeaderSize, programHeaderSize, programHeaders, segmentKinds } from './headers.js'
import { layOut, type Section, SHT_NOBITS, sectionHeaders } from './layout.js'
import { type Target, targetOf } from './machines.js'
import { noteBytes, notesOf } from './notes.js'
import type { ElfDescription } from './types.js'
import { variableSections } from './variables.js'

const SHT_PROGBITS = 1
const SHT_NOTE = 7
/** Where a program of a fixed address lies: a multiple of every page size, above what Linux keeps free (mmap_min_addr). */
const EXEC_BASE = 0x40_0000

/** A shared library. */
export function library(description: ElfDescription = {}): Buffer {
  return buildElf(description)
}

/**
 * A program, by default position-independent and for glibc's loader at the path that its machine's ABI fixes; without a dynamic
 * section, a static one.
 */
export function program(description: ElfDescription = {}): Buffer {
  if (description.dynamic === false) return buildElf(description)
  const { machine, wide } = targetOf(description)
  const usual = INTERPRETERS[`${machine}/${wide ? 64 : 32}`]?.glibc
  const { interpreter = usual, pie = description.type !== 'exec' } = description
  if (interpreter === undefined) {
    throw new AppcError('FIXTURE_INVALID', `no loader is known for machine ${machine}`, { hint: 'name an interpreter' })
  }
  return buildElf({ ...description, interpreter, pie })
}

/**
 * The bytes of an ELF file that is as described: small, and such that the real loaders load it. All its functions are one, which
 * ends the process with status 0, as the file's entry does; that much x86-64 and i386 can execute.
 */
export function buildElf(description: ElfDescription): Buffer {
  const target = targetOf(description)
  const sections = sectionsOf(description, target)
  const kinds = segmentKinds(sections, description)
  const start = fileHeaderSize(target) + kinds.length * programHeaderSize(target)
  const base = description.type === 'exec' ? EXEC_BASE : 0
  const layout = layOut(sections, start, base)
  const file = new Bytes(target.little, target.wide).padTo(start)
  for (const { type, offset, bytes } of layout.sections) {
    if (type !== SHT_NOBITS) file.padTo(offset).raw(bytes(layout.placeOf))
  }
  const headers = description.sections === true ? sectionHeaders(layout, file.length, target) : null
  if (headers !== null) file.raw(headers.tail)
  const whole = file.done()
  const entry = layout.placeOf('.text').address
  whole.set(fileHeader(description, target, { entry, segmentCount: kinds.length, sectionHeaders: headers }))
  whole.set(programHeaders(kinds, layout.sections, base, target), fileHeaderSize(target))
  return whole
}

/** Every section that the description asks for. */
function sectionsOf(description: ElfDescription, target: Target): Section[] {
  const { interpreter, rodata, dynamic = true } = description
  const plain = { type: SHT_PROGBITS, access: 'read', align: 1 } as const
  const notes = notesOf(description, target.little).map(note => ({
    ...plain,
    name: note.section,
    type: SHT_NOTE,
    align: 4,
    bytes: () => noteBytes(note, target.little),
  }))
  return [
    ...(interpreter == null ? [] : [{ ...plain, name: '.interp', bytes: () => Buffer.from(`${interpreter}\0`) }]),
    ...notes,
    ...(dynamic ? dynamicSections(description, target) : staticSections(description, target)),
    ...(rodata === undefined ? [] : [{ ...plain, name: '.rodata', bytes: () => Buffer.from(rodata) }]),
    { ...plain, name: '.text', access: 'execute', align: 16, bytes: () => Buffer.from(target.exit) },
  ]
}

const DYNAMIC_ONLY = [
  'soname',
  'needed',
  'rpath',
  'runpath',
  'auxiliaries',
  'filters',
  'audits',
  'flags',
  'flags1',
  'nodeflib',
  'pie',
  'staticTls',
  'defines',
  'needs',
  'verdefs',
  'verneeds',
] as const satisfies readonly (keyof ElfDescription)[]

function staticSections(description: ElfDescription, target: Target): Section[] {
  const said = DYNAMIC_ONLY.filter(key => {
    const value = description[key]
    return Array.isArray(value) ? value.length > 0 : Boolean(value)
  })
  if (said.length > 0) {
    throw new AppcError('FIXTURE_INVALID', `a file without a dynamic section has no ${said.join(', ')}`)
  }
  return variableSections({ rows: [], sizes: { '.bss': 0, '.tbss': 0 } }, description, target)
}
