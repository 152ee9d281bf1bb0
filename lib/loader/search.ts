import type { ElfFacts } from '../elf/types.js'
import type { Candidates, FoundFile } from './candidate.js'
import type { How, Loader, SearchContext } from './types.js'
import { REPLACEMENT } from './unreadable.js'

/** A loaded object as the search sees it. */
export interface Requester {
  readonly file: FoundFile
  /** As opened; for the program without symlinks, as the kernel's /proc/self/exe has it. */
  readonly path: string
  readonly facts: ElfFacts
  /** Who had it loaded first; null for the program. */
  readonly loader: Requester | null
}

/** How one family of loaders works. */
export interface Rules {
  /** A NEEDED name of the object opened by this path with its tokens expanded, which comes before all else; null where that fails. */
  expand(name: string, path: string): string | null
  /** The names that an object answers to from now on, once it was loaded (or found again) by a name. */
  answers(requested: string, file: FoundFile): readonly string[]
  /** Whether one that has a name gets another when it is found again. */
  readonly givesMoreNames: boolean
  /** True for names that stand for the loader itself. */
  isLoader(name: string): boolean
  /** Finds a name that no loaded object answers to; to a preload, which the program asks for, other rules may apply. */
  search(name: string, requester: Requester, preload?: 'preload'): Answer
  /** Whether versions that are missing end the program at its start. */
  readonly checksVersions: boolean
}

/** The elements of LD_LIBRARY_PATH: glibc takes semicolons for colons too (fillin_rpath), musl ends of lines (path_open). */
export function libraryPathOf({ libraryPath }: SearchContext, { kind }: Loader): readonly string[] {
  return libraryPath.flatMap(element => element.split(kind === 'glibc' ? ';' : '\n'))
}

/** What a list of directories, or the whole search, came to. */
export interface Found {
  /** null: not found, or found and unusable. */
  readonly file: FoundFile | null
  readonly how: How
  /** Where the search ended in a file that cannot be loaded. */
  readonly unusable: { readonly path: string; readonly because: string } | null
}

/** A search's result with what it rests on. One answer serves all who would be given the same. */
export interface Answer extends Found {
  /** The paths tried in vain, in order. */
  readonly tried: readonly string[]
  /** Every link that was walked and every name whose absence was relied upon. */
  readonly watched: readonly string[]
  /** Why it cannot be told, and the answer holds only if nothing is found there; null as a rule. */
  readonly undecidable: string | null
}

export const NOT_FOUND: Found = { file: null, how: 'not-found', unusable: null }

/** What a search leaves behind on its way. */
export class Trail {
  readonly tried = new Set<string>()
  readonly watched = new Set<string>()
  undecidable: string | null = null

  /** `setuidOnly`: files without the setuid bit are passed over. */
  constructor(readonly setuidOnly = false) {}

  answer({ file, how, unusable }: Found): Answer {
    const tried = [...this.tried]
    return { file, how, unusable, tried, watched: [...this.watched], undecidable: this.undecidable ?? undecoded(tried) }
  }
}

/** The loader takes names as bytes. Those that are not UTF-8 cannot be looked for here, though it may find them. */
function undecoded(tried: readonly string[]): string | null {
  const lost = tried.find(path => path.includes(REPLACEMENT))
  return lost === undefined ? null : `${lost} is not UTF-8, and is not looked for`
}

/** What one path gave; an errno means that the search goes on. */
export function tryPath(candidates: Candidates, path: string, how: How, trail: Trail): Found | string {
  const probe = candidates.probe(path, trail.watched)
  if (probe.kind === 'found') {
    if (!trail.setuidOnly || candidates.isSetuid(probe.file)) return { file: probe.file, how, unusable: null }
    trail.tried.add(path)
    return 'ENOENT'
  }
  if (probe.kind === 'fatal') return { file: null, how: 'not-found', unusable: { path, because: probe.because } }
  trail.tried.add(path)
  return probe.errno
}
