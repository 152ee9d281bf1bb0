import { posix } from 'node:path'
import type { ElfFacts } from '../elf/types.js'
import { LibraryCache } from './cache.js'
import type { Candidates, FoundFile } from './candidate.js'
import { join, parent } from './file-system.js'
import { remember } from './remember.js'
import { type Answer, type Found, NOT_FOUND, type Requester, type Rules, Trail, tryPath } from './search.js'
import { expandTokens, hasTokens } from './tokens.js'
import type { How, Loader, Problem, SearchContext } from './types.js'
import { atLeast } from './version.js'

const LISTS: Readonly<Partial<Record<How, string>>> = {
  rpath: 'an element of an RPATH is relative or empty',
  runpath: 'an element of a RUNPATH is relative or empty',
  'ld-library-path': 'an element of LD_LIBRARY_PATH is relative or empty',
}

const DF_1_NODEFLIB = 0x800
const EM_386 = 3
const EM_X86_64 = 62

/** How glibc searches: elf/dl-load.c and elf/dl-deps.c of 2.31 to 2.42. */
export function glibcRules(candidates: Candidates, context: SearchContext): Rules {
  return new GlibcRules(candidates, context)
}

class GlibcRules implements Rules {
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
  /** Of searches in which no path of the asker's takes part; and of those by files with a RUNPATH or without defaults. */
  readonly #answers = new Map<string, Answer>()
  readonly #ownAnswers = new WeakMap<FoundFile, Map<string, Answer>>()
  readonly #needs = new WeakMap<FoundFile, readonly VersionsNeeded[]>()

  constructor(candidates: Candidates, context: SearchContext) {
    this.#candidates = candidates
    this.#loader = candidates.loader
    this.#workingDirectory = context.workingDirectory ?? null
    this.#secure = context.secure === true
    this.#platform = platformOf(candidates.loader, context)
    // A variable that is empty counts as unset, as do all that could lead a program with rights astray (elf/rtld.c).
    this.#libraryPath = this.#secure || context.libraryPath.every(element => element === '') ? [] : context.libraryPath
    this.#libraryPathVaries = this.#libraryPath.some(element => element.includes('$'))
    this.#cache = LibraryCache.read(candidates.fs, candidates.loader)
    this.#levels = hwcapsLevels(candidates.loader, context)
    this.#subdirectories = searchSubdirectories(candidates.loader, context)
  }

  expand(name: string, requester: Requester): string | null {
    // "DST not allowed in SUID/SGID programs" (elf/dl-deps.c).
    if (this.#secure && hasTokens(name)) return null
    return this.#expand(name, requester) || null
  }

  answers(requested: string, facts: ElfFacts): readonly string[] {
    return facts.soname === null ? [requested] : [requested, facts.soname]
  }

  isLoader(): boolean {
    return false
  }

  search(name: string, requester: Requester, preload?: 'preload'): Answer {
    if (this.#secure && preload !== undefined) return this.#search(name, requester, new Trail(!name.includes('/')))
    const known = name.includes('$') ? null : this.#knownAnswers(requester)
    return known === null ? this.#search(name, requester) : remember(known, name, () => this.#search(name, requester))
  }

  /** Where answers to this requester are kept; null when they depend on who had it loaded. */
  #knownAnswers(requester: Requester): Map<string, Answer> | null {
    if (this.#libraryPathVaries) return null
    const { runpath, flags1 } = requester.facts
    if (runpath === null && hasRpathAbove(requester)) return null
    if (runpath === null && (flags1 & DF_1_NODEFLIB) === 0) return this.#answers
    return remember(this.#ownAnswers, requester.file, () => new Map())
  }

  #search(name: string, requester: Requester, trail = new Trail()): Answer {
    return trail.answer(this.#find(name, requester, trail))
  }

  #find(name: string, requester: Requester, trail: Trail): Found {
    if (name.includes('/')) {
      // Those of NEEDED entries are expanded before; in preloads and what dlopen is given, here.
      const expanded = this.#expand(name, requester)
      if (expanded === null) return NOT_FOUND
      const path = this.#absolute(expanded)
      if (path === null) {
        trail.undecidable = `${name} is taken from the working directory, which is not known`
        return NOT_FOUND
      }
      const found = tryPath(this.#candidates, path, 'path', trail)
      return typeof found === 'string' ? NOT_FOUND : found
    }
    return (
      this.#rpath(name, requester, trail) ??
      this.#openPath(name, this.#libraryPathFor(requester), 'ld-library-path', trail) ??
      this.#openPath(name, this.#pathOf(requester, 'runpath'), 'runpath', trail) ??
      this.#cached(name, requester, trail) ??
      this.#system(name, requester, trail) ??
      NOT_FOUND
    )
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
    const path = trail.setuidOnly ? null : (this.#cache?.lookup(name, this.#levels) ?? null)
    if (path === null) return null
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
      for (const subdirectory of this.#subdirectories) {
        const full = directory === '/' ? `/${subdirectory}` : `${directory}/${subdirectory}`
        const real = this.#candidates.directory(full.slice(0, -1) || '/', trail.watched)
        if (real === null) {
          noteAbsent(full.slice(0, -1), trail)
          continue
        }
        if (!this.#candidates.mayHold(real, name)) {
          trail.tried.push(full + name)
          trail.watched.add(real === '/' ? `/${name}` : `${real}/${name}`)
          errno = 'ENOENT'
          continue
        }
        const found = tryPath(this.#candidates, full + name, how, trail)
        if (typeof found !== 'string') return found
        errno = found
      }
      if (errno !== null && !this.#goesOn(errno)) return null
    }
    return null
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
      const expanded = element === '' ? '' : this.#expand(element, object)
      if (expanded === null || (expanded === '' && element !== '')) continue
      const directory = expanded === '' ? this.#workingDirectory : this.#absolute(expanded)
      directories.add((directory ?? expanded).replace(/(?<=.)\/+$/, ''))
    }
    return [...directories]
  }

  #expand(text: string, object: Requester): string | null {
    const origin = parent(object.path)
    const { lib } = this.#loader
    const values = { origin, originFirst: this.#secure, platform: this.#platform, lib }
    const expanded = expandTokens(text, values)
    if (!this.#secure || expanded === null || object.loader !== null || expanded === text) return expanded
    return /^\$\{?ORIGIN/.test(text) ? this.#trusted(expanded) : expanded
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

  checkVersions(objects: readonly Requester[], named: (name: string) => ElfFacts | null): Problem[] {
    const problems: Problem[] = []
    for (const { path, facts, file } of objects) {
      for (const need of remember(this.#needs, file, () => needsOf(facts))) {
        for (const version of need.missingFrom(named(need.file))) {
          problems.push({ kind: 'missing-version', file: need.file, version, by: path })
        }
      }
    }
    return problems
  }
}

/** The versions that an object needs of one file. Thousands of programs ask the same of the same library: the last answer is kept. */
class VersionsNeeded {
  readonly versions: string[] = []
  #provider: ElfFacts | null = null
  #missing: readonly string[] = []

  constructor(readonly file: string) {}

  missingFrom(provider: ElfFacts | null): readonly string[] {
    if (provider !== this.#provider) {
      this.#provider = provider
      this.#missing = this.versions.filter(version => lacks(provider, version))
    }
    return this.#missing
  }
}

/** Those that are not weak: the loader only warns of these. */
function needsOf({ verneeds }: ElfFacts): VersionsNeeded[] {
  const byFile = new Map<string, VersionsNeeded>()
  for (const { file, version, weak } of verneeds) {
    if (!weak) remember(byFile, file, () => new VersionsNeeded(file)).versions.push(version)
  }
  return [...byFile.values()]
}

/** A provider without any versions is only warned about (_dl_check_map_versions), and one that is not there was told before. */
function lacks(provider: ElfFacts | null, version: string): boolean {
  if (provider === null || provider.verdefs.length === 0) return false
  return !provider.verdefs.some(({ name }) => name === version) && provider.soname !== version
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

/** A directory that does not exist is told of once in a search; the loader remembers it for good. */
function noteAbsent(directory: string, trail: Trail): void {
  if (!trail.tried.includes(directory)) trail.tried.push(directory)
}

/** Sub-directories of glibc-hwcaps that the CPU can use, best first. Only x86-64's are known to SearchContext. */
export function hwcapsLevels(loader: Loader, context: SearchContext): string[] {
  if (!atLeast(loader, 33) || loader.machine !== EM_X86_64) return []
  return [4, 3, 2].filter(level => level <= context.cpuLevel).map(level => `x86-64-v${level}`)
}

/** Prefixes tried in each search directory, in order, each '' or with a trailing slash. */
export function searchSubdirectories(loader: Loader, context: SearchContext): string[] {
  const levels = hwcapsLevels(loader, context).map(level => `glibc-hwcaps/${level}/`)
  return [...levels, ...(atLeast(loader, 37) ? [] : legacySubdirectories(loader, context)), '']
}

/** elf/dl-hwcaps.c before 2.37: every combination of `tls`, the platform and the CPU's features, the largest first. */
function legacySubdirectories(loader: Loader, context: SearchContext): string[] {
  const names = ['tls', platformOf(loader, context), ...legacyFeatures(loader, context)]
  const combinations = names.reduceRight<string[]>(
    (shorter, name) => [...shorter.map(rest => `${name}/${rest}`), ...shorter],
    [''],
  )
  return [...new Set(combinations.filter(path => path !== ''))]
}

function legacyFeatures({ machine }: Loader, { cpuLevel, intel }: SearchContext): string[] {
  if (machine === EM_386) return ['sse2']
  if (machine !== EM_X86_64) return []
  return intel === true && cpuLevel === 4 ? ['avx512_1', 'x86_64'] : ['x86_64']
}

/**
 * $PLATFORM: what the kernel says, but for Intel's CPUs of level 3 (sysdeps/x86/cpu-features.c, init_cpu_features, since 2.26).
 * Knights Landing alone has another name there, and is not told apart.
 */
function platformOf({ machine, platform }: Loader, { cpuLevel, intel }: SearchContext): string {
  return machine === EM_X86_64 && intel === true && cpuLevel >= 3 ? 'haswell' : platform
}
