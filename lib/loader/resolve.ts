import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { Assembler } from './assembly.js'
import { Candidates, type FoundFile, fileId } from './candidate.js'
import { FactsCache } from './facts-cache.js'
import { errorCode, readWhole, resolvePath } from './file-system.js'
import { glibcRules } from './glibc.js'
import { readLoader, usualInterpreter } from './loader.js'
import { muslRules } from './musl.js'
import { remember } from './remember.js'
import type { FileSystem, Graph, Loader, Problem, SearchContext } from './types.js'
import { unreadable } from './unreadable.js'

const DF_1_PIE = 0x0800_0000
const PRELOAD_FILE = '/etc/ld.so.preload'
const MAX_PRELOAD_SIZE = 65_536
const SECURE_NAME_LIMIT = 255

export interface ResolveContext extends SearchContext {
  /** The loader for a file that names none (a library); absent: the usual one of its machine in this root. */
  readonly interpreter?: string
}

/**
 * What the loader would load for a program or library (an absolute path in `fs`): every object, by which rule, and what is
 * wrong. A file that cannot be loaded is a problem in the graph; only a program that is missing, unreadable or no ELF file
 * throws. Pass one FactsCache for many files, and one context object: what they share is then looked at once.
 */
export function resolveGraph(
  fs: FileSystem,
  programPath: string,
  context: ResolveContext,
  cache = new FactsCache(),
): Graph {
  const { program, links } = openProgram(fs, programPath, cache)
  const interpreter = chooseInterpreter(fs, program.facts, context)
  if (interpreter === null) return bare(program, links, [])
  const search = searchFor(fs, interpreter, context, cache)
  const watched = [...links, ...search.watched]
  if (search.assembler !== null) return search.assembler.assemble(program, search.preloads, watched)
  return bare(program, watched, [{ kind: 'missing-library', name: interpreter, by: program.path }])
}

function openProgram(
  fs: FileSystem,
  path: string,
  cache: FactsCache,
): { program: FoundFile; links: readonly string[] } {
  const { path: realPath, stat, links, missing } = readable(path, () => resolvePath(fs, path))
  if (realPath === null) {
    throw new AppcError('FILE_MISSING', `${path} does not exist`, { because: `there is no ${missing}` })
  }
  if (stat.kind !== 'file')
    throw new AppcError('ELF_NOT', `${path} is not a regular file`, {
      because: stat.kind === 'directory' ? 'it is a directory' : 'it is a device, a pipe or a socket',
    })
  const { facts, code, because } = readable(path, () => cache.inspect(fs, realPath, stat))
  if (facts === null) {
    throw new AppcError(code ?? 'ELF_NOT', `${path} has no libraries to tell of`, {
      because,
      hint: 'name an ELF program or library',
    })
  }
  // The kernel starts a program by the real path: /proc/self/exe, from which the loader takes $ORIGIN.
  return { program: { path: realPath, realPath, facts, id: fileId(stat) }, links }
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    errorCode(error)
    throw unreadable(path, error)
  }
}

/** null for a static program, static-PIE too, and for a library without a loader in this root. */
function chooseInterpreter(fs: FileSystem, facts: ElfFacts, context: ResolveContext): string | null {
  if (!facts.dynamic) return null
  if (facts.interpreter !== null) return facts.interpreter
  if ((facts.flags1 & DF_1_PIE) !== 0) return null
  return context.interpreter ?? usualInterpreter(fs, facts)
}

function bare(program: FoundFile, watched: readonly string[], problems: Problem[]): Graph {
  const { path, realPath, facts } = program
  return { objects: [{ path, realPath, facts, names: [path] }], edges: [], loader: null, problems, watched }
}

/** What is found out once for an interpreter, and serves every program that names it. `watched`: what all that rests on. */
type Search = { readonly watched: readonly string[] } & (
  | { readonly assembler: Assembler; readonly preloads: readonly string[] }
  | { readonly assembler: null }
)

const searches = new WeakMap<FactsCache, WeakMap<FileSystem, WeakMap<SearchContext, Map<string, Search>>>>()

/** One search for each root, context and interpreter, kept as long as the cache is. */
export function searchFor(fs: FileSystem, interpreter: string, context: SearchContext, cache: FactsCache): Search {
  const byRoot = remember(searches, cache, () => new WeakMap())
  const byContext = remember(byRoot, fs, () => new WeakMap())
  const byInterpreter = remember(byContext, context, () => new Map())
  return remember(byInterpreter, interpreter, () => makeSearch(fs, interpreter, context, cache))
}

function makeSearch(fs: FileSystem, interpreter: string, context: SearchContext, cache: FactsCache): Search {
  const { links, missing } = resolvePath(fs, interpreter)
  if (missing !== null) return { assembler: null, watched: [...links, missing] }
  const loader = readLoader(fs, interpreter)
  const candidates = new Candidates(fs, cache, loader)
  const asked = context.preload.filter(name => name !== '' && isHeard(name, loader, context))
  if (loader.kind === 'musl') {
    // A program with rights is searched for as if LD_LIBRARY_PATH were not set (musl 1.2, __dls3 of ldso/dynlink.c).
    const heard = context.secure === true ? { ...context, libraryPath: [] } : context
    return { assembler: new Assembler(candidates, muslRules(candidates, heard)), preloads: asked, watched: links }
  }
  const assembler = new Assembler(candidates, glibcRules(candidates, context))
  return { assembler, preloads: [...asked, ...listedPreloads(fs)], watched: [...links, PRELOAD_FILE] }
}

/** A program with rights hears of glibc's loader only names that are searched for (dso_name_valid_for_suid, elf/rtld.c), of musl's none. */
function isHeard(name: string, { kind }: Loader, { secure }: SearchContext): boolean {
  return secure !== true || (kind === 'glibc' && !name.includes('/') && name.length < SECURE_NAME_LIMIT)
}

/** Names stand between white space or colons, with comments (glibc 2.36, elf/rtld.c). */
export function listedPreloads(fs: FileSystem): string[] {
  const text = readWhole(fs, PRELOAD_FILE, MAX_PRELOAD_SIZE)?.toString() ?? ''
  return text
    .replaceAll(/#.*/g, '')
    .split(/[ \t\n:]/)
    .filter(name => name !== '')
}
