import { DT, type Dynamic } from './dynamic.js'
import type { VersionDefinition, VersionNeed } from './types.js'
import { malformed } from './window.js'

const VER_FLG_BASE = 1
const VER_FLG_WEAK = 2
/** Version indices have 15 bits, so no honest table is longer. */
const MAX_VERSIONS = 0x7fff

/** One definition with its index in the symbols' version table. The base version (index 1) is marked and kept. */
export interface IndexedDefinition extends VersionDefinition {
  readonly index: number
  readonly base: boolean
}

export interface IndexedNeed extends VersionNeed {
  readonly index: number
}

/** DT_VERDEF by rising index. Each Elf_Verdef of 20 bytes is followed by its names; only the first names it. */
export function readDefinitions(dynamic: Dynamic): IndexedDefinition[] {
  const table = dynamic.value(DT.VERDEF)
  if (table === null) return []
  const count = checkedCount(dynamic.value(DT.VERDEFNUM) ?? 0, dynamic)
  const definitions: IndexedDefinition[] = []
  let address = table
  for (let i = 0; i < count; i++) {
    const entry = dynamic.fields(address, 20, 'version definition')
    if (entry.u16(0) !== 1)
      throw malformed(
        `version definition of revision ${entry.u16(0)}`,
        dynamic.locate(address, 'version definition').offset,
      )
    const name = dynamic.fields(address + entry.u32(12), 8, 'version definition name')
    const flags = entry.u16(2)
    definitions.push({
      name: dynamic.string(name.u32(0), 'version name'),
      weak: (flags & VER_FLG_WEAK) !== 0,
      base: (flags & VER_FLG_BASE) !== 0,
      index: entry.u16(4) & 0x7fff,
    })
    const next = entry.u32(16)
    if (next === 0) break
    address += next
  }
  return definitions.sort((a, b) => a.index - b.index)
}

/** DT_VERNEED in file order: 16 bytes for each soname, then 16 for each version needed of it. */
export function readNeeds(dynamic: Dynamic): IndexedNeed[] {
  const table = dynamic.value(DT.VERNEED)
  if (table === null) return []
  const count = checkedCount(dynamic.value(DT.VERNEEDNUM) ?? 0, dynamic)
  const needs: IndexedNeed[] = []
  let address = table
  for (let i = 0; i < count; i++) {
    const entry = dynamic.fields(address, 16, 'version need')
    if (entry.u16(0) !== 1)
      throw malformed(`version need of revision ${entry.u16(0)}`, dynamic.locate(address, 'version need').offset)
    const file = dynamic.string(entry.u32(4), 'version file name')
    let aux = address + entry.u32(8)
    for (let j = entry.u16(2); j > 0; j--) {
      const need = dynamic.fields(aux, 16, 'needed version')
      needs.push({
        file,
        version: dynamic.string(need.u32(8), 'version name'),
        weak: (need.u16(4) & VER_FLG_WEAK) !== 0,
        index: need.u16(6) & 0x7fff,
      })
      checkedCount(needs.length, dynamic)
      const next = need.u32(12)
      if (next === 0) break
      aux += next
    }
    const next = entry.u32(12)
    if (next === 0) break
    address += next
  }
  return needs
}

function checkedCount(count: number, { offset }: Dynamic): number {
  if (count > MAX_VERSIONS) throw malformed(`${count} versions, where indices have 15 bits`, offset)
  return count
}
