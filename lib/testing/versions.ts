import { Bytes, type StringTable } from './bytes.js'
import { sysvHash } from './hash.js'
import type { DefinedVersion, NeededVersion } from './types.js'

const VER_FLG_BASE = 1
const VER_FLG_WEAK = 2
/** Symbols without a version, in a file that has versions. */
export const GLOBAL = 1
/** Definitions from 2 on, since the file itself is the first; needs go on where they end. */
const FIRST = 2

/** The version tables of a file, and the index by which its symbols refer to each version. */
export class Versions {
  readonly #definitions: readonly DefinedVersion[]
  readonly #needs: readonly NeededVersion[]
  readonly #indices: ReadonlyMap<string, number>

  constructor(definitions: readonly (string | DefinedVersion)[], needs: readonly NeededVersion[]) {
    const named = definitions.map(version => (typeof version === 'string' ? { name: version } : version))
    this.#definitions = distinct(named, ({ name }) => name)
    this.#needs = distinct(needs, keyOf)
    const keys = [...this.#definitions.map(({ name }) => name), ...this.#needs.map(keyOf)]
    this.#indices = new Map(keys.map((key, index) => [key, FIRST + index]))
  }

  get any(): boolean {
    return this.#definitions.length + this.#needs.length > 0
  }

  definition(version: string): number {
    return this.#indices.get(version) as number
  }

  need(file: string, version: string): number {
    return this.#indices.get(keyOf({ file, version })) as number
  }

  /** DT_VERDEF; null where nothing is defined. The first definition is the file itself. */
  verdef(soname: string, strings: StringTable, little: boolean): Table | null {
    if (this.#definitions.length === 0) return null
    const all: readonly DefinedVersion[] = [{ name: soname }, ...this.#definitions]
    const table = new Bytes(little, false)
    for (const [index, { name, weak = false, predecessors = [] }] of all.entries()) {
      const names = [name, ...predecessors]
      const flags = (index === 0 ? VER_FLG_BASE : 0) | (weak ? VER_FLG_WEAK : 0)
      const size = 20 + 8 * names.length
      table.u16(1, flags, index + 1, names.length)
      table.u32(sysvHash(name), 20, index === all.length - 1 ? 0 : size)
      for (const [place, text] of names.entries()) table.u32(strings.add(text), place === names.length - 1 ? 0 : 8)
    }
    return { bytes: table.done(), count: all.length }
  }

  /** DT_VERNEED; null where nothing is needed. */
  verneed(strings: StringTable, little: boolean): Table | null {
    const files = [...new Set(this.#needs.map(({ file }) => file))]
    if (files.length === 0) return null
    const table = new Bytes(little, false)
    for (const file of files) {
      const needs = this.#needs.filter(need => need.file === file)
      const isLast = file === files.at(-1)
      table.u16(1, needs.length).u32(strings.add(file), 16, isLast ? 0 : 16 + 16 * needs.length)
      for (const { version, weak = false } of needs) {
        table.u32(sysvHash(version)).u16(weak ? VER_FLG_WEAK : 0, this.need(file, version))
        table.u32(strings.add(version), version === needs.at(-1)?.version ? 0 : 16)
      }
    }
    return { bytes: table.done(), count: files.length }
  }
}

export interface Table {
  readonly bytes: Buffer
  /** DT_VERDEFNUM or DT_VERNEEDNUM. */
  readonly count: number
}

/** No name of a version has the character in it. */
function keyOf({ file, version }: NeededVersion): string {
  return `${file}\0${version}`
}

/** Each once: the first to be mentioned. */
function distinct<T>(list: readonly T[], key: (item: T) => string): T[] {
  const known = new Map<string, T>()
  for (const item of list) if (!known.has(key(item))) known.set(key(item), item)
  return [...known.values()]
}
