import type { ElfFacts } from '../elf/types.js'
import type { Candidates } from './candidate.js'
import { parent } from './file-system.js'
import { type Found, NOT_FOUND, type Requester, type Rules, Trail, tryPath } from './search.js'
import type { SearchContext } from './types.js'

/** Names that stand for musl itself, which is loader, C library and the rest in one file (load_library, ldso/dynlink.c). */
const RESERVED = /^lib(?:c|pthread|rt|m|dl|util|xnet)\./

/** NAME_MAX: longer names are not even looked for. */
const NAME_MAX = 255

/** How musl 1.2 searches: the first file that opens wins, and nothing is passed over. */
export function muslRules(candidates: Candidates, context: SearchContext): Rules {
  const { loader } = candidates

  /** null: the list is exhausted; the search goes on. An error that is not an absence ends the whole search. */
  function openPath(name: string, directories: readonly string[], how: Found['how'], trail: Trail): Found | null {
    for (const directory of directories) {
      if (directory === '') continue
      const found = tryPath(candidates, absolute(`${directory}/${name}`, context), how, trail)
      if (typeof found !== 'string') return found
      if (!['ENOENT', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG'].includes(found)) return NOT_FOUND
    }
    return null
  }

  function inherited(name: string, requester: Requester, trail: Trail): Found | null {
    for (let object: Requester | null = requester; object !== null; object = object.loader) {
      const { runpath, rpath } = object.facts
      const found = openPath(
        name,
        splitPath(runpath ?? rpath ?? '', object),
        runpath === null ? 'rpath' : 'runpath',
        trail,
      )
      if (found !== null) return found
    }
    return null
  }

  function find(name: string, requester: Requester, trail: Trail): Found {
    if (name.includes('/')) {
      const found = tryPath(candidates, absolute(name, context), 'path', trail)
      return typeof found === 'string' ? NOT_FOUND : found
    }
    if (Buffer.byteLength(name) > NAME_MAX) return NOT_FOUND
    return (
      openPath(name, context.libraryPath, 'ld-library-path', trail) ??
      inherited(name, requester, trail) ??
      openPath(name, loader.systemDirectories, 'system-directory', trail) ??
      NOT_FOUND
    )
  }

  return {
    expand: name => name,
    answers: requested => (requested.includes('/') ? [] : [requested]),
    isLoader: name => RESERVED.test(name) || name === loader.path,
    search(name, requester) {
      const trail = new Trail()
      return trail.answer(find(name, requester, trail))
    },
    checkVersions: () => [],
  }
}

/** fixup_rpath: only $ORIGIN is known, even with letters after it; any other dollar sign voids the whole path. */
function splitPath(text: string, { path }: { path: string; facts: ElfFacts }): string[] {
  if (/\$(?!ORIGIN|\{ORIGIN\})/.test(text)) return []
  return text.replaceAll(/\$(?:ORIGIN|\{ORIGIN\})/g, () => parent(path)).split(/[:\n]/)
}

function absolute(path: string, { workingDirectory = '/' }: SearchContext): string {
  return path.startsWith('/') ? path : `${workingDirectory === '/' ? '' : workingDirectory}/${path}`
}
