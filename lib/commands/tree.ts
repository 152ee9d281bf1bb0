import { resolve } from 'node:path'
import { AppcError } from '../errors.js'
import { addon } from '../launch/addon.js'
import { lookAtMany } from '../launch/batch.js'
import { findElfFiles } from '../launch/elf-files.js'
import { searchContext } from '../launch/machine.js'
import { type Verdict, verifyGraphs } from '../launch/real-loader.js'
import { rememberedFacts } from '../launch/remembered-facts.js'
import { FactsCache } from '../loader/facts-cache.js'
import { join, resolvePath } from '../loader/file-system.js'
import { resolveGraph } from '../loader/resolve.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import type { FileStat, FileSystem, Graph, SearchContext } from '../loader/types.js'
import { asUndecodable } from '../loader/unreadable.js'
import type { FactsFile } from '../store/facts-memory.js'
import { expectShortRun } from './engine.js'
import { asKnown, reportError } from './report.js'
import { TreeText } from './tree-text.js'

export interface TreeOptions {
  readonly json: boolean
  readonly root: string
  readonly verify: boolean
  /** As LD_LIBRARY_PATH, which it takes the place of. */
  readonly ldLibraryPath?: string
  /** A level of LEVELS; absent: this machine's. */
  readonly cpu?: string
}

const LEVELS: readonly string[] = ['x86-64', 'x86-64-v2', 'x86-64-v3', 'x86-64-v4']

/** So many files are worth being looked at together, and the reading of what is remembered. */
const MANY = 32
/** Text for the terminal or a pipe goes out in pieces of about this many characters. */
const PIECE = 65_536

interface Answer {
  /** As it was named, or by its path below a directory that was. */
  readonly file: string
  readonly graph: Graph
}

/**
 * `appc tree`: what the loader would load for each file, and for each program and library below a directory. Returns the exit status:
 * 1 where something is missing, cannot be read, or is not so by the real loader.
 */
export async function runTree(named: readonly string[], options: TreeOptions): Promise<number> {
  if (named.length === 0) throw new AppcError('USAGE', 'no file is named', { hint: 'appc tree FILE…' })
  expectShortRun()
  const root = resolve(options.root)
  const context = contextOf(options)
  const report = new Report(options)
  const answers = resolveAll(named, root, context, report)
  if (options.verify) {
    const kept = [...answers]
    const verdicts = await verifyGraphs(
      root,
      context,
      kept.map(({ graph }) => graph),
    )
    for (const [index, answer] of kept.entries()) report.answer(answer, verdicts[index] as Verdict)
  } else {
    for (const answer of answers) report.answer(answer, null)
  }
  return report.end()
}

function contextOf({ ldLibraryPath, cpu }: TreeOptions): SearchContext {
  const environment = ldLibraryPath === undefined ? process.env : { ...process.env, LD_LIBRARY_PATH: ldLibraryPath }
  const context = searchContext(environment)
  if (cpu === undefined) return context
  const level = LEVELS.indexOf(cpu) + 1
  if (level > 0) return { ...context, cpuLevel: level }
  throw new AppcError('USAGE', `${cpu} is no CPU that appc knows`, { hint: `one of ${LEVELS.join(', ')}` })
}

interface NamedFile {
  /** As it is told of, and its path in the root. */
  readonly file: string
  readonly path: string
}

function* resolveAll(
  named: readonly string[],
  root: string,
  context: SearchContext,
  report: Report,
): Generator<Answer> {
  const prefix = root === '/' ? '' : root
  const given = named.flatMap(file => {
    const path = pathOf(file, root, context)
    if (path === null) report.error(new AppcError('FILE_MISSING', `${file || "''"} does not exist`))
    return path === null ? [] : [{ file, path }]
  })
  const cache = new FactsCache()
  let memory = null as FactsFile | null
  const looked = new Map<string, FileStat>()
  const look = (files: readonly NamedFile[]) => {
    const paths = files.map(({ path }) => prefix + path).filter(path => !looked.has(path))
    if (paths.length < MANY) return
    memory ??= rememberedFacts(process.env)
    if (memory !== null) cache.consult(memory)
    for (const [path, stat] of lookAtMany(addon(), paths, cache)) looked.set(path, stat)
  }
  look(given)
  const files = unfold(given, root, looked, report)
  look(files)
  const fs = rootFileSystem(root, looked)
  for (const { file, path } of files) {
    let graph: Graph
    try {
      graph = resolveGraph(fs, path, context, cache)
    } catch (error) {
      const isMissing = error instanceof AppcError && error.code === 'FILE_MISSING'
      report.error(isMissing ? (asUndecodable(path) ?? error) : error)
      continue
    }
    yield { file, graph }
  }
  memory?.save()
}

/**
 * Where a named file lies in the root; null where a name leads nowhere: an empty one, or one in a working directory that was
 * removed. `..` is left to whoever walks: behind a link it leads elsewhere than the text says.
 */
function pathOf(file: string, root: string, { workingDirectory }: SearchContext): string | null {
  if (file === '' || file.startsWith('/')) return file || null
  if (root !== '/') return `/${file}`
  return workingDirectory === undefined ? null : join(workingDirectory, file)
}

/** Of directories, all that a loader could load. */
function unfold(
  given: readonly NamedFile[],
  root: string,
  looked: ReadonlyMap<string, FileStat>,
  report: Report,
): readonly NamedFile[] {
  const prefix = root === '/' ? '' : root
  const fs = rootFileSystem(root, looked)
  return given.flatMap(named => {
    // In a tree of its own, a path that the kernel looked at may have led out of it.
    if (root === '/' && looked.get(named.path)?.kind === 'file') return [named]
    const directory = directoryAt(fs, named.path)
    if (directory === null) return [named]
    const found = findElfFiles(addon(), prefix + directory, error => report.error(error))
    return found.map(path => {
      const inside = path.slice(prefix.length)
      const below = inside.slice(directory === '/' ? 1 : directory.length + 1)
      return { file: `${named.file}${named.file.endsWith('/') ? '' : '/'}${below}`, path: inside }
    })
  })
}

/** The real path of a directory; null where something else lies, or nothing that can be seen: that is told when it is read. */
function directoryAt(fs: FileSystem, path: string): string | null {
  try {
    const found = resolvePath(fs, path)
    return found.stat?.kind === 'directory' ? found.path : null
  } catch {
    return null
  }
}

/** What is printed, and the exit status that comes of it. */
class Report {
  #status = 0
  #pending = ''
  readonly #text = new TreeText(process.stdout.isTTY === true && !process.env.NO_COLOR)

  constructor(private readonly options: { readonly json: boolean }) {}

  answer({ file, graph }: Answer, verdict: Verdict | null): void {
    if (graph.problems.some(({ kind }) => kind !== 'undecidable') || verdict?.kind === 'different') this.#raise(1)
    this.#print(
      this.options.json ? `${JSON.stringify(describe(file, graph, verdict))}\n` : this.#text.draw(file, graph, verdict),
    )
  }

  /** One file's trouble is not the others'. */
  error(error: unknown): void {
    if (asKnown(error).code === 'INTERNAL') throw error
    this.#flush()
    this.#raise(reportError('appc', error, this.options.json))
  }

  end(): number {
    this.#flush()
    return this.#status
  }

  #raise(status: number): void {
    this.#status = Math.max(this.#status, status)
  }

  #print(text: string): void {
    this.#pending += text
    if (this.#pending.length >= PIECE) this.#flush()
  }

  #flush(): void {
    if (this.#pending !== '') process.stdout.write(this.#pending)
    this.#pending = ''
  }
}

/** Objects in load order, the program first; `from` and `to` are their indices: -1 of a preload, -1 of what was not found. */
function describe(file: string, graph: Graph, verdict: Verdict | null) {
  return {
    schema: 'appc.tree/2',
    file,
    interpreter: graph.loader?.path ?? null,
    objects: graph.objects.map(({ path, realPath, names, facts }) => ({ path, realPath, soname: facts.soname, names })),
    edges: graph.edges.map(({ from, name, to, how, tried }) => ({ from, name, to, how, tried })),
    problems: graph.problems,
    ...(verdict === null ? {} : { verdict }),
  }
}
