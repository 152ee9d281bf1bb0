import type { Start } from '../elf/header.js'
import type { ElfFacts } from '../elf/types.js'
import { AppcError, type ErrorCode } from '../errors.js'
import type { Kernel } from './inventory.js'

/**
 * A host in one JSON document, complete enough to be decided for elsewhere: what its file system looks like, what its ELF files say, and
 * the bytes of the few files that are read besides. `Policy` is what it fixes (lib/container/policy.ts, which knows of hosts).
 */
export interface DescribedHost<Policy> {
  readonly schema: 'appc.host/1'
  /** Of the inventory (inventory.ts): equal digests, equal hosts. */
  readonly digest: string
  readonly kernel: Kernel
  readonly cpu: { readonly level: number; readonly intel: boolean }
  /** The versions of the kernel's modules that are loaded and have one, by name. */
  readonly modules: Readonly<Record<string, string>>
  readonly policy: Policy
  /** Each below one that stands before it; the first is the root. */
  readonly directories: readonly DescribedDirectory[]
  /** Names of one file each: hard links. */
  readonly sameFiles: readonly (readonly string[])[]
  /** What the user who described it could not open or list: path → the system's error. */
  readonly closed: Readonly<Record<string, string>>
  readonly elf: readonly DescribedElf[]
  /** What the symbols' numbers stand for. */
  readonly strings: FrontCoded
  /** Of the few files whose bytes matter. */
  readonly contents: readonly DescribedContent[]
}

export interface DescribedDirectory {
  readonly path: string
  /** Permission bits. */
  readonly mode: number
  /** By name: size, and permission bits with those of setuid and the like. */
  readonly files: Readonly<Record<string, readonly [size: number, mode: number]>>
  /** By name: the link's text. */
  readonly links: Readonly<Record<string, string>>
  /** Names of what is neither: devices, sockets. */
  readonly others: readonly string[]
}

/** A file that begins as ELF files do. Of all others it is known that they do not, or that nothing would load them. */
export interface DescribedElf {
  readonly path: string
  readonly start: Start | null
  readonly facts: ElfFacts | null
  /** Why there are no facts. */
  readonly code: ErrorCode | null
  readonly because: string
  /** Why there are none, where they cannot be read. */
  readonly symbols: DescribedSymbols | string
  /** For what has no build-id by which it could be told from others. */
  readonly sha256?: string
}

/** Symbols as pairs of numbers: of the name, in `strings`, and of the rest, in `kinds`. */
export interface DescribedSymbols {
  readonly kinds: readonly SymbolKind[]
  readonly imports: readonly number[]
  readonly exports: readonly number[]
}

/** All of a symbol but its name; see ImportedSymbol and ExportedSymbol. */
export interface SymbolKind {
  readonly version?: string
  readonly file?: string
  readonly hidden?: true
  readonly weak?: true
  readonly copySize?: number
  readonly objectSize?: number
}

/** Sorted strings, each as how much of the one before it begins with, and the rest: names of C++ have most in common. */
export interface FrontCoded {
  readonly shared: readonly number[]
  readonly rest: readonly string[]
}

export interface DescribedContent {
  readonly path: string
  readonly parts: readonly DescribedPart[]
}

/** Bytes from an offset on: as text where they are UTF-8, else in base64. */
export type DescribedPart = { readonly at: number } & ({ readonly text: string } | { readonly base64: string })

/** A description that contradicts itself or is none. */
export function invalidInventory(because: string, cause?: unknown): AppcError {
  return new AppcError('INVENTORY_INVALID', 'this is no inventory that a host can be decided for by', {
    because,
    hint: 'make it anew on that host: appc inventory --complete > FILE.json',
    cause,
  })
}
