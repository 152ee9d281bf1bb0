import type { Manifest, PackedFile, PackedRegular } from '../container/types.js'
import { FactsCache } from '../loader/facts-cache.js'
import { readLoader } from '../loader/loader.js'
import type { Graph, Loader } from '../loader/types.js'
import { type Demand, demandLibrariesAndVersions, demandSymbols, type Subject } from './constraints.js'
import type { OpenPacked } from './container-files.js'
import { evidenceOf } from './evidence.js'
import { familiesOf } from './families.js'
import { Finder } from './finder.js'
import { Contents } from './home.js'
import { hostPath } from './host-paths.js'
import { demandOneBuild } from './lockstep.js'
import { inScopeOf, Looked, Mix } from './mix.js'
import { demandPackages, takeOwnPackages, takeRecorded, unmetDependencies } from './packages.js'
import { type Places, place } from './placement.js'
import { choicesOf } from './report.js'
import { Scopes } from './scopes.js'
import { Selection } from './selection.js'
import { selfCheck } from './self-check.js'
import type { Decision, DecisionProblem, Host, Placement } from './types.js'
import { hidden } from './whiteouts.js'

/**
 * The choice for every soname, on this host: shared wherever the host's copy truly serves, private where it does not. Starts
 * with everything shared and adds what a rule demands, until none demands more (docs/architecture.md, "Deciding"). Pure: no
 * process is run and nothing is mounted; the same answer for the same values. Files `inPlace` are the host's own already, as a
 * plain program is that was never packed.
 */
export function decide(
  manifest: Manifest,
  host: Host,
  open: OpenPacked,
  inPlace: ReadonlySet<string> = new Set(),
): Decision {
  const contents = new Contents(manifest, inPlace)
  const selection = new Selection(contents, host, familiesOf(contents))
  const interpreter = interpreterOf(contents)
  const looked = new Looked(host, contents, open, new FactsCache(), interpreter)
  const world = new World(looked, selection, interpreter)
  takeOwnPackages(contents, selection)
  takeRecorded(contents, host, selection, world.finds)
  let state = world.look()
  for (;;) {
    const grown = [
      demandPackages(contents, host.packages, selection, world.finds),
      demandFamilies(contents, selection),
      take(selection, state.demands),
    ]
    if (!grown.includes(true)) break
    state = world.look()
  }
  const nodes = new Map([...state.places.nodes, ...hidden(host, contents, selection, state.places)])
  const { mix, subjects, demands } = world.lookAt(nodes)
  const problems: DecisionProblem[] = [
    // First, as the cause: what a rule misses may be in the copy that is not reached.
    ...selfCheck(host, contents, selection, mix, state.places, subjects),
    ...demands.map(asProblem),
    ...unmetDependencies(contents, host.packages, selection),
    ...skippedProblems(contents, state.places.skipped),
  ]
  return {
    runnable: !problems.some(({ kind }) => kind !== 'note'),
    ...choicesOf(contents, selection, mix, state.places, subjects),
    problems: unique(problems),
    placement: nodes,
    evidence: evidenceOf(host, contents, selection, mix, nodes, subjects),
  }
}

interface State {
  readonly mix: Mix
  readonly subjects: readonly Subject[]
  readonly demands: readonly Demand[]
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
function asProblem(demand: Demand): DecisionProblem {
  return demand.kind === 'problem' ? demand.problem : { kind: 'clash', text: demand.reason.text }
}

/** Looks at the mix that the selection so far would give, and says what the rules demand of it. */
class World {
  private readonly scopes: Scopes
  private readonly finder: Finder
  private readonly contents: Contents
  private readonly host: Host

  constructor(
    private readonly looked: Looked,
    private readonly selection: Selection,
    interpreter: string | null,
  ) {
    this.contents = looked.contents
    this.host = looked.host
    this.scopes = new Scopes(looked)
    const loaders = [hostLoader(this.host, interpreter), this.contents.manifest.source.loader]
    this.finder = new Finder(
      this.host,
      loaders.filter(loader => loader !== null),
      looked.facts,
    )
  }

  /** Whether the host has a library of this soname. */
  finds = (soname: string): boolean => this.finder.reachable(soname).length > 0

  look(): State & { readonly places: Places } {
    const places = place(this.host, this.finder, this.contents, this.selection)
    return { places, ...this.lookAt(places.nodes) }
  }

  lookAt(nodes: Placement): State {
    const mix = new Mix(this.looked, nodes)
    const subjects = this.subjects(mix)
    return { mix, subjects, demands: subjects.flatMap(subject => this.demandsOf(mix, subject)) }
  }

  /** Symbols are not asked of a library that is absent or of the wrong version: that says all, and will be mended first. */
  private demandsOf(mix: Mix, subject: Subject): readonly Demand[] {
    const first = [
      ...demandLibrariesAndVersions(this.contents, this.selection, mix, subject),
      ...demandOneBuild(this.contents, this.selection, mix, subject),
    ]
    const taken = new Set(first.flatMap(demand => (demand.kind === 'take' ? [demand.soname] : [])))
    const symbols = demandSymbols(this.contents, this.selection, mix, this.scopes, subject)
    return [...first, ...symbols.filter(demand => demand.kind !== 'take' || !taken.has(demand.soname))]
  }

  /** Every private program and module, each in the scope in which its symbols will be bound. */
  private subjects(mix: Mix): readonly Subject[] {
    const graphOf = (file: PackedRegular) => mix.graph(hostPath(this.host.fs, file.path))
    const lies = (file: PackedRegular) => mix.has(file, hostPath(this.host.fs, file.path))
    const programs = new Map<PackedRegular, Graph>(
      this.contents
        .programs()
        .filter(lies)
        .map(file => [file, graphOf(file)]),
    )
    return this.contents
      .consumers(this.selection.isPrivate)
      .filter(lies)
      .map(file => {
        const graph = programs.get(file) ?? graphOf(file)
        const whole = { graph, added: graph.objects.map((_, at) => at) }
        const loader = this.scopes.loaderOf(file)
        const program = loader === null ? undefined : programs.get(loader)
        const scope = program === undefined ? whole : inScopeOf(program, graph)
        return { file, graph, scope: scope.graph, judged: scope.added }
      })
  }
}

/** The members of a family are of one build or they are broken: one private, all private, those outside the closure too. */
function demandFamilies(contents: Contents, selection: Selection): boolean {
  let grown = false
  for (const soname of [...selection.sonames]) {
    for (const member of selection.familyOf(soname)) {
      const text = `${member} and ${soname} (private) are of one build: they share private symbols`
      if (member !== soname && contents.libraries.has(member) && !selection.sonames.has(member)) {
        grown = selection.takeLibrary(member, { rule: 'lockstep', text }) || grown
      }
    }
  }
  return grown
}

function take(selection: Selection, demands: readonly Demand[]): boolean {
  let grown = false
  for (const demand of demands) {
    if (demand.kind === 'take') grown = selection.takeLibrary(demand.soname, demand.reason) || grown
  }
  return grown
}

/** The interpreter of the first program; without one the loader of the tree that the container was packed from. */
function interpreterOf(contents: Contents): string | null {
  return contents.programs()[0]?.elf?.interpreter ?? contents.manifest.source.loader?.path ?? null
}

function hostLoader(host: Host, interpreter: string | null): Loader | null {
  if (interpreter === null || hostHasNot(host, interpreter)) return null
  return readLoader(host.fs, interpreter)
}

function hostHasNot(host: Host, path: string): boolean {
  return host.fs.lstat(hostPath(host.fs, path)) === null
}

function unique(problems: readonly DecisionProblem[]): readonly DecisionProblem[] {
  return [...new Map(problems.map(problem => [problem.text, problem])).values()]
}
