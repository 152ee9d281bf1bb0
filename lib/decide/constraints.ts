import type { PackedRegular } from '../container/types.js'
import type { ImportedSymbol } from '../elf/types.js'
import { bindSymbols, definitionIn } from '../loader/bind.js'
import { base } from '../loader/file-system.js'
import type { Graph, LoadedObject, Loader, Problem } from '../loader/types.js'
import type { Contents } from './home.js'
import { type Mix, nameOf } from './mix.js'
import type { Scopes } from './scopes.js'
import { bindingKey } from './scopes.js'
import type { Selection } from './selection.js'
import type { DecisionProblem, Reason } from './types.js'

/** What a rule asks for: a library to be made private, or, where no library would help, a problem to be told. */
export type Demand =
  | { readonly kind: 'take'; readonly soname: string; readonly reason: Reason }
  | { readonly kind: 'problem'; readonly problem: DecisionProblem }

/** One program or module in the mix, with the scope in which its symbols are bound. */
export interface Subject {
  readonly file: PackedRegular
  /** Its own search, for presence and versions. */
  readonly graph: Graph
  /** The scope for symbols, and which of its objects are to be judged. */
  readonly scope: Graph
  readonly judged: readonly number[]
}

/** Rules 1 and 2: every needed name is filled, and every version asked of a provider is defined by it. */
export function demandLibrariesAndVersions(
  contents: Contents,
  selection: Selection,
  mix: Mix,
  subject: Subject,
): readonly Demand[] {
  return subject.graph.problems.map(problem => demandFor(contents, selection, mix, subject, problem))
}

function demandFor(contents: Contents, selection: Selection, mix: Mix, subject: Subject, problem: Problem): Demand {
  switch (problem.kind) {
    case 'missing-library':
      return missingLibrary(contents, selection, subject, problem)
    case 'missing-version':
      return missingVersion(contents, selection, mix, subject.graph, problem)
    case 'unusable':
      return unusable(contents, selection, problem)
    case 'undecidable':
      return note(`what ${base(problem.by)} loads cannot be known beforehand: ${problem.because}`)
  }
}

/** Rule 3: what resolves at home resolves here, from the same library, and copies have the size that they were linked for. */
export function demandSymbols(
  contents: Contents,
  selection: Selection,
  mix: Mix,
  scopes: Scopes,
  subject: Subject,
): readonly Demand[] {
  const bindings = bindSymbols(subject.scope, mix.symbolsOf, undefined, new Set(subject.judged))
  const demands: Demand[] = []
  const { loader } = subject.scope
  for (const at of subject.judged) {
    const object = subject.scope.objects[at]
    const providers = bindings[at]
    if (object === undefined || providers === undefined) continue
    mix.symbolsOf(object).imports.forEach((symbol, index) => {
      const provider = subject.scope.objects[providers[index] ?? -1] ?? null
      const expected = scopes.providerAtHome(subject.file, mix.fileOf(object), object, symbol)
      const demand = expected && judge(contents, selection, mix, { object, symbol, provider, expected, loader })
      if (demand) demands.push(demand)
    })
  }
  return demands
}

interface Bound {
  readonly object: LoadedObject
  readonly symbol: ImportedSymbol
  readonly provider: LoadedObject | null
  /** Names of the libraries that may supply it: what supplied it at home. */
  readonly expected: readonly string[]
  readonly loader: Loader | null
}

function judge(contents: Contents, selection: Selection, mix: Mix, bound: Bound): Demand | null {
  const { object, symbol, provider, expected } = bound
  const home = expected[0] ?? ''
  if (provider === null) {
    const whose = selection.sonames.has(home) ? "the container's" : "the host's"
    const text = `${tell(mix, object)} needs the symbol ${bindingKey(symbol)}, which ${whose} ${home} does not have`
    return (
      remedy(contents, selection, [home, nameOf(object)], { rule: 'symbols', text }) ??
      (symbol.weak
        ? null
        : fatal(`${tell(mix, object)} needs the symbol ${bindingKey(symbol)} of ${home}, and nothing here has it`))
    )
  }
  const name = nameOf(provider)
  if (!expected.includes(name) && !selection.familyOf(name).includes(home)) {
    const text = `${tell(mix, object)} takes ${bindingKey(symbol)} from ${home}; here the host's ${name} would supply it`
    return remedy(contents, selection, [home, name, nameOf(object)], { rule: 'symbols', text })
  }
  return copyDemand(contents, selection, mix, bound, provider)
}

/** A program linked with a copy relocation has reserved exactly the bytes that the object had in the library of its build. */
function copyDemand(
  contents: Contents,
  selection: Selection,
  mix: Mix,
  { object, symbol, loader }: Bound,
  provider: LoadedObject,
): Demand | null {
  if (symbol.copySize === undefined) return null
  const there = definitionIn(provider, mix.symbolsOf(provider), symbol, loader)
  if (there?.objectSize === undefined || there.objectSize === symbol.copySize) return null
  const text = `${tell(mix, object)} reserved ${symbol.copySize} bytes for a copy of ${symbol.name}; in the host's ${nameOf(provider)} it has ${there.objectSize}`
  return remedy(contents, selection, [nameOf(provider)], { rule: 'symbols', text })
}

function missingLibrary(
  contents: Contents,
  selection: Selection,
  subject: Subject,
  { name, by }: { readonly name: string; readonly by: string },
): Demand {
  const asker = objectAt(subject.graph, by)
  const needs = `${base(by)} needs ${name}`
  const taken =
    remedy(contents, selection, [name], { rule: 'presence', text: `${base(by)} needs it and the host has none` }) ??
    // A host's library that cannot have what it needs is no use; the container's own may do without.
    remedy(contents, selection, pullers(subject.graph, asker), {
      rule: 'presence',
      text: `on the host ${needs}, and nothing here has it`,
    })
  if (taken) return taken
  // An optional module may need what was not there in its own tree either.
  const missedAtHome = subject.file.elf?.role === 'module' || subject.file.elf?.resolved[name] === undefined
  if (missedAtHome && !contents.isEntry(subject.file.path)) return note(`${needs}, which nothing supplies`)
  return fatal(`${needs}, and nothing here has it`)
}

function missingVersion(
  contents: Contents,
  selection: Selection,
  mix: Mix,
  graph: Graph,
  { file, version, by }: { readonly file: string; readonly version: string; readonly by: string },
): Demand {
  const asker = objectAt(graph, by)
  const provider = graph.objects.find(object => object.names.includes(file))
  const who = asker ? tell(mix, asker) : base(by)
  const text = `${who} needs ${version}; ${provider && mix.fileOf(provider) ? "the container's" : "the host's"} ${ends(provider, version)}`
  return (
    remedy(contents, selection, [file, ...pullers(graph, asker)], { rule: 'versions', text }) ??
    fatal(`${who} needs ${version} of ${file}, which nothing here defines`)
  )
}

/** What the host's loader would stop at (a file that is cut short, a linker script) the container's copy may replace. */
function unusable(
  contents: Contents,
  selection: Selection,
  { path, by, because }: { readonly path: string; readonly by: string; readonly because: string },
): Demand {
  const reason: Reason = { rule: 'presence', text: `the host's ${path} cannot be loaded: ${because}` }
  return remedy(contents, selection, [base(path)], reason) ?? fatal(`${base(by)} cannot load ${path}: ${because}`)
}

/** Who asks, who had that one loaded, and so on up to the program: whichever of them is replaced, the question is another. */
function pullers(graph: Graph, asker: LoadedObject | undefined): readonly string[] {
  const names: string[] = []
  const seen = new Set<number>()
  for (let at = asker === undefined ? -1 : graph.objects.indexOf(asker); at > 0 && !seen.has(at); ) {
    const object = graph.objects[at]
    if (object) names.push(nameOf(object))
    seen.add(at)
    at = graph.edges.find(({ to }) => to === at)?.from ?? -1
  }
  return names
}

function objectAt(graph: Graph, path: string): LoadedObject | undefined {
  return graph.objects.find(object => object.path === path || object.realPath === path)
}

/** The first of these that the container holds and that is not private yet. */
export function remedy(
  contents: Contents,
  selection: Selection,
  sonames: readonly string[],
  reason: Reason,
): Demand | null {
  const soname = sonames.find(name => contents.libraries.has(name) && !selection.sonames.has(name))
  return soname === undefined ? null : { kind: 'take', soname, reason }
}

/** `ends at OPENSSL_3.0.9`: the newest version with the same prefix, or that there is none. */
function ends(provider: LoadedObject | undefined, version: string): string {
  const prefix = version.replace(/[0-9.]+$/, '')
  const same =
    provider?.facts.verdefs.map(({ name }) => name).filter(name => name.replace(/[0-9.]+$/, '') === prefix) ?? []
  const newest = same.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  return newest === undefined ? `defines no ${prefix}*` : `ends at ${newest}`
}

/** Its name, and whose it is. */
export function tell(mix: Mix, object: LoadedObject): string {
  if (mix.isInPlace(object)) return nameOf(object)
  return `${nameOf(object)} (${mix.fileOf(object) ? 'private' : "the host's"})`
}

function fatal(text: string): Demand {
  return { kind: 'problem', problem: { kind: 'missing', text } }
}

function note(text: string): Demand {
  return { kind: 'problem', problem: { kind: 'note', text } }
}
