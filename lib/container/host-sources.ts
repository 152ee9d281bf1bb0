import { base, resolvePath } from '../loader/file-system.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import type { FileSystem } from '../loader/types.js'
import { pathOf } from '../upkeep/identities.js'
import { type FoundFile, readable, readableFilesBelow, type Source } from '../upkeep/sources.js'

/** The files of this machine at the paths that an object has in containers: packages are often the same. */
export function onHost(): Source {
  const fs = rootFileSystem('/')
  return function* ({ paths, size }) {
    // Of what size it is to be nothing is known only of documents, which no host has.
    for (const path of size === null ? [] : paths) {
      const found = inTree(fs, path)
      if (found !== null) yield { path: found, from: 'the host' }
    }
  }
}

/** Files of a directory tree, in the order of what they cost to find and to try. */
export interface TreeSources {
  /** At their paths, as in the tree that was packed from; or by the names of objects, as in another store. */
  readonly byPath: Source
  /** Of the same name and size. */
  readonly byName: Source
  readonly bySize: Source
}

/** Throws ROOT_INVALID. */
export function inDirectory(directory: string): TreeSources {
  const fs = rootFileSystem(directory)
  const from = directory
  let files: ReadonlyMap<number, readonly FoundFile[]> | null = null
  const ofSize = (size: number): readonly FoundFile[] => {
    files ??= filesBySize(directory)
    return files.get(size) ?? []
  }
  return {
    *byPath({ key, paths, size }) {
      yield { path: pathOf({ home: directory }, key), from }
      if (size === null) return
      for (const path of paths) {
        const found = inTree(fs, path)
        if (found !== null) yield { path: found, from }
      }
    },
    *byName({ paths, size }) {
      if (size === null) return
      const names = new Set(paths.map(base))
      for (const { path } of ofSize(size)) if (names.has(base(path))) yield { path, from }
    },
    *bySize({ size }) {
      if (size === null) return
      for (const { path } of ofSize(size)) yield { path, from }
    },
  }
}

/** Where it leads to, links followed inside of the tree; null where there is nothing. */
function inTree(fs: FileSystem, path: string): string | null {
  const resolved = readable(() => resolvePath(fs, path))
  return resolved?.stat?.kind === 'file' && resolved.path !== null ? fs.hostPath(resolved.path) : null
}

function filesBySize(directory: string): ReadonlyMap<number, readonly FoundFile[]> {
  const sizes = new Map<number, FoundFile[]>()
  for (const file of readableFilesBelow(directory)) {
    const known = sizes.get(file.size)
    if (known === undefined) sizes.set(file.size, [file])
    else known.push(file)
  }
  return sizes
}
