import type { PackedPackage } from '../container/types.js'
import { type PackageDatabase, satisfiers } from '../host/dpkg.js'
import type { Dependency, Package } from '../host/packages.js'
import { versionSatisfies } from '../host/version.js'
import { type Contents, libraryName } from './home.js'
import { hostPath } from './host-paths.js'
import type { Selection } from './selection.js'
import type { DecisionProblem, Host, Reason, Rule } from './types.js'

/** The entry's own packages are private whatever the host has, their libraries with them. */
export function takeOwnPackages(contents: Contents, selection: Selection): void {
  for (const pkg of contents.manifest.packages.filter(pkg => pkg.own)) {
    const reason = { rule: 'policy' as const, text: `${pkg.name} ${pkg.version} is what was packed` }
    selection.takePackage(pkg.name, reason)
    // What a policy has shared is not of those that were meant.
    for (const soname of contents.sonamesOf(pkg.name))
      if (selection.canTake(soname)) selection.takeLibrary(soname, reason)
  }
}

/** What a package that is private asks for: another of the container's. */
interface Owed {
  readonly name: string
  /** Its libraries too, as exactly its version is asked for. */
  readonly withLibraries: boolean
  /** Its libraries too, as the host's are too old. */
  readonly outdated: boolean
  readonly reason: Reason
}

/** A package of the host's that leans on a version which one of the container's has not. */
interface Leaning {
  readonly pkg: PackedPackage
  readonly installed: Package
  readonly group: readonly Dependency[]
  readonly broken: readonly PackedPackage[]
}

/**
 * What is not a library goes by package, all or none, and packages pull each other: one is private when it holds a private
 * library; when a private package depends on it and the host's is absent or of a version that does not do; and when the host's
 * own version of it depends on a version of a private package that is no longer what runs. What of this no choice changes is looked
 * up once.
 */
export class PackageRules {
  private readonly owed: ReadonlyMap<string, readonly Owed[]>
  private readonly leaning: readonly Leaning[]

  constructor(
    private readonly contents: Contents,
    private readonly host: PackageDatabase | null,
    finds: (soname: string) => boolean,
  ) {
    const { packages } = contents.manifest
    this.owed = new Map(packages.map(pkg => [pkg.name, host === null ? [] : owedBy(contents, host, finds, pkg)]))
    const named = new Map(packages.map(pkg => [pkg.name, pkg]))
    this.leaning = host === null ? [] : packages.flatMap(pkg => leaningOf(host, named, pkg))
  }

  /** True when anything was added. */
  demand(selection: Selection): boolean {
    const { contents } = this
    const before = selection.packages.size + selection.sonames.size
    for (const [soname, file] of [...contents.libraries, ...contents.beside]) {
      if (file.package === null || !selection.sonames.has(soname)) continue
      selection.takePackage(file.package, { rule: 'lockstep', text: `its ${soname} is private` })
    }
    for (const name of selection.packages)
      for (const owed of this.owed.get(name) ?? []) if (!owed.outdated) take(contents, selection, owed)
    for (const leaning of this.leaning) this.demandByHostsVersion(selection, leaning)
    return selection.packages.size + selection.sonames.size > before
  }

  /**
   * Takes what a private package asks for in a version that the host has not: last, as what a library really lacks says more. True
   * when anything was added.
   */
  demandNewer(selection: Selection): boolean {
    const before = selection.packages.size + selection.sonames.size
    for (const name of selection.packages)
      for (const { name: provider, outdated, reason } of this.owed.get(name) ?? []) {
        if (!outdated) continue
        const sonames = this.contents.sonamesOf(provider)
        const lacking = sonames.filter(soname => !selection.sonames.has(soname))
        for (const soname of lacking) selection.takeLibrary(soname, reason)
        // Where a policy has all its libraries shared, the rest of it is the host's too.
        const isTaken = sonames.length === 0 || sonames.some(soname => selection.sonames.has(soname))
        if (isTaken && !selection.packages.has(provider)) selection.takePackage(provider, reason)
      }
    return selection.packages.size + selection.sonames.size > before
  }

  /** The host's version of a package leans on what is private now (libc-bin on exactly its libc6, a tool on its library). */
  private demandByHostsVersion(selection: Selection, { pkg, installed, group, broken }: Leaning): void {
    const provider = selection.packages.has(pkg.name)
      ? undefined
      : broken.find(({ name }) => selection.packages.has(name))
    if (provider === undefined || this.host === null) return
    if (group.some(wanted => keepsServing(this.contents, selection, this.host as PackageDatabase, installed, wanted)))
      return
    const reason = {
      rule: 'lockstep' as const,
      text: `the host's ${installed.name} ${installed.version} depends on ${group.map(spell).join(' | ')}, and ${provider.name} is the container's ${provider.version}`,
    }
    take(this.contents, selection, { name: pkg.name, withLibraries: group.some(isExact), reason })
  }
}

function take(contents: Contents, selection: Selection, { name, withLibraries, reason }: Omit<Owed, 'outdated'>): void {
  selection.takePackage(name, reason)
  if (withLibraries) for (const soname of contents.sonamesOf(name)) selection.takeLibrary(soname, reason)
}

/** What a recorded run opened must be there, whether or not anything depends on it: the host's, or else the container's. */
export function takeRecorded(contents: Contents, host: Host, selection: Selection, finds: (soname: string) => boolean) {
  for (const file of contents.manifest.files) {
    if (file.type !== 'file' || file.recorded !== true) continue
    const reason = { rule: 'presence' as const, text: `${file.path} was opened by the recorded run; the host has none` }
    const soname = file.elf?.role === 'library' ? libraryName(file.path, file.elf) : null
    if (soname !== null && !finds(soname)) selection.takeLibrary(soname, reason)
    const absent = () => host.fs.lstat(hostPath(host.fs, file.path)) === null
    if (soname === null && file.package !== null && absent()) selection.takePackage(file.package, reason)
  }
}

/** Dependencies of private packages that neither the host nor the container can meet: worth knowing, not fatal by themselves. */
export function unmetDependencies(
  contents: Contents,
  host: PackageDatabase | null,
  selection: Selection,
): readonly DecisionProblem[] {
  if (host === null) return []
  return contents.manifest.packages
    .filter(pkg => selection.packages.has(pkg.name))
    .flatMap(pkg =>
      pkg.depends
        .filter(group => !metByHost(group, pkg, host) && candidates(contents, group).length === 0)
        .map(group => ({
          kind: 'note' as const,
          text: `${pkg.name} depends on ${group.map(spell).join(' | ')}, which was not packed and which this host does not have`,
        })),
    )
}

function owedBy(
  contents: Contents,
  host: PackageDatabase,
  finds: (soname: string) => boolean,
  pkg: PackedPackage,
): readonly Owed[] {
  return pkg.depends.flatMap((group): readonly Owed[] => {
    if (metByHost(group, pkg, host)) return []
    const provider = candidates(contents, group)[0]
    if (provider === undefined) return []
    const exact = group.some(isExact)
    const outdated = !exact && isOutdated(group, pkg, host)
    if (!exact && !outdated && standsFor(contents, provider, finds)) return []
    const rule: Rule = exact ? 'lockstep' : outdated ? 'versions' : 'presence'
    const text = `${pkg.name} (private) depends on ${group.map(spell).join(' | ')}; ${hostHas(group, host)}`
    // A version in a dependency is a promise about the code itself: the host's library may resolve every symbol and still refuse
    // to work (sqlite3 compares source ids when it starts, gpg the version of libgcrypt).
    return [{ name: provider.name, withLibraries: exact, outdated, reason: { rule, text } }]
  })
}

function isExact({ relation }: Dependency): boolean {
  return relation === '='
}

/** Whether the host has a package that is asked for by its name, and all of these are older than what is asked for. */
function isOutdated(group: readonly Dependency[], asker: Package, host: PackageDatabase): boolean {
  return group.some(
    wanted =>
      wanted.relation?.startsWith('>') &&
      satisfiers({ ...wanted, relation: null, version: null }, asker, host).some(({ name }) => name === wanted.name),
  )
}

/**
 * Who depends on a package of libraries wants its sonames, and those are judged by what is really asked of them: where the host
 * has every one, under whatever package name and version (Debian 13 renamed hundreds to `…t64`), nothing more is owed.
 */
function standsFor(contents: Contents, provider: PackedPackage, finds: (soname: string) => boolean): boolean {
  const sonames = contents.sonamesOf(provider.name)
  return sonames.length > 0 && sonames.every(finds)
}

function leaningOf(
  host: PackageDatabase,
  named: ReadonlyMap<string, PackedPackage>,
  pkg: PackedPackage,
): readonly Leaning[] {
  return (host.named.get(pkg.name) ?? []).flatMap(installed =>
    installed.depends.flatMap(group => {
      const broken = group.flatMap(({ name, relation, version }) => {
        const provider = named.get(name)
        return provider === undefined || versionSatisfies(provider.version, relation, version) ? [] : [provider]
      })
      return broken.length === 0 ? [] : [{ pkg, installed, group, broken }]
    }),
  )
}

/** The private package that stands where `wanted` was, at a version that does not serve; null when it serves or is the host's. */
function brokenBy(contents: Contents, selection: Selection, wanted: Dependency): PackedPackage | null {
  const provider = contents.manifest.packages.find(pkg => pkg.name === wanted.name && selection.packages.has(pkg.name))
  if (provider === undefined || versionSatisfies(provider.version, wanted.relation, wanted.version)) return null
  return provider
}

function keepsServing(
  contents: Contents,
  selection: Selection,
  host: PackageDatabase,
  asker: Package,
  wanted: Dependency,
): boolean {
  return (
    brokenBy(contents, selection, wanted) === null &&
    satisfiers(wanted, asker, host).some(pkg => !selection.packages.has(pkg.name))
  )
}

function metByHost(group: readonly Dependency[], asker: Package, host: PackageDatabase): boolean {
  return group.some(wanted => satisfiers(wanted, asker, host).length > 0)
}

/** Packed packages that meet one of the alternatives, in the order of the alternatives. */
function candidates(contents: Contents, group: readonly Dependency[]): readonly PackedPackage[] {
  return group.flatMap(wanted =>
    contents.manifest.packages.filter(pkg =>
      [{ name: pkg.name, version: pkg.version as string | null }, ...pkg.provides].some(
        ({ name, version }) =>
          name === wanted.name &&
          (wanted.relation === null ||
            (version !== null && versionSatisfies(version, wanted.relation, wanted.version))),
      ),
    ),
  )
}

function hostHas(group: readonly Dependency[], host: PackageDatabase): string {
  const there = group.flatMap(({ name }) => host.named.get(name) ?? []).map(pkg => `${pkg.name} ${pkg.version}`)
  return there.length > 0 ? `the host has ${there.join(', ')}` : 'the host has none'
}

function spell({ name, relation, version }: Dependency): string {
  return relation === null ? name : `${name} (${relation} ${version})`
}
