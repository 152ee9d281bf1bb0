import type { ElfFacts } from '../elf/types.js'
import { AppcError } from '../errors.js'
import { Candidates, FactsCache, type FoundFile } from './candidate.js'
import { errorCode, readWhole, resolvePath } from './file-system.js'
import { glibcRules } from './glibc.js'
import { readLoader, usualInterpreter } from './loader.js'
import { muslRules } from './musl.js'
import { remember } from './remember.js'
import { type Requester, type Rules, Trail } from './search.js'
import type { Edge, FileSystem, Graph, How, Loader, Problem, SearchContext } from './types.js'
import { unreadable } from './unreadable.js'

const DF_1_PIE = 0x0800_0000
const PRELOAD_FILE = '/etc/ld.so.preload'
const MAX_PRELOAD_SIZE = 65_536

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
  const watched = new Set<string>()
  const program = openProgram(fs, programPath, cache, watched)
  const interpreter = chooseInterpreter(fs, program.facts, context)
  if (interpreter === null) return bare(program, watched, [])
  const { path: realPath, links, missing } = resolvePath(fs, interpreter)
  for (const name of links) watched.add(name)
  if (realPath === null) {
    watched.add(missing as string)
    return bare(program, watched, [{ kind: 'missing-library', name: interpreter, by: program.path }])
  }
  const { candidates, rules } = searchFor(fs, interpreter, context, cache)
  const assembly = new Assembly(program, candidates, rules, watched)
  assembly.preload(preloads(fs, candidates.loader, context, watched))
  assembly.load()
  return assembly.graph()
}

function openProgram(fs: FileSystem, path: string, cache: FactsCache, watched: Set<string>): FoundFile {
  const resolved = readable(path, () => resolvePath(fs, path))
  for (const link of resolved.links) watched.add(link)
  const stat = resolved.path === null ? null : fs.lstat(resolved.path)
  if (resolved.path === null || stat === null) {
    throw new AppcError('FILE_MISSING', `${path} does not exist`, {
      because: resolved.missing === null ? 'it leads nowhere' : `there is no ${resolved.missing}`,
    })
  }
  if (stat.kind !== 'file')
    throw new AppcError('ELF_NOT', `${path} is not a regular file`, { because: `it is a ${stat.kind}` })
  const realPath = resolved.path
  const { facts, code, because } = readable(path, () => cache.inspect(fs, realPath, stat))
  if (facts === null) {
    throw new AppcError(code ?? 'ELF_NOT', `${path} has no libraries to tell of`, {
      because,
      hint: 'name an ELF program or library',
    })
  }
  // The kernel starts a program by the real path: /proc/self/exe, from which the loader takes $ORIGIN.
  return { path: realPath, realPath, facts, id: `${stat.dev}:${stat.ino}` }
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

function bare(program: FoundFile, watched: Set<string>, problems: Problem[]): Graph {
  const { path, realPath, facts } = program
  return { objects: [{ path, realPath, facts, names: [path] }], edges: [], loader: null, problems, links: [...watched] }
}

interface Search {
  readonly candidates: Candidates
  readonly rules: Rules
}

const searches = new WeakMap<FactsCache, WeakMap<FileSystem, WeakMap<SearchContext, Map<string, Search>>>>()

/** One search for each root, context and interpreter, kept as long as the cache is. */
export function searchFor(fs: FileSystem, interpreter: string, context: SearchContext, cache: FactsCache): Search {
  const byRoot = remember(searches, cache, () => new WeakMap())
  const byContext = remember(byRoot, fs, () => new WeakMap())
  const byInterpreter = remember(byContext, context, () => new Map())
  return remember(byInterpreter, interpreter, () => {
    const candidates = new Candidates(fs, cache, readLoader(fs, interpreter))
    const rules = candidates.loader.kind === 'glibc' ? glibcRules(candidates, context) : muslRules(candidates, context)
    return { candidates, rules }
  })
}

/** LD_PRELOAD, then /etc/ld.so.preload, whose names stand between white space or colons, with comments (elf/rtld.c). */
function preloads(fs: FileSystem, loader: Loader, context: SearchContext, watched: Set<string>): string[] {
  const names = [...context.preload]
  if (loader.kind === 'glibc') {
    watched.add(PRELOAD_FILE)
    const text = readWhole(fs, PRELOAD_FILE, MAX_PRELOAD_SIZE)?.toString() ?? ''
    names.push(...text.replaceAll(/#.*/g, '').split(/[ \t\n:]/))
  }
  return names.filter(name => name !== '')
}

interface Node extends Requester {
  readonly realPath: string
  readonly names: Set<string>
  readonly loader: Node | null
}

interface Step extends Omit<Edge, 'from' | 'to'> {
  readonly from: Node | null
  readonly to: Node | null
}

/** Loads one program's objects breadth-first, as _dl_map_object_deps does. */
class Assembly {
  readonly #program: Node
  readonly #interpreter: Node
  readonly #order: Node[]
  readonly #byName = new Map<string, Node>()
  readonly #byFile = new Map<string, Node>()
  readonly #steps: Step[] = []
  readonly #problems: Problem[] = []

  constructor(
    program: FoundFile,
    readonly candidates: Candidates,
    readonly rules: Rules,
    readonly watched: Set<string>,
  ) {
    this.#program = this.#add(program, program.path, null)
    this.#order = [this.#program]
    const { loader } = candidates
    const stat = candidates.fs.lstat(loader.realPath)
    const facts = stat === null ? null : candidates.facts.inspect(candidates.fs, loader.realPath, stat).facts
    if (stat === null || facts === null) throw new AppcError('FILE_MISSING', `the loader ${loader.realPath} has gone`)
    const file = { path: loader.path, realPath: loader.realPath, facts, id: `${stat.dev}:${stat.ino}` }
    this.#interpreter = this.#add(file, loader.path, null)
    this.#step(this.#program, loader.path, this.#interpreter, 'interpreter', [])
    if (program.facts.audits.length > 0) {
      this.#problems.push({
        kind: 'undecidable',
        by: program.path,
        because: `it names auditors (${program.facts.audits.join(', ')}), which can change any search`,
      })
    }
  }

  /** Preloads that fail are only warned about. */
  preload(names: readonly string[]): void {
    for (const name of names) {
      const trail = new Trail(this.watched)
      const { node } = this.#find(name, this.#program, trail, 'preload')
      if (node === null) continue
      this.#step(null, name, node, 'preload', trail.tried)
      this.#append(node)
    }
  }

  load(): void {
    const done = new Set<Node>()
    for (let at = 0; at < this.#order.length; ) {
      const node = this.#order[at] as Node
      if (done.has(node)) {
        at++
        continue
      }
      done.add(node)
      for (const name of node.facts.needed) {
        const needed = this.#need(node, name)
        if (needed !== null) this.#append(needed)
      }
      this.#loadFiltees(node)
    }
    this.#append(this.#interpreter)
  }

  /** DT_AUXILIARY and DT_FILTER: what they name comes before the filter, so that its symbols are found first. */
  #loadFiltees(node: Node): void {
    const filtees = [
      ...node.facts.auxiliaries.map(name => this.#need(node, name, 'auxiliary')),
      ...node.facts.filters.map(name => this.#need(node, name)),
    ]
    for (const filtee of filtees) {
      if (filtee === null) continue
      const place = this.#order.indexOf(node)
      const known = this.#order.indexOf(filtee)
      if (known !== -1 && known <= place) continue
      if (known !== -1) this.#order.splice(known, 1)
      this.#order.splice(place, 0, filtee)
    }
  }

  #need(node: Node, name: string, kind: 'needed' | 'auxiliary' = 'needed'): Node | null {
    const expanded = this.rules.expand(name, node)
    if (expanded === null) {
      if (kind === 'needed')
        this.#problems.push({ kind: 'unusable', path: name, by: node.path, because: 'its tokens cannot be expanded' })
      return null
    }
    const trail = new Trail(this.watched)
    const { node: found, how, unusable } = this.#find(expanded, node, trail)
    if (found === null && kind === 'auxiliary') return null
    this.#step(node, expanded, found, how, trail.tried)
    if (unusable !== null) this.#problems.push({ kind: 'unusable', ...unusable, by: node.path })
    else if (found === null) this.#problems.push({ kind: 'missing-library', name: expanded, by: node.path })
    return found
  }

  #find(name: string, requester: Node, trail: Trail, as: How | null = null) {
    const known = this.rules.isLoader(name) ? this.#interpreter : (this.#byName.get(name) ?? null)
    if (known !== null) {
      const how: How = known === this.#interpreter ? 'interpreter' : 'loaded'
      return { node: known, how, unusable: null }
    }
    const { file, how, unusable } = this.rules.search(name, requester, trail)
    if (file === null) return { node: null, how, unusable }
    const same = this.#byFile.get(file.id)
    if (same === undefined) return { node: this.#add(file, name, requester), how: as ?? how, unusable }
    this.#alias(same, name)
    return { node: same, how: same === this.#interpreter ? ('interpreter' as const) : how, unusable }
  }

  #add({ path, realPath, facts, id }: FoundFile, name: string, loader: Node | null): Node {
    const node: Node = { path, realPath, facts, loader, names: new Set([name]) }
    if (!this.#byFile.has(id)) this.#byFile.set(id, node)
    this.#alias(node, name)
    return node
  }

  #alias(node: Node, name: string): void {
    for (const answer of this.rules.answers(name, node.facts)) {
      node.names.add(answer)
      if (!this.#byName.has(answer)) this.#byName.set(answer, node)
    }
  }

  #append(node: Node): void {
    if (!this.#order.includes(node)) this.#order.push(node)
  }

  #step(from: Node | null, name: string, to: Node | null, how: How, tried: readonly string[]): void {
    this.#steps.push({ from, name, to, how, tried })
  }

  graph(): Graph {
    const indices = new Map(this.#order.map((node, index) => [node, index]))
    const index = (node: Node | null) => (node === null ? -1 : (indices.get(node) as number))
    return {
      objects: this.#order.map(({ path, realPath, names, facts }) => ({ path, realPath, names: [...names], facts })),
      edges: this.#steps.map(({ from, name, to, how, tried }) => ({
        from: index(from),
        name,
        to: index(to),
        how,
        tried,
      })),
      loader: this.candidates.loader,
      problems: [
        ...this.#problems,
        ...this.rules.checkVersions(this.#order, name => this.#byName.get(name)?.facts ?? null),
      ],
      links: [...this.watched],
    }
  }
}
