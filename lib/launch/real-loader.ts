import { AppcError } from '../errors.js'
import { resolveDirectory } from '../loader/file-system.js'
import { usualInterpreters } from '../loader/loader.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import { parseTrace } from '../loader/trace.js'
import type { Graph, SearchContext } from '../loader/types.js'
import { compareAnswers, type Difference } from '../loader/verify.js'
import { atLeast } from '../loader/version.js'
import { addon } from './addon.js'

/** How a file's graph compares with what the real loader says of the file. */
export type Verdict =
  | { readonly kind: 'same' }
  | { readonly kind: 'different'; readonly differences: readonly Difference[] }
  | { readonly kind: 'unasked'; readonly reason: Unasked; readonly because: string }

export type Unasked =
  | 'static' // no loader has to do with it
  | 'no-loader' // the root has none for it
  | 'unusual-loader' // it names one that is not run
  | 'auditors' // asking would run its auditors
  | 'other-cpu' // the graph is about another CPU than this machine's
  | 'undecidable' // it says something else, where appc cannot tell
  | 'refused' // the kernel did not start the loader
  | 'unanswered' // the loader broke down, or came to no end

/** A trace takes milliseconds. On a busy machine and a cold disk it may take seconds. */
const PATIENCE = 30_000

/**
 * Asks the real loader of `root` about each graph's program: what `appc tree --verify` does. It runs that loader, inside the root, with
 * the environment that the graphs were made for and no other; a loader maps the files that it is asked about, and runs nothing of
 * them. Only a loader at its machine's usual place is run: whoever doubts the root must not ask. In the order of `graphs`.
 */
export function verifyGraphs(root: string, context: SearchContext, graphs: readonly Graph[]): Promise<Verdict[]> {
  const setting = prepare(root, context)
  // libuv's threads run four at a time.
  return Promise.all(graphs.map(graph => verifyGraph(setting, graph)))
}

/** Of a program without an interpreter it says that it is static-PIE. */
const DF_1_PIE = 0x0800_0000

interface Setting {
  /** '' for this machine's own. */
  readonly root: string
  readonly directory: string
  readonly environment: readonly string[]
  readonly cpuLevel: number
}

function prepare(root: string, { libraryPath, preload, cpuLevel, workingDirectory = '/' }: SearchContext): Setting {
  return {
    root: root === '/' ? '' : root,
    directory: resolveDirectory(rootFileSystem(root), workingDirectory).path ?? '/',
    environment: [
      ...(libraryPath.length > 0 ? [`LD_LIBRARY_PATH=${libraryPath.join(':')}`] : []),
      ...(preload.length > 0 ? [`LD_PRELOAD=${preload.join(':')}`] : []),
    ],
    cpuLevel,
  }
}

async function verifyGraph(setting: Setting, graph: Graph): Promise<Verdict> {
  const { loader, objects } = graph
  const program = objects[0]
  const objection = objectionTo(setting, graph)
  if (objection !== null || loader === null || program === undefined) return objection as Verdict
  const file = program.realPath
  const musl = loader.kind === 'musl'
  const argv = musl ? [loader.path, '--list', file] : [loader.path, file]
  // Not glibc's `--list`, which ends at the first library that is missing.
  const environment = musl ? setting.environment : ['LD_TRACE_LOADED_OBJECTS=1', ...setting.environment]
  try {
    const run = await addon().capture(setting.root, setting.directory, loader.path, argv, environment, PATIENCE)
    if (run.status === null) return unasked('unanswered', endInWords(run.signal, run.limit))
    const trace = { kind: loader.kind, file, directory: setting.directory, status: run.status }
    const answer = parseTrace({ ...trace, stdout: run.stdout.toString(), stderr: run.stderr.toString() })
    const differences = compareAnswers(graph, answer)
    if (differences.length === 0) return { kind: 'same' }
    // What appc cannot tell, the loader does not contradict.
    const doubt = graph.problems.find(problem => problem.kind === 'undecidable')
    return doubt === undefined ? { kind: 'different', differences } : unasked('undecidable', doubt.because)
  } catch (error) {
    if (error instanceof Error && 'step' in error) return unasked('refused', error.message)
    throw error
  }
}

/** Why the loader is not to be asked, or cannot be; null where it is. */
function objectionTo(setting: Setting, { loader, objects, problems }: Graph): Verdict | null {
  const facts = objects[0]?.facts
  if (facts === undefined) throw new AppcError('INTERNAL', 'a graph without a program')
  if (loader === null) {
    const missing = problems.find(problem => problem.kind === 'missing-library')
    if (missing !== undefined) return unasked('no-loader', `its loader ${missing.name} is not there`)
    return facts.dynamic && (facts.flags1 & DF_1_PIE) === 0
      ? unasked('no-loader', 'there is no loader for its machine')
      : unasked('static', 'it is static')
  }
  if (!usualInterpreters(facts).includes(loader.path)) {
    return unasked('unusual-loader', `${loader.path} is not where its machine's loaders are, and is not run`)
  }
  const audits = loader.kind === 'glibc' ? objects.flatMap(object => object.facts.audits) : []
  if (audits.length > 0)
    return unasked('auditors', `asking would run the auditors that it names (${audits.join(', ')})`)
  const usesLevel = loader.kind === 'glibc' && loader.machine === 62 && loader.class === 64 && atLeast(loader, 33)
  if (usesLevel && setting.cpuLevel !== addon().cpuLevel()) {
    return unasked(
      'other-cpu',
      `the loader would look for libraries for this machine's CPU, of level ${addon().cpuLevel()}`,
    )
  }
  return null
}

function unasked(reason: Unasked, because: string): Verdict {
  return { kind: 'unasked', reason, because }
}

function endInWords(signal: number | null, limit: 'time' | 'output' | null): string {
  if (limit === 'time') return `the loader came to no end within ${PATIENCE / 1000} s`
  return limit === 'output' ? 'the loader printed without end' : `the loader was ended by signal ${signal}`
}
