import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import type { Candidates, FoundFile } from './candidate.js'
import { symbolsAt } from './content.js'
import { base } from './file-system.js'
import { remember } from './remember.js'
import { type Found, libraryPathOf, NOT_FOUND, type Requester, type Rules, Trail, tryPath } from './search.js'
import type { SearchContext } from './types.js'

/** Names that stand for musl itself, which is loader, C library and the rest in one file (load_library, ldso/dynlink.c). */
const RESERVED = /^lib(?:c|pthread|rt|m|dl|util|xnet)\./

/** Longer names are not even looked for. */
const NAME_MAX = 255

/** load_library's buffer for a searched path, 2*NAME_MAX+2: a directory with which it would not fit is passed over. */
const PATH_BUFFER = 512

/** How musl 1.2 searches: the first file that opens wins, whatever it is. */
export function muslRules(candidates: Candidates, context: SearchContext): Rules {
  const { loader } = candidates
  const libraryPath = libraryPathOf(context, loader).filter(directory => directory !== '')

  /** null: the list is exhausted; the search goes on. An error that is not an absence ends the whole search. */
  function openPath(name: string, directories: readonly string[], how: Found['how'], trail: Trail): Found | null {
    for (const directory of directories) {
      const path = `${directory}/${name}`
      if (Buffer.byteLength(path) >= PATH_BUFFER) continue
      const found = tryPath(candidates, absolute(path, context), how, trail)
      if (typeof found !== 'string') return found
      if (!['ENOENT', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG'].includes(found)) return NOT_FOUND
    }
    return null
  }

  /** RUNPATH and RPATH alike (the first where there are both), of who asks and of all who had each other loaded. */
  function inherited(name: string, requester: Requester, trail: Trail): Found | null {
    for (let object: Requester | null = requester; object !== null; object = object.loader) {
      const { runpath, rpath } = object.facts
      const directories = splitPath(expandOrigin(runpath ?? rpath ?? '', object.path))
      const found = openPath(name, directories, runpath === null ? 'rpath' : 'runpath', trail)
      if (found !== null) return found
    }
    return null
  }

  function find(name: string, requester: Requester, trail: Trail): Found {
    if (name === '') return NOT_FOUND
    if (name.includes('/')) {
      const found = tryPath(candidates, absolute(name, context), 'path', trail)
      return typeof found === 'string' ? NOT_FOUND : found
    }
    if (Buffer.byteLength(name) > NAME_MAX) return NOT_FOUND
    return (
      openPath(name, libraryPath, 'ld-library-path', trail) ??
      inherited(name, requester, trail) ??
      openPath(name, loader.systemDirectories, 'system-directory', trail) ??
      NOT_FOUND
    )
  }

  return {
    expand: name => name,
    /** The name of the file that a search first led to, and never another: no soname, and no name with a slash. */
    answers: (requested, { path }) => (requested.includes('/') ? [] : [base(path)]),
    givesMoreNames: false,
    isLoader: name => RESERVED.test(name) || name === loader.path,
    search(name, requester) {
      const trail = new Trail()
      return trail.answer(judge(candidates, find(name, requester, trail)))
    },
    checksVersions: false,
  }
}

/** What musl makes of the file that opened. */
function judge(candidates: Candidates, found: Found): Found {
  const { loader } = candidates
  if (found.file === null) return found
  // It maps what another machine's loader should, and fails over the relocations.
  if (found.file.facts.machine !== loader.machine) {
    return { ...found, unusable: { path: found.file.path, because: 'it is for another machine' } }
  }
  return isCLibrary(candidates, found.file) ? { ...found, file: candidates.interpreter() } : found
}

const cLibraries = new WeakMap<ElfFacts, boolean>()

/** A second C library, musl's or glibc's, is never loaded, whatever its name: musl stands in for it. */
function isCLibrary({ fs }: Candidates, { realPath, facts }: FoundFile): boolean {
  return remember(cLibraries, facts, () => {
    try {
      const defined = new Set(symbolsAt(fs, realPath).exports.map(({ name }) => name))
      return defined.has('__libc_start_main') && defined.has('stdin')
    } catch (error) {
      // Symbols that cannot be read are none that musl could find.
      if (error instanceof AppcError) return false
      throw error
    }
  })
}

/** fixup_rpath: only $ORIGIN is known, even with letters after it; any other dollar sign voids the whole path. */
function expandOrigin(text: string, path: string): string {
  if (/\$(?!ORIGIN|\{ORIGIN\})/.test(text)) return ''
  // Of a file in the root directory it is nothing at all.
  return text.replaceAll(/\$(?:ORIGIN|\{ORIGIN\})/g, () => path.slice(0, path.lastIndexOf('/')))
}

function splitPath(text: string): string[] {
  return text.split(/[:\n]/).filter(directory => directory !== '')
}

function absolute(path: string, { workingDirectory = '/' }: SearchContext): string {
  return path.startsWith('/') ? path : `${workingDirectory === '/' ? '' : workingDirectory}/${path}`
}
