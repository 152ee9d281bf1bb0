import { base } from './file-system.js'
import type { Edge, Graph } from './types.js'

/** What a loader makes of one file, in the terms in which a graph and the real loader's answer are compared. */
export interface LoaderAnswer {
  /** In the order in which the loader tells of them, each under the name by which it was first asked for. */
  readonly libraries: readonly NamedFile[]
  /** Names for which nothing was loaded, each once. */
  readonly missing: readonly string[]
  readonly missingVersions: readonly MissingVersion[]
  /**
   * The file over which the loader gives up, and then it tells of nothing else; null where it goes on to the end. The real one may
   * tell of a name in its place, or of nothing but its own source.
   */
  readonly refused: string | null
}

export interface NamedFile {
  readonly name: string
  readonly path: string
}

export interface MissingVersion {
  /** The library that lacks it. */
  readonly path: string
  readonly version: string
  readonly by: string
}

/** One thing that the two do not say alike; null where one says nothing of it. */
export interface Difference {
  readonly about: 'refusal' | 'library' | 'order' | 'missing' | 'version'
  readonly ours: string | null
  readonly theirs: string | null
}

/** Where a graph and what the real loader said of the same file differ; empty where it is exact. */
export function compareAnswers(graph: Graph, theirs: LoaderAnswer): Difference[] {
  const ours = answerOf(graph)
  if (!isSameRefusal(ours.refused, theirs.refused)) {
    return [{ about: 'refusal', ours: ours.refused, theirs: theirs.refused }]
  }
  if (ours.refused !== null) return []
  const text = ({ name, path }: NamedFile) => `${name} => ${withoutDots(path)}`
  const versionText = ({ path, version, by }: MissingVersion) =>
    `${version} of ${withoutDots(path)}, needed by ${withoutDots(by)}`
  return [
    ...compareLists('library', ours.libraries.map(text), withoutIdleLoader(ours, theirs, graph).map(text)),
    ...compareLists('missing', [...ours.missing].sort(), withoutAuxiliaries(theirs.missing, graph).sort()),
    ...compareLists(
      'version',
      ours.missingVersions.map(versionText).sort(),
      theirs.missingVersions.map(versionText).sort(),
    ),
  ]
}

export function differenceInWords({ about, ours, theirs }: Difference): string {
  switch (about) {
    case 'refusal':
      return `${refusalInWords('appc', ours)}; ${refusalInWords('the loader', theirs)}`
    case 'library':
      return theirs === null ? `only appc loads ${ours}` : `only the loader loads ${theirs}`
    case 'order':
      return `where appc has ${ours}, the loader has ${theirs}`
    case 'missing':
      return theirs === null ? `only appc misses ${ours}` : `only the loader misses ${theirs}`
    case 'version':
      return theirs === null ? `only appc misses version ${ours}` : `only the loader misses version ${theirs}`
  }
}

function refusalInWords(who: string, refused: string | null): string {
  return refused === null ? `${who} refuses nothing` : `${who} refuses: ${refused}`
}

/** What is in one list alone; where that is nothing, the first place at which their order differs. */
function compareLists(
  about: 'library' | 'missing' | 'version',
  ours: readonly string[],
  theirs: readonly string[],
): Difference[] {
  const differences = [
    ...without(ours, theirs).map(text => ({ about, ours: text, theirs: null })),
    ...without(theirs, ours).map(text => ({ about, ours: null, theirs: text })),
  ]
  if (differences.length > 0) return differences
  const place = ours.findIndex((text, index) => text !== theirs[index])
  return place === -1 ? [] : [{ about: 'order', ours: ours[place] as string, theirs: theirs[place] as string }]
}

/** The items of one list that are left when those of the other are taken away, one for one. */
function without(list: readonly string[], others: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const item of others) counts.set(item, (counts.get(item) ?? 0) + 1)
  return list.filter(item => {
    const left = counts.get(item) ?? 0
    counts.set(item, left - 1)
    return left <= 0
  })
}

/** The loader tells of `./libx.so` alike whether a list has `.` or an empty element. */
function withoutDots(path: string): string {
  return path.replaceAll('/./', '/')
}

/** Of a program that was to be loaded as a library the loader tells the name; where one of its assertions fails, its own source. */
function isSameRefusal(ours: string | null, theirs: string | null): boolean {
  if (ours === null || theirs === null) return ours === theirs
  return (
    withoutDots(theirs) === withoutDots(ours) ||
    theirs === base(ours) ||
    theirs.startsWith('Inconsistency detected by ld.so: ')
  )
}

/** A trace tells of an auxiliary filtee that is not there too, which nobody misses. */
function withoutAuxiliaries(missing: readonly string[], { objects, edges }: Graph): string[] {
  const asked = new Set(edges.map(({ name }) => name))
  const auxiliaries = new Set(objects.flatMap(({ facts }) => facts.auxiliaries))
  return missing.filter(name => asked.has(name) || !auxiliaries.has(name))
}

/** glibc's loader that nobody needs is told of last or not at all, by version; that is no difference. */
function withoutIdleLoader(ours: LoaderAnswer, theirs: LoaderAnswer, { loader }: Graph): readonly NamedFile[] {
  const isIdle = ours.libraries.every(({ path }) => path !== loader?.path)
  return isIdle && theirs.libraries.at(-1)?.path === loader?.path ? theirs.libraries.slice(0, -1) : theirs.libraries
}

/** A graph as the loader that it is about would tell of it. */
function answerOf(graph: Graph): LoaderAnswer {
  const musl = graph.loader?.kind === 'musl'
  const refusal = graph.problems.find(problem => problem.kind === 'unusable')
  return {
    libraries: musl ? muslLibraries(graph) : glibcLibraries(graph),
    missing: [...new Set(told(graph).flatMap(({ name, to }) => (to === -1 ? [name] : [])))],
    missingVersions: graph.problems.flatMap(problem =>
      problem.kind === 'missing-version'
        ? [{ path: answering(graph, problem.file), version: problem.version, by: problem.by }]
        : [],
    ),
    // musl goes on after a file that it cannot load, and tells of it as of one that is not there.
    refused: musl ? null : (refusal?.path ?? null),
  }
}

function answering(graph: Graph, name: string): string {
  return graph.objects.find(({ names }) => names.includes(name))?.path ?? name
}

/** Where the program itself needs nothing, glibc's trace says "statically linked" even of preloads. */
function told({ objects, edges, loader }: Graph): readonly Edge[] {
  return loader?.kind === 'glibc' && objects[0]?.facts.needed.length === 0 ? [] : edges
}

/** In load order. A trace begins behind the program, and so leaves out what the program is a filter for. */
function glibcLibraries(graph: Graph): NamedFile[] {
  const first = firstEdges(graph)
  const isIdle = graph.edges.filter(({ to }) => graph.objects[to]?.path === graph.loader?.path).length <= 1
  return graph.objects.flatMap(({ path }, index) => {
    const edge = index > (graph.filtees ?? 0) ? first.get(index) : undefined
    return edge === undefined || (isIdle && path === graph.loader?.path) ? [] : [{ name: edge.name, path }]
  })
}

/** In the order of the searches. Of its own names musl tells once each: `libc.so` and `libc.so.6` are the same. */
function muslLibraries(graph: Graph): NamedFile[] {
  const first = firstEdges(graph)
  const loader = graph.loader?.path
  const told = new Set<string>()
  return graph.edges.flatMap(edge => {
    const path = graph.objects[edge.to]?.path
    if (path === undefined) return []
    if (path !== loader) return first.get(edge.to) === edge ? [{ name: edge.name, path }] : []
    if (edge.name === loader) return []
    // By any other name than its own it is a C library that it stands in for.
    const name = /^lib(?:c|pthread|rt|m|dl|util|xnet)\./.test(edge.name) ? edge.name : 'libc.so'
    const stem = name.split('.', 1)[0] as string
    if (told.has(stem)) return []
    told.add(stem)
    return [{ name, path }]
  })
}

/** For each object but the program, the edge that had it loaded: the first that leads to it. */
function firstEdges(graph: Graph): Map<number, Edge> {
  const edges = new Map<number, Edge>()
  for (const edge of told(graph)) if (edge.to > 0 && !edges.has(edge.to)) edges.set(edge.to, edge)
  return edges
}
