import { DT } from '../elf/dynamic.js'
import { AppcError } from '../errors.js'
import { Bytes, StringTable } from './bytes.js'
import { gnuHashTable, sysvHashTable } from './hash.js'
import type { Section } from './layout.js'
import type { Target } from './machines.js'
import {
  arrange,
  definedSymbols,
  neededSymbols,
  neededVersions,
  type Rows,
  type SectionPlace,
  symbolTable,
  versymTable,
} from './symbols.js'
import type { ElfDescription } from './types.js'
import { variableSections } from './variables.js'
import { Versions } from './versions.js'

const SHT = {
  STRTAB: 3,
  RELA: 4,
  HASH: 5,
  DYNAMIC: 6,
  REL: 9,
  DYNSYM: 11,
  GNU_HASH: 0x6ffffff6,
  GNU_VERDEF: 0x6ffffffd,
  GNU_VERNEED: 0x6ffffffe,
  GNU_VERSYM: 0x6fffffff,
} as const
const DT_RELAENT = 9
const DT_RELENT = 19
const DT_DEBUG = 21
const DF_STATIC_TLS = 0x10
const DF_1_NODEFLIB = 0x800
const DF_1_PIE = 0x0800_0000

/** A value that is known, or the address of a section. */
type Entry = readonly [tag: number, value: number | string]

/** A section of the dynamic part, and what the dynamic section says of it. */
interface Part {
  readonly section: Section
  readonly entries: readonly Entry[]
}

/** The dynamic section with all that it leads to. */
export function dynamicSections(description: ElfDescription, target: Target): Section[] {
  const strings = new StringTable()
  const needs = neededSymbols(description)
  const defines = definedSymbols(description)
  const versions = new Versions(
    [...(description.verdefs ?? []), ...defines.flatMap(({ version }) => (version === undefined ? [] : [version]))],
    [...(description.verneeds ?? []), ...neededVersions(needs)],
  )
  const symbols = arrange(defines, needs, versions, strings)
  const described = describedEntries(description, strings)
  const parts = [
    ...hashParts(symbols, description.hashStyle ?? 'gnu', target),
    ...versionParts(symbols, versions, description.soname ?? '', strings, target),
    ...relocationParts(symbols, target),
    ...symbolParts(symbols, strings, target),
  ]
  const entries: readonly Entry[] = [
    ...described,
    ...parts.flatMap(part => part.entries),
    ...(description.interpreter == null ? [] : [[DT_DEBUG, 0] as const]),
  ]
  return [
    ...parts.map(({ section }) => section),
    {
      name: '.dynamic',
      type: SHT.DYNAMIC,
      access: 'write',
      align: 8,
      entrySize: target.wide ? 16 : 8,
      link: '.dynstr',
      bytes: placeOf => dynamicBytes(entries, placeOf, target),
    },
    ...variableSections(symbols, description, target),
  ]
}

/** What the description says in so many words. */
function describedEntries(description: ElfDescription, strings: StringTable): Entry[] {
  const { soname, rpath, runpath, needed = [], auxiliaries = [], filters = [], audits = [] } = description
  const { flags = 0, flags1 = 0, staticTls = false, nodeflib = false, pie = false } = description
  const texts: readonly (readonly [tag: number, texts: readonly (string | null | undefined)[]])[] = [
    [DT.NEEDED, needed],
    [DT.SONAME, [soname]],
    [DT.RPATH, [rpath]],
    [DT.RUNPATH, [runpath]],
    [DT.AUXILIARY, auxiliaries],
    [DT.FILTER, filters],
    [DT.AUDIT, audits],
  ]
  const numbers: readonly Entry[] = [
    [DT.FLAGS, (flags | (staticTls ? DF_STATIC_TLS : 0)) >>> 0],
    [DT.FLAGS_1, (flags1 | (nodeflib ? DF_1_NODEFLIB : 0) | (pie ? DF_1_PIE : 0)) >>> 0],
  ]
  return [
    ...texts.flatMap(([tag, list]) => list.flatMap(text => (text == null ? [] : [[tag, strings.add(text)] as const]))),
    ...numbers.filter(([, value]) => value !== 0),
  ]
}

function dynamicBytes(entries: readonly Entry[], placeOf: SectionPlace, { little, wide }: Target): Buffer {
  const table = new Bytes(little, wide)
  for (const [tag, value] of entries) table.word(tag, typeof value === 'string' ? placeOf(value).address : value)
  return table.word(0, 0).done()
}

function hashParts({ rows, firstDefined }: Rows, style: 'sysv' | 'gnu' | 'both', target: Target): Part[] {
  const { little, wide, wideHash } = target
  const names = rows.map(({ name }) => name)
  const common = { access: 'read', align: 8, link: '.dynsym' } as const
  const gnu = gnuHashTable(names.slice(firstDefined - 1), firstDefined, little, wide)
  const sysv = sysvHashTable(['', ...names], little, wideHash)
  const parts: readonly (Part & { readonly style: string })[] = [
    {
      style: 'gnu',
      section: { ...common, name: '.gnu.hash', type: SHT.GNU_HASH, entrySize: wide ? 0 : 4, bytes: () => gnu },
      entries: [[DT.GNU_HASH, '.gnu.hash']],
    },
    {
      style: 'sysv',
      section: { ...common, name: '.hash', type: SHT.HASH, entrySize: wideHash ? 8 : 4, bytes: () => sysv },
      entries: [[DT.HASH, '.hash']],
    },
  ]
  return parts.filter(part => style === 'both' || style === part.style)
}

function symbolParts(symbols: Rows, strings: StringTable, target: Target): Part[] {
  const entrySize = target.wide ? 24 : 16
  const text = strings.done()
  return [
    {
      section: {
        name: '.dynsym',
        type: SHT.DYNSYM,
        access: 'read',
        align: 8,
        entrySize,
        link: '.dynstr',
        info: 1,
        bytes: placeOf => symbolTable(symbols, placeOf, target.little, target.wide),
      },
      entries: [
        [DT.SYMTAB, '.dynsym'],
        [DT.SYMENT, entrySize],
      ],
    },
    {
      section: { name: '.dynstr', type: SHT.STRTAB, access: 'read', align: 1, bytes: () => text },
      entries: [
        [DT.STRTAB, '.dynstr'],
        [DT.STRSZ, text.length],
      ],
    },
  ]
}

function versionParts(
  symbols: Rows,
  versions: Versions,
  soname: string,
  strings: StringTable,
  { little }: Target,
): Part[] {
  if (!versions.any) return []
  const versym = versymTable(symbols, little)
  const table = (name: string, type: number, bytes: Buffer, info: number, entries: readonly Entry[]): Part => ({
    section: { name, type, access: 'read', align: 4, link: '.dynstr', info, bytes: () => bytes },
    entries,
  })
  const parts: Part[] = [
    {
      section: {
        name: '.gnu.version',
        type: SHT.GNU_VERSYM,
        access: 'read',
        align: 2,
        entrySize: 2,
        link: '.dynsym',
        bytes: () => versym,
      },
      entries: [[DT.VERSYM, '.gnu.version']],
    },
  ]
  const verdef = versions.verdef(soname, strings, little)
  if (verdef !== null) {
    const { bytes, count } = verdef
    const entries = [[DT.VERDEF, '.gnu.version_d'] as const, [DT.VERDEFNUM, count] as const]
    parts.push(table('.gnu.version_d', SHT.GNU_VERDEF, bytes, count, entries))
  }
  const verneed = versions.verneed(strings, little)
  if (verneed !== null) {
    const { bytes, count } = verneed
    const entries = [[DT.VERNEED, '.gnu.version_r'] as const, [DT.VERNEEDNUM, count] as const]
    parts.push(table('.gnu.version_r', SHT.GNU_VERNEED, bytes, count, entries))
  }
  return parts
}

/** Each needed symbol has a relocation, without which no loader would look for it. */
function relocationParts({ rows }: Rows, target: Target): Part[] {
  const { little, wide, rela, symbolRelocation, copyRelocation, machine } = target
  if (rows.every(({ relocation }) => relocation === null)) return []
  if (copyRelocation === null && rows.some(({ relocation }) => relocation === 'copy')) {
    throw new AppcError('FIXTURE_INVALID', `copy relocations of machine ${machine} are not known`)
  }
  const word = wide ? 8 : 4
  const entrySize = word * (rela ? 3 : 2)
  const bytes = (placeOf: SectionPlace) => {
    const table = new Bytes(little, wide)
    let slot = 0
    for (const [index, { relocation, place }] of rows.entries()) {
      if (relocation === null) continue
      const type = relocation === 'copy' ? (copyRelocation as number) : symbolRelocation
      const into = place === null ? { section: '.got', offset: word * slot++ } : place
      table.word(placeOf(into.section).address + into.offset)
      if (wide) table.u64((BigInt(index + 1) << 32n) | BigInt(type))
      else table.u32((((index + 1) << 8) | type) >>> 0)
      if (rela) table.word(0)
    }
    return table.done()
  }
  const size = entrySize * rows.filter(({ relocation }) => relocation !== null).length
  const name = rela ? '.rela.dyn' : '.rel.dyn'
  return [
    {
      section: { name, type: rela ? SHT.RELA : SHT.REL, access: 'read', align: 8, entrySize, link: '.dynsym', bytes },
      entries: [
        [rela ? DT.RELA : DT.REL, name],
        [rela ? DT.RELASZ : DT.RELSZ, size],
        [rela ? DT_RELAENT : DT_RELENT, entrySize],
      ],
    },
  ]
}
