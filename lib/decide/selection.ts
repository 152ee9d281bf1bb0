import type { PackedFile } from '../container/types.js'
import { remember } from '../loader/remember.js'
import { familiesOf } from './families.js'
import { type Contents, libraryName } from './home.js'
import type { Reason } from './types.js'

/** What all selections of one decision have in common. */
export interface Ground {
  readonly contents: Contents
  /** Whether the host has a package database. */
  readonly hasPackages: boolean
  /** By soname: the lockstep family that it belongs to. */
  readonly families: ReadonlyMap<string, readonly string[]>
  /** Sonames that must stay the host's, and a sentence that says why. */
  readonly fixed: ReadonlyMap<string, string>
  /** Packages that must stay the host's as a whole. */
  readonly fixedPackages: ReadonlySet<string>
  /** Whether the host has something at the place of a path of the container's. */
  readonly hostHas: (path: string) => boolean
}

/** `hostHas` is asked once for each path. */
export function groundOf(
  contents: Contents,
  hasPackages: boolean,
  hostHas: (path: string) => boolean,
  fixed: ReadonlyMap<string, string> = new Map(),
  fixedPackages: ReadonlySet<string> = new Set(),
): Ground {
  const known = new Map<string, boolean>()
  return {
    contents,
    hasPackages,
    families: new Map(familiesOf(contents).flatMap(family => family.map(member => [member, family] as const))),
    fixed,
    fixedPackages,
    hostHas: path => remember(known, path, () => hostHas(path)),
  }
}

/** Why something is private, and the private sonames without which nobody would have asked. */
export interface Taking {
  readonly reason: Reason
  readonly about: readonly string[]
}

/**
 * What is private so far, and why. It only ever grows: deciding begins with everything shared and adds what a rule demands until
 * no rule demands more, so that the order of the checks cannot matter for the end. Where there is more than one way to meet a
 * demand, the search tries each in a copy.
 */
export class Selection {
  readonly sonames: Set<string>
  readonly packages: Set<string>
  /** What was asked for and must not be taken. */
  readonly refused: Map<string, Taking>
  private readonly why: Map<string, Taking[]>

  constructor(
    private readonly ground: Ground,
    from?: Selection,
  ) {
    this.sonames = new Set(from?.sonames)
    this.packages = new Set(from?.packages)
    this.refused = new Map(from?.refused)
    this.why = new Map(from?.why)
  }

  copy(): Selection {
    return new Selection(this.ground, this)
  }

  private get contents(): Contents {
    return this.ground.contents
  }

  /** Whether the container holds a library that is not private yet and may be. */
  canTake(soname: string): boolean {
    if (this.sonames.has(soname) || this.ground.fixed.has(soname)) return false
    const beside = this.contents.beside.get(soname)
    return this.contents.libraries.has(soname) || (beside !== undefined && !this.isPrivate(beside))
  }

  called(name: string): string {
    return this.contents.called(name)
  }

  /** Why a library of the container's must not be private. */
  fixedAs(soname: string): string | undefined {
    return this.contents.libraries.has(soname) ? this.ground.fixed.get(soname) : undefined
  }

  /**
   * False when it was private already, or must not be; the first reason is the one that made it so. `about` are the private
   * sonames without which nobody would have asked.
   */
  takeLibrary(soname: string, reason: Reason, about: readonly string[] = []): boolean {
    const { libraries, beside } = this.contents
    if ((!libraries.has(soname) && !beside.has(soname)) || this.sonames.has(soname))
      return this.noteLibrary(soname, reason, about)
    if (this.ground.fixed.has(soname)) {
      if (!this.refused.has(soname)) this.refused.set(soname, { reason, about })
      return false
    }
    this.noteLibrary(soname, reason, about)
    this.sonames.add(soname)
    return true
  }

  private noteLibrary(soname: string, reason: Reason, about: readonly string[]): false {
    this.note(`library ${soname}`, { reason, about })
    return false
  }

  /** False when it was private already, or must not be. */
  takePackage(name: string, reason: Reason): boolean {
    if (this.ground.fixedPackages.has(name)) return false
    this.note(`package ${name}`, { reason, about: [] })
    if (this.packages.has(name)) return false
    this.packages.add(name)
    return true
  }

  reasonsForLibrary(soname: string): readonly Reason[] {
    return (this.why.get(`library ${soname}`) ?? []).map(({ reason }) => reason)
  }

  reasonsForPackage(name: string): readonly Reason[] {
    return (this.why.get(`package ${name}`) ?? []).map(({ reason }) => reason)
  }

  /** What made a library private, with what it rests on. */
  takingOf(soname: string): Taking | undefined {
    return this.why.get(`library ${soname}`)?.[0]
  }

  /** The lockstep family of a soname, itself included; empty when it has none. */
  familyOf(soname: string): readonly string[] {
    return this.ground.families.get(soname) ?? []
  }

  /**
   * Libraries go by soname, all else by package, all or none. What no package ships, or whose package cannot be looked up on a
   * host without a database, goes by path: the host's where it has the path.
   */
  isPrivate = (file: PackedFile): boolean => {
    if (file.type === 'file' && file.elf?.role === 'library') return this.sonames.has(libraryName(file.path, file.elf))
    if (!this.goesByPath(file))
      return (
        this.isTakenBeside(file) ||
        this.contents.isEntry(file.path) ||
        this.isTiedModule(file) ||
        this.isOfPrivatePackage(file)
      )
    return !this.ground.hostHas(file.path)
  }

  /** Whether nothing but the host's having the path or not decides about this file. */
  goesByPath(file: PackedFile): boolean {
    if (file.type === 'file' && file.elf?.role === 'library') return false
    if (
      this.isTakenBeside(file) ||
      this.contents.isEntry(file.path) ||
      this.isTiedModule(file) ||
      this.isOfPrivatePackage(file)
    )
      return false
    return file.package === null || !this.ground.hasPackages
  }

  /** Of all private files. */
  bytes(): number {
    let sum = 0
    for (const file of this.contents.manifest.files) if (file.type === 'file' && this.isPrivate(file)) sum += file.size
    return sum
  }

  private isOfPrivatePackage(file: PackedFile): boolean {
    return file.package !== null && this.packages.has(file.package)
  }

  private isTakenBeside(file: PackedFile): boolean {
    if (file.type !== 'file' || file.elf === undefined) return false
    const name = libraryName(file.path, file.elf)
    return this.sonames.has(name) && this.contents.beside.get(name) === file
  }

  /** A module without a package that needs a `*_PRIVATE` version is of the build of the library that defines it (gconv's). */
  private isTiedModule(file: PackedFile): boolean {
    const needs = file.type === 'file' && file.package === null && file.elf?.role === 'module' ? file.elf.verneeds : []
    return needs.some(({ file: soname, version }) => version.endsWith('_PRIVATE') && this.sonames.has(soname))
  }

  private note(key: string, taking: Taking): void {
    const takings = this.why.get(key) ?? []
    if (takings.some(({ reason }) => reason.text === taking.reason.text)) return
    this.why.set(key, [...takings, taking])
  }
}
