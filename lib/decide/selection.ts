import type { PackedFile } from '../container/types.js'
import type { FileSystem } from '../loader/types.js'
import { type Contents, libraryName } from './home.js'
import { hostPath } from './host-paths.js'
import type { Reason } from './types.js'

/**
 * What is private so far, and why. It only ever grows: deciding begins with everything shared and adds what a rule demands until
 * no rule demands more, so that the order of the checks cannot matter for the end.
 */
export class Selection {
  readonly sonames = new Set<string>()
  readonly packages = new Set<string>()
  private readonly why = new Map<string, Reason[]>()
  private readonly families: ReadonlyMap<string, readonly string[]>

  constructor(
    private readonly contents: Contents,
    private readonly host: { readonly fs: FileSystem; readonly packages: unknown },
    families: readonly (readonly string[])[],
  ) {
    this.families = new Map(families.flatMap(family => family.map(member => [member, family] as const)))
  }

  /** False when it was private already; the first reason is the one that made it so. */
  takeLibrary(soname: string, reason: Reason): boolean {
    if (!this.contents.libraries.has(soname)) return false
    this.note(`library ${soname}`, reason)
    if (this.sonames.has(soname)) return false
    this.sonames.add(soname)
    return true
  }

  takePackage(name: string, reason: Reason): boolean {
    this.note(`package ${name}`, reason)
    if (this.packages.has(name)) return false
    this.packages.add(name)
    return true
  }

  reasonsForLibrary(soname: string): readonly Reason[] {
    return this.why.get(`library ${soname}`) ?? []
  }

  reasonsForPackage(name: string): readonly Reason[] {
    return this.why.get(`package ${name}`) ?? []
  }

  /** The lockstep family of a soname, itself included; empty when it has none. */
  familyOf(soname: string): readonly string[] {
    return this.families.get(soname) ?? []
  }

  /**
   * Libraries go by soname, all else by package, all or none. What no package ships, or whose package cannot be looked up on a
   * host without a database, goes by path: the host's where it has the path.
   */
  isPrivate = (file: PackedFile): boolean => {
    if (file.type === 'file' && file.elf?.role === 'library') return this.sonames.has(libraryName(file.path, file.elf))
    if (!this.goesByPath(file))
      return this.contents.isEntry(file.path) || this.isTiedModule(file) || this.isOfPrivatePackage(file)
    return this.host.fs.lstat(hostPath(this.host.fs, file.path)) === null
  }

  /** Whether nothing but the host's having the path or not decides about this file. */
  goesByPath(file: PackedFile): boolean {
    if (file.type === 'file' && file.elf?.role === 'library') return false
    if (this.contents.isEntry(file.path) || this.isTiedModule(file) || this.isOfPrivatePackage(file)) return false
    return file.package === null || this.host.packages === null
  }

  private isOfPrivatePackage(file: PackedFile): boolean {
    return file.package !== null && this.packages.has(file.package)
  }

  /** A module without a package that needs a `*_PRIVATE` version is of the build of the library that defines it (gconv's). */
  private isTiedModule(file: PackedFile): boolean {
    const needs = file.type === 'file' && file.package === null && file.elf?.role === 'module' ? file.elf.verneeds : []
    return needs.some(({ file: soname, version }) => version.endsWith('_PRIVATE') && this.sonames.has(soname))
  }

  private note(key: string, reason: Reason): void {
    const reasons = this.why.get(key) ?? []
    if (reasons.some(known => known.text === reason.text)) return
    this.why.set(key, [...reasons, reason])
  }
}
