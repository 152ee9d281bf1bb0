import type { DlopenNote, ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { type Dlopened, resolveDlopen } from '../loader/dlopen.js'
import { resolveGraph } from '../loader/resolve.js'
import type { Edge, Graph, How, LoadedObject, Loader, SearchContext } from '../loader/types.js'
import type { Harvest } from './harvest.js'
import type { Tree } from './tree.js'

/** The baseline CPU and no environment: what is packed must depend neither on the packer's machine nor on its variables. */
export const BASELINE: SearchContext = { cpuLevel: 0, libraryPath: [], preload: [] }

/** Steps by which a name without a path leads to a file in a directory that every program searches. */
const BY_NAME: ReadonlySet<How> = new Set(['cache', 'system-directory', 'interpreter'])

/** What the loader was found to do with the ELF files that were taken. */
export class Linkage {
  /** By file: where each of its NEEDED names led, as real paths. */
  readonly resolved = new Map<string, Map<string, string>>()
  /** By file: the same for the names that its notes say it opens by dlopen. */
  readonly dlopened = new Map<string, Map<string, string>>()
  /** Real paths of files that some search in the loader's own directories led to. */
  readonly reached = new Set<string>()
  /** Of the first entry that has one. */
  loader: Loader | null = null
  readonly #done = new Set<string>()
  readonly #notesDone = new Set<string>()

  /**
   * Takes the libraries that every taken ELF file needs, until none is missing. Entries come first: what they reach by their
   * RPATH is not found again when a library is looked at alone. Only an entry must find all that it needs; a package may
   * ship plugins for software that this tree does not have.
   */
  close(harvest: Harvest, machine: number, entries: readonly string[]): void {
    for (const path of entries) this.#follow(harvest, machine, path, true)
    for (;;) {
      const pending = [...harvest.paths.keys()].filter(path => !this.#done.has(path)).sort()
      if (pending.length === 0) return
      // Programs before libraries, for the same reason.
      const programs = pending.filter(path => loadable(harvest.tree, path, machine)?.interpreter)
      for (const path of [...programs, ...pending]) this.#follow(harvest, machine, path, false)
    }
  }

  #follow(harvest: Harvest, machine: number, path: string, isEntry: boolean): void {
    if (this.#done.has(path)) return
    this.#done.add(path)
    const facts = loadable(harvest.tree, path, machine)
    if (facts === null || !facts.dynamic) return
    const graph = resolveGraph(harvest.tree.fs, path, BASELINE, harvest.tree.cache)
    if (isEntry) {
      requireComplete(graph, path)
      this.loader ??= graph.loader
    }
    this.#takeLed(harvest, graph.objects, graph.edges)
    for (const [index, object] of graph.objects.entries())
      this.#openNoted(harvest, graph, index, object, isEntry && index === 0)
  }

  #takeLed(harvest: Harvest, objects: readonly LoadedObject[], edges: readonly Edge[]): void {
    for (const { from, to, name, how } of edges) {
      const asker = objects[from]
      const found = objects[to]
      if (asker === undefined || found === undefined) continue
      harvest.takeFile(found.path)
      if (BY_NAME.has(how)) this.reached.add(found.realPath)
      if (isNeeded(asker.facts, name)) note(this.resolved, asker.realPath, name, found.realPath)
    }
  }

  /**
   * What the notes of one object of a process say that it opens by dlopen, as if it did at once. It is no NEEDED entry, so its package
   * need not be among the dependencies. An entry must find what its own notes say it cannot do without.
   */
  #openNoted(harvest: Harvest, graph: Graph, index: number, { realPath, facts }: LoadedObject, isEntry: boolean): void {
    // In the first process that has it, which is an entry's where there is one: see `close`.
    if (graph.loader === null || facts.dlopen.length === 0 || this.#notesDone.has(realPath)) return
    this.#notesDone.add(realPath)
    for (const noted of facts.dlopen) {
      if (noted.priority === 'suggested') continue
      const opened = openFirst(harvest.tree, graph, index, noted.soname)
      if (opened === null && isEntry && noted.priority === 'required') throw lacking(realPath, noted)
      const found = opened?.graph.objects[opened.object]
      if (opened === null || found === undefined) continue
      this.#takeLed(harvest, opened.graph.objects, opened.graph.edges.slice(graph.edges.length))
      harvest.takeAsDependency(found.path)
      note(this.dlopened, realPath, opened.name, found.realPath)
    }
  }
}

/** Edges that are no NEEDED entries (the interpreter, filters) are not kept. */
function isNeeded({ needed }: ElfFacts, name: string): boolean {
  return needed.includes(name) || needed.some(other => other.includes('$'))
}

/** The first answer stands: see `close`. */
function note(led: Map<string, Map<string, string>>, asker: string, name: string, found: string): void {
  const names = led.get(asker) ?? new Map<string, string>()
  if (!names.has(name)) names.set(name, found)
  led.set(asker, names)
}

/** The first of these names with which a call of dlopen succeeds. */
function openFirst(
  tree: Tree,
  graph: Graph,
  caller: number,
  names: readonly string[],
): (Dlopened & { readonly name: string }) | null {
  for (const name of names) {
    const opened = resolveDlopen(tree.fs, { graph, staticTls: 0 }, caller, name, BASELINE, tree.cache)
    const fails = opened.graph.problems.some(({ kind }) => kind !== 'undecidable')
    if (opened.object >= 0 && !fails) return { ...opened, name }
  }
  return null
}

/** Facts of a taken file, if it is an ELF file that the loader of this machine could load. Others are carried as they are. */
export function loadable(tree: Tree, path: string, machine: number): ElfFacts | null {
  const stat = tree.fs.lstat(path)
  if (stat?.kind !== 'file') return null
  const facts = tree.facts(path, stat)
  return facts !== null && facts.machine === machine && facts.type !== 'other' ? facts : null
}

function requireComplete({ problems }: Graph, entry: string): void {
  for (const problem of problems) {
    const what = problem.kind === 'missing-library' ? problem.name : problem.kind === 'unusable' ? problem.path : null
    if (what === null) continue
    throw unsupplied(
      entry,
      what,
      problem.kind === 'unusable' ? problem.because : `${problem.by} asks for it and no search finds it`,
    )
  }
}

function lacking(entry: string, { soname, feature }: DlopenNote): AppcError {
  const what = soname.join(' or ')
  return unsupplied(entry, what, `by its notes it requires that${feature === null ? '' : ` for ${feature}`}`)
}

function unsupplied(entry: string, what: string, because: string): AppcError {
  return new AppcError('LIBRARY_MISSING', `${entry} needs ${what}, which the tree does not supply`, {
    because,
    hint: 'install what it needs in the tree, or take it from another tree',
  })
}
