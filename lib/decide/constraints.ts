import type { PackedRegular } from '../container/types.js'
import type { ImportedSymbol } from '../elf/types.js'
import { definitionIn } from '../loader/bind.js'
import { base } from '../loader/file-system.js'
import type { Graph, LoadedObject, Loader, Problem } from '../loader/types.js'
import { bringers, type Demand, demandOneOf, everyName, note, objectAt, tell } from './demand.js'
import type { Contents } from './home.js'
import { type Mix, nameOf } from './mix.js'
import { bindingKey, type Scopes } from './scopes.js'
import type { Selection } from './selection.js'
import type { DecisionProblem, Reason } from './types.js'

/** One program or module in the mix, with the scope in which its symbols are bound. */
export interface Subject {
  readonly file: PackedRegular
  /** Its own search, for presence and versions. */
  readonly graph: Graph
  /** The scope for symbols, and which of its objects are to be judged. */
  readonly scope: Graph
  readonly judged: readonly number[]
  /** Of a module, what the scope begins with: the program that loads it. */
  readonly program?: Graph | undefined
}

/** What is judged, and the selection that gave this mix. */
export interface Judged {
  readonly contents: Contents
  readonly selection: Selection
  readonly mix: Mix
}

/** Rules 1 and 2: every needed name is filled, and every version asked of a provider is defined by it. */
export function demandLibrariesAndVersions(judged: Judged, subject: Subject): readonly Demand[] {
  return subject.graph.problems.map(problem => demandFor(judged, subject, problem))
}

function demandFor(judged: Judged, subject: Subject, problem: Problem): Demand {
  switch (problem.kind) {
    case 'missing-library':
      return missingLibrary(judged, subject, problem)
    case 'missing-version':
      return missingVersion(judged, subject.graph, problem)
    case 'unusable':
      return unusable(judged, subject.graph, problem)
    case 'undecidable':
      return note(`what ${base(problem.by)} loads cannot be known beforehand: ${problem.because}`)
  }
}

/**
 * Rule 3: what resolves at home resolves here, from the same library, and copies have the size that they were linked for. Of a library
 * that an object gets nothing of the first symbol is told, and nothing of those that are `asked` for anyhow.
 */
export function demandSymbols(
  judged: Judged,
  scopes: Scopes,
  subject: Subject,
  asked: ReadonlySet<string>,
): readonly Demand[] {
  const { mix } = judged
  const { objects } = subject.scope
  const process = scopes.processOf(mix, subject)
  const names = objects.map(nameOf)
  const demands: Demand[] = []
  for (const at of subject.judged) {
    const object = objects[at]
    if (object === undefined) continue
    const providers = process.bind(at)
    const { imports } = mix.symbolsOf(object)
    const suppliers = process.identify(providers)
    if (!scopes.isNew(subject.file, mix.symbolsOf(object), suppliers)) continue
    const expected = scopes.expectedOf(subject.file, mix.fileOf(object), object)
    const { packed } = expected
    const told = new Set(asked)
    const before = demands.length
    for (let index = 0; index < imports.length; index++) {
      const symbol = imports[index] as ImportedSymbol
      const place = providers[index] ?? -1
      // As nearly all of some ten thousand are.
      if (place >= 0 && packed?.[index] === names[place] && symbol.copySize === undefined) continue
      const provider = objects[place] ?? null
      const bound = { object, symbol, provider, subject, told, expected: () => expected.providers(index) }
      const demand = judge(judged, bound)
      if (demand) demands.push(demand)
    }
    if (demands.length === before && asked.size === 0) scopes.settle(subject.file, mix.symbolsOf(object), suppliers)
  }
  return demands
}

interface Bound {
  readonly object: LoadedObject
  readonly symbol: ImportedSymbol
  readonly provider: LoadedObject | null
  /** Names of the libraries that may supply it: what supplied it at home; null for nothing. */
  readonly expected: () => readonly string[] | null
  /** What needs not be told again. */
  readonly told: Set<string>
  readonly subject: Subject
}

function judge(judged: Judged, bound: Bound): Demand | null {
  const { selection, mix } = judged
  const { object, symbol, provider, subject } = bound
  if (provider !== null && isUsualOutside(mix, object, provider, symbol)) return copyDemand(judged, bound, provider)
  const expected = bound.expected()
  if (expected === null) return null
  const home = expected[0] ?? ''
  if (provider === null) return isNews(bound, home) ? missingSymbol(judged, bound, expected) : null
  const name = nameOf(provider)
  const isExpected = expected.includes(name) || selection.familyOf(name).includes(home)
  // What is preloaded is meant to stand before others.
  if (isExpected || isPreloaded(subject.scope, provider)) return copyDemand(judged, bound, provider)
  if (!isNews(bound, `${home} ${name}`)) return null
  const text = `${tell(mix, object)} takes ${bindingKey(symbol)} from ${home}; here ${whoseName(mix, provider)} would supply it`
  // Where the right one must stay the host's, making others private would not bring it back.
  const fixed = selection.fixedAs(home)
  const names = [home, name, nameOf(object), ...(fixed === undefined ? everyName(subject.scope) : [])]
  const otherwise = fixed === undefined ? null : { kind: 'note' as const, text: `${text}; ${fixed}` }
  return demandOneOf(selection, names, symbolReason(text), about(judged, object, name), otherwise)
}

/** Whether it is the first of its kind; one that may be missing says less than one that may not. */
function isNews({ told, symbol }: Bound, what: string): boolean {
  if (told.has(what) || (symbol.weak && told.has(`weak ${what}`))) return false
  told.add(symbol.weak ? `weak ${what}` : what)
  return true
}

function missingSymbol(judged: Judged, { object, symbol, subject }: Bound, expected: readonly string[]): Demand {
  const { selection, mix } = judged
  const home = expected[0] ?? ''
  const whose = selection.sonames.has(home) ? "the container's" : "the host's"
  const text = `${tell(mix, object)} needs the symbol ${bindingKey(symbol)}, which ${whose} ${home} does not have`
  const none = `${tell(mix, object)} needs the symbol ${bindingKey(symbol)} of ${home}, and nothing here has it`
  const chain = bringers(subject.graph, object)
  // Where it, or a relative that has the symbol now, is not even loaded, whatever is may bring it.
  const isLoaded = (name: string) => subject.scope.objects.some(({ names }) => names.includes(name))
  const absent = [home, ...relativesWith(judged, home, symbol)].filter(name => !isLoaded(name))
  const names = [home, ...chain, ...(absent.length === 0 ? expected : [...absent, ...everyName(subject.scope)])]
  const missing: DecisionProblem | null = symbol.weak ? null : { kind: 'missing', text: none, sonames: [home] }
  return demandOneOf(selection, names, symbolReason(text), about(judged, object, home), missing)
}

/**
 * Of two of the host's libraries that both have a name, a host's object takes it from whichever a program happens to load first: what
 * it has alone is but one way of several.
 */
function isUsualOutside(mix: Mix, object: LoadedObject, provider: LoadedObject, symbol: ImportedSymbol): boolean {
  if (mix.fileOf(object) !== null) return false
  if (mix.fileOf(provider) === null) return true
  const symbols = mix.outsideSymbolsOf(provider)
  return symbols !== null && definitionIn(provider, symbols, symbol, null) !== null
}

/** The container's of the same family that export it too: glibc's threads moved from libpthread.so.0 to libc.so.6. */
function relativesWith({ contents, selection }: Judged, home: string, { name }: ImportedSymbol): readonly string[] {
  const exportsIt = (soname: string) =>
    contents.libraries.get(soname)?.elf?.symbols.exports.some(symbol => symbol.name === name) === true
  return selection.familyOf(home).filter(member => member !== home && exportsIt(member))
}

function isPreloaded({ objects, edges }: Graph, object: LoadedObject): boolean {
  const at = objects.indexOf(object)
  return edges.some(({ from, to }) => from < 0 && to === at)
}

/** A program linked with a copy relocation has reserved exactly the bytes that the object had in the library of its build. */
function copyDemand(judged: Judged, { object, symbol, subject }: Bound, provider: LoadedObject): Demand | null {
  if (symbol.copySize === undefined) return null
  const { mix, selection } = judged
  const there = definitionIn(provider, mix.symbolsOf(provider), symbol, loaderOf(subject))
  if (there?.objectSize === undefined || there.objectSize === symbol.copySize) return null
  const text = `${tell(mix, object)} reserved ${symbol.copySize} bytes for a copy of ${symbol.name}; in ${whoseName(mix, provider)} it has ${there.objectSize}`
  const name = nameOf(provider)
  return demandOneOf(selection, [name], symbolReason(text), about(judged, object, name), {
    kind: 'clash',
    text,
    sonames: [name],
  })
}

function missingLibrary(
  judged: Judged,
  subject: Subject,
  { name, by }: { readonly name: string; readonly by: string },
): Demand {
  const { contents, selection } = judged
  const asker = objectAt(subject.graph, by)
  const needs = `${base(by)} needs ${name}`
  const here = contents.holds(name)
  // A host's library that cannot have what it needs is no use; the container's own may do without.
  const text = here ? `${base(by)} needs it and the host has none` : `on the host ${needs}, and nothing here has it`
  // An optional module may need what was not there in its own tree either.
  const missedAtHome = subject.file.elf?.role === 'module' || subject.file.elf?.resolved[name] === undefined
  const optional = missedAtHome && !contents.isEntry(subject.file.path)
  const otherwise: DecisionProblem = optional
    ? { kind: 'note', text: `${needs}, which nothing supplies` }
    : { kind: 'missing', text: `${needs}, and nothing here has it`, sonames: [name] }
  const names = [name, ...bringers(subject.graph, asker)]
  return demandOneOf(selection, names, { rule: 'presence', text }, about(judged, asker), otherwise)
}

function missingVersion(
  judged: Judged,
  graph: Graph,
  { file, version, by }: { readonly file: string; readonly version: string; readonly by: string },
): Demand {
  const { mix, selection } = judged
  const asker = objectAt(graph, by)
  const provider = graph.objects.find(object => object.names.includes(file))
  const who = asker ? tell(mix, asker) : base(by)
  const text = `${who} needs ${version}; ${provider && mix.fileOf(provider) ? "the container's" : "the host's"} ${ends(provider, version)}`
  const missing: DecisionProblem = {
    kind: 'missing',
    text: `${who} needs ${version} of ${file}, which nothing here defines`,
    sonames: [file],
  }
  const names = [file, ...bringers(graph, asker)]
  return demandOneOf(selection, names, { rule: 'versions', text }, about(judged, asker, file), missing)
}

/** What the host's loader would stop at (a file that is cut short, a linker script) the container's copy may replace. */
function unusable(
  judged: Judged,
  graph: Graph,
  { path, by, because }: { readonly path: string; readonly by: string; readonly because: string },
): Demand {
  const asker = objectAt(graph, by)
  const reason: Reason = { rule: 'presence', text: `the host's ${path} cannot be loaded: ${because}` }
  const missing: DecisionProblem = {
    kind: 'missing',
    text: `${base(by)} cannot load ${path}: ${because}`,
    sonames: [base(path)],
  }
  const names = [base(path), ...bringers(graph, asker)]
  return demandOneOf(judged.selection, names, reason, about(judged, asker), missing)
}

/** Those of an asker and a provider that are private. */
function about({ selection }: Judged, asker: LoadedObject | undefined, provider?: string): readonly string[] {
  const names = [asker === undefined ? undefined : nameOf(asker), provider]
  return names.filter((name): name is string => name !== undefined && selection.sonames.has(name))
}

/** `ends at OPENSSL_3.0.9`: the newest version with the same prefix, or that there is none. */
function ends(provider: LoadedObject | undefined, version: string): string {
  const prefix = version.replace(/[0-9.]+$/, '')
  const same =
    provider?.facts.verdefs.map(({ name }) => name).filter(name => name.replace(/[0-9.]+$/, '') === prefix) ?? []
  const newest = same.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  return newest === undefined ? `defines no ${prefix}*` : `ends at ${newest}`
}

function whoseName(mix: Mix, provider: LoadedObject): string {
  return `${mix.fileOf(provider) ? "the container's" : "the host's"} ${nameOf(provider)}`
}

function symbolReason(text: string): Reason {
  return { rule: 'symbols', text }
}

function loaderOf({ scope }: Subject): Loader | null {
  return scope.loader
}
