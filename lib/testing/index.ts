/**
 * Tests of how libraries are found, without compiler, root or files: a tree made up in memory, ELF files made from descriptions, and
 * what a loader would load there. See docs/testing.md.
 */
export type { ElfFacts, ElfSymbols } from '../elf/types.js'
export { AppcError, type ErrorCode } from '../errors.js'
export {
  directory,
  file,
  hardLink,
  type MemoryNode,
  type MemoryTree,
  memoryFileSystem,
  symlink,
} from '../loader/memory-file-system.js'
export type { ResolveContext } from '../loader/resolve.js'
export type { Edge, FileSystem, Graph, How, LoadedObject, Loader, Problem } from '../loader/types.js'
export { buildElf, library, program } from './build-elf.js'
export { type CacheEntry, type CacheOptions, ldSoCache } from './ld-so-cache.js'
export { type GlibcLoader, glibcLoader, muslLoader } from './loaders.js'
export { found, how, resolve } from './resolve.js'
export type {
  DefinedSymbol,
  DefinedVersion,
  DlopenNote,
  ElfDescription,
  NeededSymbol,
  NeededVersion,
  Note,
} from './types.js'
