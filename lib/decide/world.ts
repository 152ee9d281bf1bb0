import { readLoader } from '../loader/loader.js'
import { remember } from '../loader/remember.js'
import type { Loader } from '../loader/types.js'
import { demandLibrariesAndVersions, demandSymbols, type Judged, type Subject } from './constraints.js'
import type { OpenPacked } from './container-files.js'
import type { Demand } from './demand.js'
import { isTied } from './families.js'
import { Finder } from './finder.js'
import type { Contents } from './home.js'
import { hostPath, leadsTo } from './host-paths.js'
import { demandOneBuild } from './lockstep.js'
import { Looked, Mix, nameOf } from './mix.js'
import { openAll } from './opened.js'
import { PackageRules } from './packages.js'
import { type Places, place } from './placement.js'
import { Scopes } from './scopes.js'
import type { Selection } from './selection.js'
import { Subjects } from './subjects.js'
import type { Host, Placement } from './types.js'

/** What a selection comes to: the mix, who is judged in it, and what the rules demand. */
export interface State extends Judged {
  readonly subjects: readonly Subject[]
  readonly demands: readonly Demand[]
}

/** A state with the places that its private files have. */
export interface Placed extends State {
  readonly places: Places
}

/** Looks at the mix that a selection would give, and says what the rules demand of it. */
export class World {
  readonly finder: Finder
  readonly looked: Looked
  private readonly scopes: Scopes
  private readonly subjects: Subjects
  private readonly packages: PackageRules
  /** Of whom nothing was demanded: what it rests on is the same as long as the subject is. */
  private readonly content = new WeakSet<Subject>()
  private readonly builds = new Map<string, boolean>()

  constructor(
    readonly host: Host,
    readonly contents: Contents,
    open: OpenPacked,
  ) {
    const interpreter = interpreterOf(contents)
    this.looked = new Looked(host, contents, open, host.facts, interpreter)
    this.scopes = new Scopes(this.looked)
    this.subjects = new Subjects(this.looked, this.scopes)
    const loaders = [hostLoader(host, interpreter), contents.manifest.source.loader]
    this.finder = new Finder(
      host,
      loaders.filter(loader => loader !== null),
      host.facts,
    )
    this.packages = new PackageRules(contents, host.packages, this.finds)
  }

  /** Whether the host has a library of this soname. */
  finds = (soname: string): boolean => this.finder.reachable(soname).length > 0

  /** Whether the host's copy of a library is the very build that the container holds, and need not come with its family. */
  private isSameBuild = (soname: string): boolean => {
    return remember(this.builds, soname, () => {
      const file = this.contents.libraries.get(soname)
      const build = file === undefined || isTied(file) ? null : file.elf?.buildId
      const path = this.finder.reachable(soname)[0]
      const real = path === undefined ? null : leadsTo(this.host.fs, path)
      const stat = real === null ? null : this.host.fs.lstat(real)
      if (!build || real === null || stat?.kind !== 'file') return false
      return this.host.facts.inspect(this.host.fs, real, stat).facts?.buildId === build
    })
  }

  /**
   * Takes what is demanded and can be met in one way only, until nothing is: that is not a choice. What is left in `demands` can be
   * met in several ways, or in none.
   */
  settle(selection: Selection): Placed {
    for (;;) {
      while (this.packages.demand(selection) || demandFamilies(selection, this.isSameBuild));
      const state = this.look(selection)
      let grown = false
      for (const { takes, reason, about } of state.demands)
        if (takes.length === 1) grown = selection.takeLibrary(takes[0] as string, reason, about) || grown
      if (!grown && !this.packages.demandNewer(selection)) return state
    }
  }

  look(selection: Selection): Placed {
    for (;;) {
      const places = place(this.host, this.finder, this.contents, selection)
      const state = this.lookAt(selection, places.nodes)
      if (!this.findStrays(state)) return { places, ...state }
    }
  }

  /** Notes where a program would still load the host's copy of what is private, since it has a search of its own. */
  private findStrays({ selection, mix, subjects }: State): boolean {
    let found = false
    for (const { graph } of subjects)
      for (const { to, how } of graph.edges) {
        const object = how === 'runpath' || how === 'rpath' ? graph.objects[to] : undefined
        if (object === undefined || mix.fileOf(object) !== null || !selection.sonames.has(nameOf(object))) continue
        found = this.finder.addStray(nameOf(object), object.path) || found
      }
    return found
  }

  lookAt(selection: Selection, nodes: Placement): State {
    const mix = new Mix(this.looked, nodes)
    const judged = { contents: this.contents, selection, mix }
    const started = this.subjects.in(selection, mix, nodes)
    const opened = started
      .filter(({ file, scope, graph }) => scope === graph && file.elf?.role !== 'module')
      .map(({ file, graph }) => openAll(this.looked, judged, file, graph))
    const subjects = [...started, ...opened.flatMap(({ subjects }) => subjects)]
    const demands = subjects.flatMap(subject => this.demandsOf(judged, subject))
    return { ...judged, subjects, demands: [...demands, ...opened.flatMap(({ demands }) => demands)] }
  }

  /**
   * Symbols are not asked of a library that is absent or of the wrong version: that says all, and will be mended first. Nor of anybody as
   * long as one is absent that only the container has: it may bring who supplies them.
   */
  private demandsOf(judged: Judged, subject: Subject): readonly Demand[] {
    if (this.content.has(subject)) return []
    const demands = this.allDemandsOf(judged, subject)
    if (demands.length === 0) this.content.add(subject)
    return demands
  }

  private allDemandsOf(judged: Judged, subject: Subject): readonly Demand[] {
    const first = [...demandLibrariesAndVersions(judged, subject), ...demandOneBuild(judged, subject)]
    if (first.some(({ reason, takes }) => reason.rule === 'presence' && takes.length === 1)) return first
    // Of a library that is nowhere no symbol is missed besides.
    const nowhere = subject.graph.problems.flatMap(problem =>
      problem.kind === 'missing-library' ? [problem.name] : [],
    )
    const asked = new Set([...first.flatMap(({ takes }) => takes[0] ?? []), ...nowhere])
    return [...first, ...demandSymbols(judged, this.scopes, subject, asked)]
  }
}

/** The members of a family are of one build or they are broken: one private, all private, those outside the closure too. */
function demandFamilies(selection: Selection, isSameBuild: (soname: string) => boolean): boolean {
  let grown = false
  for (const soname of [...selection.sonames]) {
    for (const member of selection.familyOf(soname)) {
      if (selection.sonames.has(member) || isSameBuild(member)) continue
      const text = `${member} and ${soname} (private) are of one build: they share private symbols`
      grown = selection.takeLibrary(member, { rule: 'lockstep', text }, [soname]) || grown
    }
  }
  return grown
}

/** The interpreter of the first program; without one the loader of the tree that the container was packed from. */
function interpreterOf(contents: Contents): string | null {
  return contents.programs()[0]?.elf?.interpreter ?? contents.manifest.source.loader?.path ?? null
}

function hostLoader(host: Host, interpreter: string | null): Loader | null {
  if (interpreter === null || host.fs.lstat(hostPath(host.fs, interpreter)) === null) return null
  return readLoader(host.fs, interpreter)
}
