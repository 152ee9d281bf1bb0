import { posix } from 'node:path'
import { LibraryCache } from './cache.js'
import type { Candidates, FoundFile } from './candidate.js'
import { hwcapsLevels, platformOf, searchSubdirectories } from './cpu.js'
import { join, parent } from './file-system.js'
import { remember } from './remember.js'
import {
  type Answer,
  type Found,
  libraryPathOf,
  NOT_FOUND,
  type Requester,
  type Rules,
  Trail,
  tryPath,
} from './search.js'
import { expandTokens, hasTokens, startsWithOrigin } from './tokens.js'
import type { How, Loader, SearchContext } from './types.js'
import { atLeast } from './version.js'

const LISTS: Readonly<Partial<Record<How, string>>> = {
  rpath: 'an element of an RPATH is relative or empty',
  runpath: 'an element of a RUNPATH is relative or empty',
  'ld-library-path': 'an element of LD_LIBRARY_PATH is relative or empty',
}

const DF_1_NODEFLIB = 0x800

/** How glibc searches: elf/dl-load.c and elf/dl-deps.c of 2.31 to 2.42. */
export function glibcRules(candidates: Candidates, context: SearchContext): Rules {
  return new GlibcRules(candidates, context)
}

/** A directory that is searched, and where it really is: null when it does not exist, which the loader remembers too. */
interface Place {
  readonly path: string
  readonly real: string | null
  readonly watched: readonly string[]
}

class GlibcRules implements Rules {
  readonly checksVersions = true
  readonly givesMoreNames = true
  readonly #candidates: Candidates
  readonly #workingDirectory: string | null
  readonly #libraryPath: readonly string[]
  readonly #secure: boolean
  readonly #platform: string
  /** LD_LIBRARY_PATH holds a token, which stands for something else with each program. */
  readonly #libraryPathVaries: boolean
  readonly #loader: Loader
  readonly #cache: LibraryCache | null
  readonly #levels: readonly string[]
  readonly #subdirectories: readonly string[]
  readonly #directories = new WeakMap<FoundFile, Map<string, readonly string[]>>()
  /** By what the asker itself adds to a search; most add nothing. */
  readonly #answers = new Map<string, Map<string, Answer>>()
  readonly #places = new Map<string, readonly Place[]>()

  constructor(candidates: Candidates, context: SearchContext) {
    this.#candidates = candidates
    this.#loader = candidates.loader
    this.#workingDirectory = context.workingDirectory ?? null
    this.#secure = context.secure === true
    this.#platform = platformOf(candidates.loader, context)
    // A variable that is empty counts as unset, as do all that could lead a program with rights astray (elf/rtld.c). One that is
    // but a separator is not empty: both of its elements are the working directory.
    const isUnset = this.#secure || context.libraryPath.join(':') === ''
    this.#libraryPath = isUnset ? [] : libraryPathOf(context, candidates.loader)
    this.#libraryPathVaries = this.#libraryPath.some(element => element.includes('$'))
    this.#cache = LibraryCache.read(candidates.fs, candidates.loader)
    this.#levels = hwcapsLevels(candidates.loader, context)
    this.#subdirectories = searchSubdirectories(candidates.loader, context)
  }

  expand(name: string, path: string): string | null {
    // "DST not allowed in SUID/SGID programs" (elf/dl-deps.c).
    if (this.#secure && hasTokens(name)) return null
    return this.#expand(name, path) || null
  }

  answers(requested: string, { facts }: FoundFile): readonly string[] {
    return facts.soname === null ? [requested] : [requested, facts.soname]
  }

  isLoader(): boolean {
    return false
  }

  search(name: string, requester: Requester, preload?: 'preload'): Answer {
    if (this.#secure && preload !== undefined) return this.#search(name, requester, new Trail(!name.includes('/')))
    const known = name.includes('$') ? null : this.#knownAnswers(requester)
    const answer = known?.get(name)
    if (answer !== undefined) return answer
    const found = this.#search(name, requester)
    known?.set(name, found)
    return found
  }

  /** Where answers to such a requester are kept; null when they depend on who had it loaded. */
  #knownAnswers(requester: Requester): Map<string, Answer> | null {
    if (this.#libraryPathVaries || (requester.facts.runpath === null && hasRpathAbove(requester))) return null
    const { file } = requester
    if (file.answers === undefined) {
      const own = [noDefaultLibraries(requester), ...this.#pathOf(requester, 'runpath')].join('\0')
      file.answers = remember(this.#answers, own, () => new Map())
    }
    return file.answers
  }

  #search(name: string, requester: Requester, trail = new Trail()): Answer {
    return trail.answer(this.#find(name, requester, trail))
  }

  #find(name: string, requester: Requester, trail: Trail): Found {
    if (name.includes('/')) return this.#findPath(name, requester, trail)
    return (
      this.#rpath(name, requester, trail) ??
      this.#openPath(name, this.#libraryPathFor(requester), 'ld-library-path', trail) ??
      this.#openPath(name, this.#pathOf(requester, 'runpath'), 'runpath', trail) ??
      this.#cached(name, requester, trail) ??
      this.#system(name, requester, trail) ??
      NOT_FOUND
    )
  }

  /** Tokens of NEEDED entries are expanded before; those in preloads and in what dlopen is given, here. */
  #findPath(name: string, requester: Requester, trail: Trail): Found {
    const expanded = this.#expandFor(name, requester)
    if (expanded === null) return NOT_FOUND
    const path = this.#absolute(expanded)
    if (path === null) {
      trail.undecidable = `${name} is taken from the working directory, which is not known`
      return NOT_FOUND
    }
    const found = tryPath(this.#candidates, path, 'path', trail)
    return typeof found === 'string' ? NOT_FOUND : found
  }

  /** An object's RPATH, then up the chain of who loaded whom, then the program's; RUNPATH of the object ends it at once. */
  #rpath(name: string, requester: Requester, trail: Trail): Found | null {
    if (requester.facts.runpath !== null) return null
    for (let object: Requester | null = requester; object !== null; object = object.loader) {
      const found = this.#openPath(name, this.#pathOf(object, 'rpath'), 'rpath', trail)
      if (found !== null) return found
    }
    return null
  }

  #cached(name: string, requester: Requester, trail: Trail): Found | null {
    // _dl_map_object leaves the cache out for preloads that must be setuid.
    const hit = trail.setuidOnly ? null : (this.#cache?.lookup(name, this.#levels) ?? null)
    if (hit === null) return null
    const path = this.#absolute(hit)
    if (path === null) {
      trail.undecidable = `${name} is looked for in the working directory, which is not known (its path in ld.so.cache is relative)`
      return null
    }
    // elf/dl-load.c compares prefixes, so sub-directories of a system directory count as well.
    const system = this.#loader.systemDirectories.some(directory => path.startsWith(`${directory}/`))
    if (system && noDefaultLibraries(requester)) return null
    const found = tryPath(this.#candidates, path, 'cache', trail)
    return typeof found === 'string' ? null : found
  }

  #system(name: string, requester: Requester, trail: Trail): Found | null {
    if (noDefaultLibraries(requester)) return null
    return this.#openPath(name, this.#loader.systemDirectories, 'system-directory', trail)
  }

  /** open_path: each directory with its sub-directories for the CPU. Errors but the expected ones end the whole list. */
  #openPath(name: string, directories: readonly string[], how: Found['how'], trail: Trail): Found | null {
    for (const directory of directories) {
      if (!directory.startsWith('/')) {
        trail.undecidable = `${name} is looked for in the working directory, which is not known (${LISTS[how]})`
        continue
      }
      let errno: string | null = null
      for (const place of this.#placesIn(directory)) {
        for (const path of place.watched) trail.watched.add(path)
        if (place.real === null) {
          trail.tried.add(place.path)
          continue
        }
        const full = join(place.path, name)
        if (this.#candidates.mayHold(place.real, name)) {
          const found = tryPath(this.#candidates, full, how, trail)
          if (typeof found !== 'string') return found
          errno = found
        } else {
          trail.tried.add(full)
          trail.watched.add(join(place.real, name))
          errno = 'ENOENT'
        }
      }
      if (errno !== null && !this.#goesOn(errno)) return null
    }
    return null
  }

  #placesIn(directory: string): readonly Place[] {
    return remember(this.#places, directory, () =>
      this.#subdirectories.map(subdirectory => {
        const path = subdirectory === '' ? directory : join(directory, subdirectory)
        return { path, ...this.#candidates.directory(path) }
      }),
    )
  }

  /** BZ 31035: until 2.39 a component that is no directory ended the list. */
  #goesOn(errno: string): boolean {
    return errno === 'ENOENT' || errno === 'EACCES' || (errno === 'ENOTDIR' && atLeast(this.#loader, 39))
  }

  #libraryPathFor(requester: Requester): readonly string[] {
    if (this.#libraryPath.length === 0) return []
    let program = requester
    while (program.loader !== null) program = program.loader
    return this.#remember(program, 'ld-library-path', () => this.#split(this.#libraryPath, program))
  }

  #pathOf(object: Requester, tag: 'rpath' | 'runpath'): readonly string[] {
    const text = tag === 'rpath' && object.facts.runpath !== null ? null : object.facts[tag]
    if (text === null || text === '') return []
    return this.#remember(object, tag, () => this.#split(text.split(':'), object))
  }

  #remember(object: Requester, key: string, make: () => readonly string[]): readonly string[] {
    return remember(
      remember(this.#directories, object.file, () => new Map<string, readonly string[]>()),
      key,
      make,
    )
  }

  /** fillin_rpath: tokens expanded, no directory twice; an empty element is the working directory. */
  #split(elements: readonly string[], object: Requester): string[] {
    const directories = new Set<string>()
    for (const element of elements) {
      const expanded = element === '' ? '' : this.#expandFor(element, object)
      if (expanded === null || (expanded === '' && element !== '')) continue
      const directory = expanded === '' ? this.#workingDirectory : this.#absolute(expanded)
      directories.add((directory ?? expanded).replace(/(?<=.)\/+$/, ''))
    }
    return [...directories]
  }

  #expandFor(text: string, object: Requester): string | null {
    const expanded = this.#expand(text, object.path)
    const mustBeTrusted = this.#secure && object.loader === null && startsWithOrigin(text)
    return expanded !== null && mustBeTrusted ? this.#trusted(expanded) : expanded
  }

  #expand(text: string, path: string): string | null {
    const { lib } = this.#loader
    return expandTokens(text, { origin: parent(path), originFirst: this.#secure, platform: this.#platform, lib })
  }

  /** is_trusted_path_normalize of elf/dl-load.c: whoever can make a link to a program would choose its $ORIGIN. */
  #trusted(path: string): string | null {
    const normal = posix.normalize(path)
    if (!this.#loader.systemDirectories.some(directory => `${normal}/`.startsWith(`${directory}/`))) return null
    // What was looked at is what is taken: so in 2.41, not yet in 2.36.
    return atLeast(this.#loader, 41) ? normal : path
  }

  /** null for a relative path where the working directory is not known. */
  #absolute(path: string): string | null {
    if (path.startsWith('/')) return path
    const base = this.#workingDirectory
    return base === null ? null : join(base, path)
  }
}

/** An RPATH of the object or of any above it is heard; an RPATH beside a RUNPATH is void. */
function hasRpathAbove(requester: Requester): boolean {
  for (let object: Requester | null = requester; object !== null; object = object.loader) {
    if (object.facts.rpath && object.facts.runpath === null) return true
  }
  return false
}

function noDefaultLibraries({ facts }: Requester): boolean {
  return (facts.flags1 & DF_1_NODEFLIB) !== 0
}
