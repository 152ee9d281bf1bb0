import { openElf, PT_TLS } from '../elf/header.js'
import { AppcError } from '../errors.js'
import type { Started } from './assembly.js'
import { fileId } from './candidate.js'
import { FactsCache } from './facts-cache.js'
import { searchFor } from './resolve.js'
import type { FileSystem, Graph, LoadedObject, Problem, SearchContext } from './types.js'

const DF_STATIC_TLS = 0x10
const DF_1_NOOPEN = 0x40
/** What glibc keeps for the static TLS of libraries that come later (elf/dl-tls.c, 2.31 to 2.41, with its default tunables). */
const STATIC_TLS_SURPLUS = 1664
/** The surplus ends where this alignment has it end, so up to as much may be there besides (TLS_INIT_TCB_ALIGN). */
const STATIC_TLS_ALIGN = 64

/** A program that runs: as it was started, or as a call of dlopen left it. */
export interface Process {
  readonly graph: Graph
  /** Bytes of the loader's surplus of static TLS that opened libraries have taken; 0 at the start. */
  readonly staticTls: number
}

/** The process after a call, what it adds being behind the other objects. The graph's problems are those of the call alone. */
export interface Dlopened extends Process {
  /** Index of what the call is about; -1 where it was not found. */
  readonly object: number
}

/**
 * What `dlopen(name)` would load, called by one object of a program that runs in the same root and context. The search is that of
 * a NEEDED entry of the caller. A problem means that the call fails, and then the process stays as it was.
 */
export function resolveDlopen(
  fs: FileSystem,
  process: Process,
  caller: number,
  name: string,
  context: SearchContext,
  cache = new FactsCache(),
): Dlopened {
  const { graph: program } = process
  const { loader } = program
  const search = loader === null ? null : searchFor(fs, loader.path, context, cache)
  if (search === null || search.assembler === null) {
    throw new AppcError('LOADER_UNKNOWN', `${program.objects[0]?.path} has no loader that could open ${name}`)
  }
  const { graph, object } = search.assembler.open(startedObjects(fs, program), caller, name)
  const added = graph.objects.slice(program.objects.length)
  const staticTls = process.staticTls + sum(added.map(object => staticTlsOf(fs, object)))
  const problems = [
    ...graph.problems,
    ...refused(added),
    ...(staticTls > process.staticTls ? tlsProblems(staticTls, graph, object) : []),
  ]
  const edges = [...program.edges, ...graph.edges]
  return { graph: { ...program, ...graph, edges, problems, watched: program.watched }, object, staticTls }
}

/** With who had each loaded: of the edges that lead to it, the first. */
function startedObjects(fs: FileSystem, { objects, edges }: Graph): Started[] {
  const loaders = new Map<number, number>()
  for (const { from, to, how } of edges) {
    if (!loaders.has(to)) loaders.set(to, how === 'interpreter' ? -1 : Math.max(from, 0))
  }
  loaders.set(0, -1)
  return objects.map(({ path, realPath, facts, names }, index) => {
    const stat = fs.lstat(realPath)
    if (stat === null) throw new AppcError('FILE_MISSING', `${realPath} has gone`)
    return { file: { path, realPath, facts, id: fileId(stat) }, names, loader: loaders.get(index) ?? -1 }
  })
}

/** "shared object cannot be dlopen()ed" (elf/dl-load.c), whichever of the added it is. */
function refused(added: readonly LoadedObject[]): Problem[] {
  return added
    .filter(({ facts }) => (facts.flags1 & DF_1_NOOPEN) !== 0)
    .map(({ path }) => ({ kind: 'unusable', path, by: path, because: 'it says that it cannot be opened by dlopen' }))
}

/** What a library of the initial-exec model takes of the threads' fixed block; others get theirs elsewhere. */
export function staticTlsOf(fs: FileSystem, { realPath, facts }: Pick<LoadedObject, 'realPath' | 'facts'>): number {
  if (!facts.tls || (facts.flags & DF_STATIC_TLS) === 0) return 0
  const file = fs.open(realPath)
  try {
    const segment = openElf(file).header.segments.find(({ type }) => type === PT_TLS)
    return segment === undefined ? 0 : align(segment.memorySize, segment.align)
  } finally {
    file.close()
  }
}

function tlsProblems(size: number, { loader, objects }: Graph, object: number): Problem[] {
  if (loader?.kind !== 'glibc' || size <= STATIC_TLS_SURPLUS) return []
  const path = objects[object]?.path ?? ''
  const because = `with it, opened libraries take ${size} bytes of static TLS, where the loader keeps ${STATIC_TLS_SURPLUS}`
  if (size >= STATIC_TLS_SURPLUS + STATIC_TLS_ALIGN) return [{ kind: 'unusable', path, by: path, because }]
  return [{ kind: 'undecidable', by: path, because: `${because}, and perhaps a little more` }]
}

function align(size: number, alignment: number): number {
  return alignment > 1 ? Math.ceil(size / alignment) * alignment : size
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
