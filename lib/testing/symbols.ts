import { AppcError } from '../errors.js'
import { alignUp, Bytes, type StringTable } from './bytes.js'
import { gnuBuckets, gnuHash } from './hash.js'
import type { DefinedSymbol, ElfDescription, NeededSymbol, NeededVersion } from './types.js'
import { GLOBAL, type Versions } from './versions.js'

const VERSYM_HIDDEN = 0x8000
const STB = { global: 1, weak: 2 } as const
const STT = { none: 0, object: 1, function: 2, tls: 6 } as const

/** One row of the dynamic symbol table, but for the address of the section that it is in. */
export interface Row {
  readonly name: string
  /** Its name's offset in the string table. */
  readonly nameAt: number
  readonly versym: number
  readonly weak: boolean
  readonly type: number
  readonly size: number
  /** Where it is defined; null for one that is needed. A copied one is the program's own, in its .bss. */
  readonly place: { readonly section: '.text' | '.bss' | '.tbss'; readonly offset: number } | null
  /** The relocation that refers to it; null for a mere definition. */
  readonly relocation: 'symbol' | 'copy' | null
}

export interface Rows {
  /** In the order of the symbol table, without the null symbol: DT_GNU_HASH wants its own last, sorted by bucket. */
  readonly rows: readonly Row[]
  /** Index in the symbol table of the first that is defined. */
  readonly firstDefined: number
  /** Bytes that variables take in .bss and .tbss. */
  readonly sizes: { readonly '.bss': number; readonly '.tbss': number }
}

export function definedSymbols({ defines = [] }: ElfDescription): DefinedSymbol[] {
  return defines.map(symbol => {
    const { name, ...rest } = typeof symbol === 'string' ? { name: symbol } : symbol
    const { hidden, ...plain } = split(name)
    return { ...rest, ...plain, ...(hidden && { hidden }) }
  })
}

export function neededSymbols({ needs = [], needed = [] }: ElfDescription): NeededSymbol[] {
  return needs.map(symbol => {
    const said: NeededSymbol = typeof symbol === 'string' ? { name: symbol } : symbol
    const { hidden: _, ...plain } = split(said.name)
    const { name, version, file = needed.length === 1 ? needed[0] : undefined } = { ...said, ...plain }
    if (version === undefined) return said
    if (file === undefined) {
      throw new AppcError('FIXTURE_INVALID', `nothing says which library is to define ${name}@${version}`, {
        because: `needed names ${needed.length} of them`,
        hint: `say { name: '${name}', version: '${version}', file: … }`,
      })
    }
    return { ...said, name, version, file }
  })
}

/** `f`, `f@@V` or `f@V`, of which the last is hidden. */
function split(text: string): { name: string; version?: string; hidden?: true } {
  const [, name = text, at, version] = /^(.+?)(@@?)(.+)$/.exec(text) ?? []
  return { name, ...(version !== undefined && { version }), ...(at === '@' && { hidden: true }) }
}

export function neededVersions(needs: readonly NeededSymbol[]): NeededVersion[] {
  return needs.flatMap(({ version, file }) => (version === undefined || file === undefined ? [] : [{ version, file }]))
}

export function arrange(
  defines: readonly DefinedSymbol[],
  needs: readonly NeededSymbol[],
  versions: Versions,
  strings: StringTable,
): Rows {
  const sizes = { '.bss': 0, '.tbss': 0 }
  /** The next free place for a variable. */
  const room = (section: '.bss' | '.tbss', size: number) => {
    const offset = alignUp(sizes[section], 8)
    sizes[section] = offset + size
    return { section, offset }
  }
  const needRows = needs.map(({ name, version, file, weak = false, copySize }): Row => {
    const versym = version === undefined || file === undefined ? GLOBAL : versions.need(file, version)
    const common = { name, nameAt: strings.add(name), versym, weak, size: copySize ?? 0 }
    return copySize === undefined
      ? { ...common, type: STT.none, place: null, relocation: 'symbol' }
      : { ...common, type: STT.object, place: room('.bss', copySize), relocation: 'copy' }
  })
  const defineRows = defines.map(({ name, version, hidden = false, weak = false, objectSize, type }): Row => {
    const kind = type ?? (objectSize === undefined ? 'function' : 'object')
    const size = objectSize ?? 0
    const versym = version === undefined ? GLOBAL : versions.definition(version) | (hidden ? VERSYM_HIDDEN : 0)
    const place =
      kind === 'function' ? { section: '.text' as const, offset: 0 } : room(kind === 'tls' ? '.tbss' : '.bss', size)
    return { name, nameAt: strings.add(name), versym, weak, type: STT[kind], size, place, relocation: null }
  })
  const undefinedRows = needRows.filter(({ place }) => place === null)
  const definedRows = [...needRows.filter(({ place }) => place !== null), ...defineRows]
  const buckets = gnuBuckets(definedRows.length)
  const sorted = definedRows
    .map(row => ({ row, bucket: gnuHash(row.name) % buckets }))
    .sort((a, b) => a.bucket - b.bucket)
  return {
    rows: [...undefinedRows, ...sorted.map(({ row }) => row)],
    firstDefined: 1 + undefinedRows.length,
    sizes,
  }
}

export type SectionPlace = (section: string) => { readonly address: number; readonly index: number }

export function symbolTable({ rows }: Rows, placeOf: SectionPlace, little: boolean, wide: boolean): Buffer {
  const table = new Bytes(little, wide).padTo(wide ? 24 : 16)
  for (const { nameAt, weak, type, size, place } of rows) {
    const section = place === null ? { address: 0, index: 0 } : placeOf(place.section)
    // A thread-local variable's value is its place in the thread's block.
    const base = place?.section === '.tbss' ? 0 : section.address
    const value = place === null ? 0 : base + place.offset
    const info = ((weak ? STB.weak : STB.global) << 4) | type
    table.u32(nameAt)
    if (wide) table.u8(info, 0).u16(section.index).u64(value, size)
    else table.u32(value, size).u8(info, 0).u16(section.index)
  }
  return table.done()
}

export function versymTable({ rows }: Rows, little: boolean): Buffer {
  return new Bytes(little, false).u16(0, ...rows.map(({ versym }) => versym)).done()
}
