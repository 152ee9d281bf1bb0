import type { ElfFacts } from '../elf/types.js'
import { LibraryCache } from '../loader/cache.js'
import { join, parent } from '../loader/file-system.js'
import type { Loader } from '../loader/types.js'
import type { Tree } from './tree.js'
import type { PackedElf } from './types.js'

const DF_1_PIE = 0x0800_0000

/** Whether the kernel can start it: it names a loader, or needs none. */
export function isProgram(facts: ElfFacts): boolean {
  return facts.type === 'exec' || facts.interpreter !== null || (facts.flags1 & DF_1_PIE) !== 0 || !facts.dynamic
}

/**
 * A function that tells what an ELF file is to a container. `reached` are the files that some search by name led to; `entries`
 * are programs whatever else they are. libc.so.6 names a loader and is a library, so libraries come before programs.
 */
export function roleTeller(
  tree: Tree,
  loader: Loader | null,
  reached: ReadonlySet<string>,
  entries: ReadonlySet<string>,
): (path: string, facts: ElfFacts) => PackedElf['role'] {
  const cache = loader === null ? null : LibraryCache.read(tree.fs, loader)
  const directories = (loader?.systemDirectories ?? []).map(directory => tree.canonical.directory(directory))
  const isFound = (path: string, soname: string): boolean => {
    const places = [...directories, parent(path)].filter(directory => searched(directories, directory))
    const names = [
      ...places.map(directory => join(directory, soname)),
      ...(cache?.hits(soname) ?? []).map(hit => hit.path),
    ]
    return names.some(name => tree.chain(name).end?.path === path)
  }
  return (path, facts) => {
    if (entries.has(path)) return 'program'
    if (reached.has(path) || (facts.soname !== null && facts.dynamic && isFound(path, facts.soname))) return 'library'
    return isProgram(facts) ? 'program' : 'module'
  }
}

/** A search directory, or the place in it for one level of CPU. */
function searched(directories: readonly string[], directory: string): boolean {
  return directories.some(known => directory === known || parent(directory) === `${known}/glibc-hwcaps`)
}
