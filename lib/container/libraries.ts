import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { resolveGraph } from '../loader/resolve.js'
import type { Graph, How, Loader, SearchContext } from '../loader/types.js'
import type { Harvest } from './harvest.js'
import type { Tree } from './tree.js'

/** The baseline CPU and no environment: what is packed must depend neither on the packer's machine nor on its variables. */
const CONTEXT: SearchContext = { cpuLevel: 0, libraryPath: [], preload: [] }

/** Steps by which a name without a path leads to a file in a directory that every program searches. */
const BY_NAME: ReadonlySet<How> = new Set(['cache', 'system-directory', 'interpreter'])

/** What the loader was found to do with the ELF files that were taken. */
export class Linkage {
  /** By file: where each of its NEEDED names led, as real paths. */
  readonly resolved = new Map<string, Map<string, string>>()
  /** Real paths of files that some search in the loader's own directories led to. */
  readonly reached = new Set<string>()
  /** Of the first entry that has one. */
  loader: Loader | null = null
  readonly #done = new Set<string>()

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
    const graph = resolveGraph(harvest.tree.fs, path, CONTEXT, harvest.tree.cache)
    if (isEntry) {
      requireComplete(graph, path)
      this.loader ??= graph.loader
    }
    for (const { from, to, name, how } of graph.edges) {
      const asker = graph.objects[from]
      const found = graph.objects[to]
      if (asker === undefined || found === undefined) continue
      harvest.takeFile(found.path)
      if (BY_NAME.has(how)) this.reached.add(found.realPath)
      this.#note(asker.realPath, asker.facts, name, found.realPath)
    }
  }

  /** The first answer stands: see `close`. Edges that are no NEEDED entries (the interpreter, filters) are not kept. */
  #note(asker: string, facts: ElfFacts, name: string, found: string): void {
    if (!facts.needed.includes(name) && !facts.needed.some(needed => needed.includes('$'))) return
    const names = this.resolved.get(asker) ?? new Map<string, string>()
    if (!names.has(name)) names.set(name, found)
    this.resolved.set(asker, names)
  }
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
    throw new AppcError('LIBRARY_MISSING', `${entry} needs ${what}, which the tree does not supply`, {
      because: problem.kind === 'unusable' ? problem.because : `${problem.by} asks for it and no search finds it`,
      hint: 'install what it needs in the tree, or take it from another tree',
    })
  }
}
