import type { ElfFacts, ElfSymbols, ExportedSymbol, ImportedSymbol, VersionNeed } from '../../lib/elf/types.js'
import type { DefinedSymbol, ElfDescription } from '../../lib/testing/types.js'

/** A description, and what it says in the terms of the readers, put together beside it and not by the builder. */
export interface Random {
  readonly description: ElfDescription
  readonly facts: Omit<ElfFacts, 'dlopen' | 'packageMetadata' | 'unreadNotes'>
  readonly symbols: ElfSymbols
}

const TARGETS = [
  { class: 64, data: 'little', machine: 62 },
  { class: 32, data: 'little', machine: 3 },
  { class: 64, data: 'big', machine: 22 },
  { class: 32, data: 'big', machine: 20 },
  { class: 64, data: 'little', machine: 183 },
  { class: 32, data: 'little', machine: 40 },
  { class: 32, data: 'little', machine: 62 },
  { class: 64, data: 'little', machine: 243 },
] as const

/** The same for the same seed. */
export function randomDescription(seed: number): Random {
  let state = seed * 2_654_435_761
  /** A number below `limit` (mulberry32). */
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
  const maybe = <T>(value: () => T): T | null => (below(2) === 0 ? value() : null)
  const some = <T>(limit: number, value: (index: number) => T): T[] =>
    Array.from({ length: below(limit + 1) }, (_, index) => value(index))
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const text = () => `${pick(['lib', 'a', 'ümlaut-', 'long-'.repeat(20)])}${below(1000)}`
  // readelf prints only a part of other letters in symbols' names.
  const symbol = (letter: string, index: number) => `${letter}${index}${'_'.repeat(below(50))}`

  const target = pick(TARGETS)
  const isProgram = below(3) === 0
  const needed = some(4, index => `lib${index}-${text()}.so`)
  const verdefs = some(4, index => ({ name: `V_${index}.${below(9)}`, weak: below(4) === 0 }))
  const verneeds = needed.flatMap(file => some(3, index => ({ file, version: `N_${index}`, weak: below(3) === 0 })))

  const exports = some(40, (index): DefinedSymbol => {
    const version = verdefs.length === 0 ? null : maybe(() => pick(verdefs).name)
    const objectSize = maybe(() => below(5000))
    return {
      name: symbol('f', index),
      ...(version !== null && { version, ...(below(3) === 0 && { hidden: true as const }) }),
      ...(below(5) === 0 && { weak: true as const }),
      ...(objectSize !== null && { objectSize, type: pick(['object', 'tls'] as const) }),
    }
  })
  const imports = some(40, (index): ImportedSymbol => {
    const need = verneeds.length === 0 ? null : maybe(() => pick(verneeds))
    return {
      name: symbol('i', index),
      ...(need !== null && { version: need.version, file: need.file }),
      ...(below(5) === 0 && { weak: true as const }),
      ...(isProgram && below(4) === 0 && { copySize: 1 + below(200) }),
    }
  })
  const tls = below(4) === 0
  const plain = {
    ...target,
    osabi: pick([0, 3]),
    type: isProgram ? pick(['dyn', 'exec'] as const) : 'dyn',
    interpreter: isProgram ? `/lib/${text()}` : null,
    soname: maybe(text),
    needed,
    rpath: maybe(() => `$ORIGIN/${text()}:/${text()}`),
    runpath: maybe(() => `/${text()}:`),
    auxiliaries: some(2, text),
    filters: some(2, text),
    audits: some(1, text),
    flags: pick([0, 0, 0x10, 0x8000_0000]),
    flags1: pick([0, 0, 0x800, 0x0800_0001]),
    buildId: maybe(() =>
      below(2 ** 31)
        .toString(16)
        .padStart(8, '0')
        .repeat(1 + below(5)),
    ),
    abiTag: maybe(() => ({ os: below(3), kernel: [below(9), below(9), below(9)] as const })),
    executableStack: below(2) === 0,
  } as const
  return {
    description: {
      ...plain,
      tls,
      verdefs: verdefs.map(verdef => ({ ...verdef, predecessors: some(2, () => pick(verdefs).name) })),
      verneeds,
      defines: exports,
      needs: imports,
      hashStyle: pick(['sysv', 'gnu', 'both']),
      ...(below(3) === 0 && { dlopen: [{ soname: [text()] }], packageMetadata: { type: 'deb', name: text() } }),
    },
    facts: {
      ...plain,
      dynamic: true,
      tls: tls || exports.some(({ type }) => type === 'tls'),
      verdefs,
      verneeds: distinct(verneeds),
    },
    symbols: {
      imports,
      exports: [...exports.map(({ type: _, ...symbol }): ExportedSymbol => symbol), ...imports.flatMap(asCopy)],
    },
  }
}

function distinct(needs: readonly VersionNeed[]): VersionNeed[] {
  return needs.filter(
    (need, index) => needs.findIndex(({ file, version }) => file === need.file && version === need.version) === index,
  )
}

/** A copied variable is the program's own as well. */
function asCopy({ name, version, weak, copySize }: ImportedSymbol): ExportedSymbol[] {
  if (copySize === undefined) return []
  return [{ name, ...(version !== undefined && { version }), ...(weak && { weak }), objectSize: copySize }]
}
