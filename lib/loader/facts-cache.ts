import { type Identity, readIdentity } from '../elf/header.js'
import { readElf } from '../elf/reader.js'
import type { ElfFacts, OpenFile } from '../elf/types.js'
import { Window } from '../elf/window.js'
import { AppcError, type ErrorCode } from '../errors.js'
import { remember } from './remember.js'
import type { FileStat, FileSystem } from './types.js'

/** What a regular file is: its ELF facts, or why it has none. */
export interface Inspection {
  readonly identity: Identity | null
  readonly facts: ElfFacts | null
  /** Why `facts` is null: ELF_NOT or ELF_MALFORMED, and in words. */
  readonly code: ErrorCode | null
  readonly because: string
}

/** Facts by file (device, inode, size and times), so that thousands of programs share what they have in common. */
export class FactsCache {
  readonly #known = new Map<string, Inspection>()

  /** Throws the system's error where the file cannot be opened or read. */
  inspect(fs: FileSystem, path: string, stat: FileStat): Inspection {
    const key = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`
    return remember(this.#known, key, () => {
      const file = fs.open(path)
      try {
        return inspectFile(file)
      } finally {
        file.close()
      }
    })
  }
}

function inspectFile(file: OpenFile): Inspection {
  try {
    return { identity: readIdentity(new Window(file)), facts: readElf(file), code: null, because: '' }
  } catch (error) {
    if (!(error instanceof AppcError)) throw error
    return { identity: identityOf(file), facts: null, code: error.code, because: error.message }
  }
}

function identityOf(file: OpenFile): Identity | null {
  try {
    return readIdentity(new Window(file))
  } catch (error) {
    if (!(error instanceof AppcError)) throw error
    return null
  }
}
