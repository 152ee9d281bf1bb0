/** Any file's bytes by position: a real file, or one that is made up in memory. */
export interface OpenFile {
  readonly size: number
  /** Reads up to buffer.length bytes at `position`; returns how many, fewer only at the end of the file. */
  read(buffer: Uint8Array, position: number): number
  /** A part that holds the bytes [position, position + length), if these are in memory already; valid until the file is closed. */
  part?(position: number, length: number): Part | null
  close(): void
}

/** Bytes of a file that are in memory: of the file those from `offset` on. */
export interface Part {
  readonly offset: number
  readonly bytes: Buffer
  /** Of the same bytes. */
  readonly view: DataView
}

/**
 * What deciding needs to know of an ELF file, as plain JSON-able values. Everything here comes from the program headers and
 * what they lead to; section headers are never needed.
 */
export interface ElfFacts {
  readonly class: 32 | 64
  readonly data: 'little' | 'big'
  /** e_machine, e.g. 62 for x86-64. */
  readonly machine: number
  readonly osabi: number
  /** `exec` is ET_EXEC, `dyn` is ET_DYN (libraries and PIE programs), `other` any other e_type. */
  readonly type: 'exec' | 'dyn' | 'other'
  /** PT_INTERP, e.g. `/lib64/ld-linux-x86-64.so.2`; null for libraries and static programs. */
  readonly interpreter: string | null
  /** False for a static file: it has no PT_DYNAMIC and needs no loader. */
  readonly dynamic: boolean
  readonly soname: string | null
  readonly needed: readonly string[]
  readonly rpath: string | null
  readonly runpath: string | null
  readonly auxiliaries: readonly string[]
  readonly filters: readonly string[]
  /** DT_AUDIT and DT_DEPAUDIT. */
  readonly audits: readonly string[]
  /** DT_FLAGS and DT_FLAGS_1 as they are. */
  readonly flags: number
  readonly flags1: number
  /** Versions defined, by rising version index, without the base version (which repeats the soname). */
  readonly verdefs: readonly VersionDefinition[]
  readonly verneeds: readonly VersionNeed[]
  /** NT_GNU_BUILD_ID in hexadecimal. */
  readonly buildId: string | null
  /** NT_GNU_ABI_TAG: the operating system (0 Linux) and the oldest kernel, e.g. [3, 2, 0]. */
  readonly abiTag: { readonly os: number; readonly kernel: readonly [number, number, number] } | null
  /** What it loads by dlopen, as far as its notes say (`.note.dlopen`, UAPI.12). */
  readonly dlopen: readonly DlopenNote[]
  /** The package that it was built in, as its note says (`.note.package`, UAPI.8): type, name, version, architecture and so on. */
  readonly packageMetadata: PackageMetadata | null
  /** Notes that would be facts here, but say nothing that can be understood. No loader looks at them, so the file is sound. */
  readonly unreadNotes: readonly UnreadNote[]
  /** PT_GNU_STACK asks for an executable stack; true too where the header is absent, as the kernel has it. */
  readonly executableStack: boolean
  /** Has a PT_TLS segment. */
  readonly tls: boolean
}

export interface DlopenNote {
  /** Names for one library; the first that is there is the one that is loaded. */
  readonly soname: readonly string[]
  /** All libraries of one feature are needed for it. */
  readonly feature: string | null
  readonly description: string | null
  readonly priority: 'required' | 'recommended' | 'suggested'
}

export type PackageMetadata = Readonly<Record<string, string>>

export interface UnreadNote {
  /** Of the note in the file. */
  readonly offset: number
  readonly because: string
}

export interface VersionDefinition {
  readonly name: string
  readonly weak: boolean
}

export interface VersionNeed {
  /** The soname that is to define it (vn_file). */
  readonly file: string
  readonly version: string
  /** VER_FLG_WEAK: the loader only warns when it is missing. */
  readonly weak: boolean
}

/** The dynamic symbol table, in the two halves in which it matters. Local symbols are left out. */
export interface ElfSymbols {
  readonly imports: readonly ImportedSymbol[]
  readonly exports: readonly ExportedSymbol[]
}

export interface ImportedSymbol {
  readonly name: string
  /** The version asked for, and the soname that verneed names for it; both absent when unversioned. */
  readonly version?: string
  readonly file?: string
  /** STB_WEAK: may stay unresolved. */
  readonly weak?: true
  /** The size in bytes that the program reserved for it, where an R_*_COPY relocation will fill it from the library. */
  readonly copySize?: number
}

export interface ExportedSymbol {
  readonly name: string
  readonly version?: string
  /** Bound only by references that name this version (`name@V`, not `name@@V`). */
  readonly hidden?: true
  readonly weak?: true
  /** st_size of data objects (STT_OBJECT, STT_TLS, STT_COMMON): what copy relocations depend on. */
  readonly objectSize?: number
}
