import type { Manifest, PackedFile } from '../container/types.js'
import { rememberingFileSystem } from '../loader/remembering-file-system.js'
import { clashesIn } from './clashes.js'
import type { OpenPacked } from './container-files.js'
import type { Demand } from './demand.js'
import { evidenceOf, startUpOf } from './evidence.js'
import { Contents } from './home.js'
import { hostPath } from './host-paths.js'
import { brokenByInterpreters } from './interpreters.js'
import { Neighbours } from './neighbours.js'
import { takeOwnPackages, takeRecorded, unmetDependencies } from './packages.js'
import { fixedBy } from './policy.js'
import { choicesOf } from './report.js'
import { search } from './search.js'
import { groundOf, Selection } from './selection.js'
import { selfCheck } from './self-check.js'
import type { Decision, DecisionProblem, Host } from './types.js'
import { hidden } from './whiteouts.js'
import { type Placed, World } from './world.js'

/**
 * The choice for every soname, on this host: shared wherever the host's copy truly serves, private where it does not. Starts
 * with everything shared and adds what a rule demands, until none demands more (docs/architecture.md, "Deciding"). Pure: no
 * process is run and nothing is mounted; the same answer for the same values. Files `inPlace` are the host's own already, as a
 * plain program is that was never packed.
 */
export function decide(
  manifest: Manifest,
  there: Host,
  open: OpenPacked,
  inPlace: ReadonlySet<string> = new Set(),
): Decision {
  const host = { ...there, fs: rememberingFileSystem(there.fs) }
  const contents = new Contents(manifest, inPlace)
  const world = new World(host, contents, open)
  const fixed = fixedBy(host, world.finder, contents)
  const start = new Selection(
    groundOf(
      contents,
      host.packages !== null,
      path => host.fs.lstat(hostPath(host.fs, path)) !== null,
      fixed.shared,
      fixed.packages,
    ),
  )
  for (const [soname, reason] of fixed.private) start.takeLibrary(soname, reason)
  takeOwnPackages(contents, start)
  takeRecorded(contents, host, start, world.finds)
  const neighbours = new Neighbours(world)
  const wishes = (state: Placed) => [
    ...neighbours.demands(state),
    ...brokenByInterpreters(world, state),
    ...clashesIn(state),
  ]
  const { state, given, clash } = search(world, start, wishes)
  const { selection, places } = state
  const nodes = new Map([...places.nodes, ...hidden(host, contents, selection, places)])
  const { mix, subjects, demands } = world.lookAt(selection, nodes)
  const problems: DecisionProblem[] = [
    ...fixed.problems,
    // First, as the cause: what a rule misses may be in the copy that is not reached.
    ...selfCheck(host, contents, selection, mix, places, subjects),
    ...clashProblem(clash, demands),
    ...[...withoutRest(demands, clash), ...given].flatMap(asProblem),
    ...unmetDependencies(contents, host.packages, selection),
    ...skippedProblems(contents, places.skipped),
  ]
  return {
    runnable: !problems.some(({ kind }) => kind === 'missing' || kind === 'clash'),
    ...choicesOf(contents, selection, mix, places, subjects),
    problems: unique(problems),
    placement: nodes,
    evidence: evidenceOf(host, contents, selection, mix, nodes, subjects),
    startUp: startUpOf(host, contents, subjects),
  }
}

/** The demands that cannot be met together, where it is more than one: a single one tells itself. */
function clashProblem(clash: readonly string[], demands: readonly Demand[]): readonly DecisionProblem[] {
  const [only, ...others] = clash
  if (only === undefined || demands.some(({ otherwise }) => others.length === 0 && otherwise?.text === only)) return []
  const text = others.length === 0 ? only : `these cannot be met together: ${clash.join('; ')}`
  const sonames = demands.find(({ otherwise }) => otherwise?.text === only)?.otherwise?.sonames
  return [{ kind: 'clash', text, ...(sonames && { sonames }) }]
}

/** Where the least that clashes is told, the rest of it is not; libraries that are nowhere are, as each must be found. */
function withoutRest(demands: readonly Demand[], clash: readonly string[]): readonly Demand[] {
  if (clash.length === 0) return demands
  return demands.filter(
    ({ otherwise, reason }) => otherwise?.kind === 'note' || reason.rule === 'presence' || otherwise?.text === clash[0],
  )
}

/** An entry that has no place is fatal; of the rest one note for each directory that cannot hold them. */
function skippedProblems(contents: Contents, skipped: readonly PackedFile[]): readonly DecisionProblem[] {
  const [entries, others] = [true, false].map(wanted => skipped.filter(({ path }) => contents.isEntry(path) === wanted))
  const byTop = new Map<string, string[]>()
  for (const { path } of others ?? []) {
    const top = path.split('/', 2).join('/')
    byTop.set(top, [...(byTop.get(top) ?? []), path])
  }
  return [
    ...(entries ?? []).map(({ path }) => ({
      kind: 'clash' as const,
      text: `${path} has no place here: its directory is the host's own and never covered, or is not there`,
    })),
    ...[...byTop].map(([top, paths]) => ({
      kind: 'note' as const,
      text: `left out, as ${top} is the host's own and never covered, or is not there: ${paths.length === 1 ? paths[0] : `${paths.length} files (${paths[0]} …)`}`,
    })),
  ]
}

/** What a rule still asks for when all is decided cannot be had: hiding a name of the host's must not have broken anything. */
function asProblem({ otherwise, takes, reason }: Demand): readonly DecisionProblem[] {
  if (otherwise !== null) return [otherwise]
  return takes.length === 0 ? [] : [{ kind: 'clash', text: reason.text }]
}

function unique(problems: readonly DecisionProblem[]): readonly DecisionProblem[] {
  return [...new Map(problems.map(problem => [problem.text, problem])).values()]
}
