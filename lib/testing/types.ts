import type { ElfFacts, ExportedSymbol, ImportedSymbol, VersionDefinition, VersionNeed } from '../elf/types.js'

/**
 * An ELF file in the words in which `readElf` and `readSymbols` tell of one: what they read is what was described here, and
 * what they read of a real file describes a small twin of it. What is left out has the value in brackets.
 */
export interface ElfDescription
  extends Partial<
    Pick<
      ElfFacts,
      | 'class' // [64]
      | 'data' // ['little']
      | 'machine' // [by class and data: x86-64, i386, s390x, PowerPC]
      | 'osabi' // [0]
      | 'type' // ['dyn']
      | 'interpreter' // [null]
      | 'dynamic' // [true]
      | 'soname' // [null]
      | 'needed' // [none]
      | 'rpath' // [null]
      | 'runpath' // [null]
      | 'auxiliaries' // [none]
      | 'filters' // [none]
      | 'audits' // [none]
      | 'flags' // [0]
      | 'flags1' // [0]
      | 'buildId' // [null]
      | 'abiTag' // [null]
      | 'executableStack' // [false]
      | 'tls' // [whether a symbol is thread-local]
    >
  > {
  /** [0] */
  readonly abiVersion?: number
  /** DF_1_NODEFLIB: the loader passes over the system directories for what this file needs. */
  readonly nodeflib?: boolean
  /** DF_1_PIE. */
  readonly pie?: boolean
  /** DF_STATIC_TLS. */
  readonly staticTls?: boolean
  /** Symbols defined: `f`, `f@@V` with the default version, `f@V` with one that is bound only by who asks for it (hidden). */
  readonly defines?: readonly (string | DefinedSymbol)[]
  /** Symbols needed: `f`, or `f@V` of the only library in `needed`; in the longer form the library is named. */
  readonly needs?: readonly (string | NeededSymbol)[]
  /** Versions defined, before those that `defines` mentions. */
  readonly verdefs?: readonly (string | DefinedVersion)[]
  /** Versions needed, before those that `needs` mentions; so there can be some that no symbol asks for. */
  readonly verneeds?: readonly NeededVersion[]
  /** .note.dlopen, by the keys of its specification (UAPI.12). */
  readonly dlopen?: readonly DlopenNote[]
  /** .note.package (UAPI.8): the package that the file was built in. */
  readonly packageMetadata?: Readonly<Record<string, string>> | null
  /** Any other notes. */
  readonly notes?: readonly Note[]
  /** Bytes that are only looked at, such as strings. */
  readonly rodata?: Uint8Array
  /** ['gnu'] */
  readonly hashStyle?: 'sysv' | 'gnu' | 'both'
  /** Section headers, which no loader looks at but binutils like to have. [false] */
  readonly sections?: boolean
}

export interface DefinedSymbol extends ExportedSymbol {
  /** ['object' for one with an objectSize, else 'function'] */
  readonly type?: 'function' | 'object' | 'tls'
}

export type NeededSymbol = ImportedSymbol

export interface DefinedVersion extends Partial<VersionDefinition> {
  readonly name: string
  readonly predecessors?: readonly string[]
}

export interface NeededVersion extends Partial<VersionNeed> {
  readonly file: string
  readonly version: string
}

export interface DlopenNote {
  readonly soname: readonly string[]
  readonly feature?: string | null
  readonly description?: string | null
  readonly priority?: 'required' | 'recommended' | 'suggested'
}

export interface Note {
  readonly owner: string
  readonly type: number
  readonly descriptor: Uint8Array
}
