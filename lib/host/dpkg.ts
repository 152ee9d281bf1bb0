import { AppcError } from '../errors.js'
import { parent } from '../loader/file-system.js'
import { remember } from '../loader/remember.js'
import type { FileSystem } from '../loader/types.js'
import { canonicalizer } from './canonical.js'
import { type Diversion, parseDiversions } from './diversions.js'
import type { Dependency, Package } from './packages.js'
import { parseStatus } from './status.js'
import { readText } from './text.js'
import { versionSatisfies } from './version.js'

/** What dpkg has installed in one root. Lists of files are read when they are first asked for. */
export interface PackageDatabase {
  /** The architecture that packages of architecture `all` belong to, e.g. `amd64`. */
  readonly architecture: string
  /** Installed packages (unpacked and half-configured ones have their files in place and count), sorted by name. */
  readonly packages: readonly Package[]
  /** By name; several where a Multi-Arch package is installed for several architectures. */
  readonly named: ReadonlyMap<string, readonly Package[]>
  /** By virtual name: what is provided, and by whom. */
  readonly provided: ReadonlyMap<string, readonly { readonly by: Package; readonly version: string | null }[]>
  /** What a package ships, directories included: canonical paths (links in directories resolved), diversions applied. */
  filesOf(pkg: Package): readonly string[]
  /** Who ships a canonical path: one package for files, any number for directories; empty for files that no package owns. */
  ownersOf(path: string): readonly Package[]
  /**
   * The same of a file, of which one package is enough: looked for first in that of the name that is likely. Quick for a few files, for
   * which no list of all owners is made.
   */
  ownersOfFile(path: string, likely: string | null): readonly Package[]
  /** Whether packages besides these ship a path; as quick. */
  isShippedByOthers(path: string, own: ReadonlySet<Package>): boolean
}

const DATABASE = '/var/lib/dpkg'

/**
 * Reads the dpkg database of a root. null where there is none: no status file, or an empty one, as trees have that were
 * unpacked without dpkg. Throws PACKAGE_DATABASE for one that is damaged.
 */
export function readPackageDatabase(fs: FileSystem): PackageDatabase | null {
  const status = readText(fs, `${DATABASE}/status`)
  if (status === null || status.trim() === '') return null
  const packages = parseStatus(status)
  const diversions = parseDiversions(readText(fs, `${DATABASE}/diversions`) ?? '')
  const moved = new Set([...diversions].flatMap(([from, { to }]) => [from, to]))
  const resolver = canonicalizer(fs)
  const texts = new Map<Package, string>()
  const textOf = (pkg: Package) => remember(texts, pkg, () => readList(fs, pkg))
  const lists = new Map<Package, readonly string[]>()
  const filesOf = (pkg: Package): readonly string[] => {
    const known = lists.get(pkg)
    if (known !== undefined) return known
    const listed = pathsIn(textOf(pkg), pkg).map(path => diverted(path, pkg, diversions))
    const parents = new Set(listed.map(parent))
    // What has something below it is a directory to the package, even where this root has a link (/lib64 of a merged tree).
    const files = listed.map(path => (parents.has(path) ? resolver.directory(path) : resolver.path(path)))
    lists.set(pkg, files)
    return files
  }
  let owners: ReadonlyMap<string, readonly Package[]> | null = null
  const ownersOf = (path: string) => {
    owners ??= ownersByPath(packages, filesOf)
    return owners.get(path) ?? []
  }
  // Lists have a path as it was before /lib became a link to /usr/lib, or as it is.
  const spelled = (path: string) => [path, path.replace(/^\/usr(?=\/)/, '')]
  const isMoved = (path: string) => spelled(path).some(name => moved.has(name))
  const naming = (path: string) => {
    const lines = spelled(path).map(line => `\n${line}\n`)
    return packages.filter(pkg => lines.some(line => textOf(pkg).includes(line)))
  }
  const named = group(packages, pkg => [[pkg.name, pkg]])
  return {
    architecture: mostFrequent(packages.map(pkg => pkg.architecture).filter(name => name !== 'all')),
    packages,
    named,
    provided: group(packages, pkg => pkg.provides.map(({ name, version }) => [name, { by: pkg, version }])),
    filesOf,
    ownersOf,
    ownersOfFile: (path, likely) => {
      if (owners !== null) return ownersOf(path)
      const ships = (pkg: Package) => filesOf(pkg).includes(path)
      const there = named.get(likely ?? '')?.filter(ships) ?? []
      const found = there.length > 0 ? there : naming(path).filter(ships)
      return found.length > 0 ? found : ownersOf(path)
    },
    isShippedByOthers: (path, own) => {
      const found = owners !== null || isMoved(path) ? ownersOf(path) : naming(path)
      return found.some(pkg => !own.has(pkg))
    },
  }
}

/** The installed packages that satisfy a dependency of `asker`, real ones before those that only provide its name. */
export function satisfiers(
  dependency: Dependency,
  asker: Pick<Package, 'architecture'>,
  database: PackageDatabase,
): readonly Package[] {
  const serves = (pkg: Package): boolean => architectureServes(pkg, dependency, asker, database.architecture)
  const real = (database.named.get(dependency.name) ?? []).filter(pkg =>
    versionSatisfies(pkg.version, dependency.relation, dependency.version),
  )
  // A virtual name without a version satisfies no dependency that asks for one (Debian policy 7.5).
  const virtual = (database.provided.get(dependency.name) ?? []).filter(({ version }) =>
    version === null
      ? dependency.relation === null
      : versionSatisfies(version, dependency.relation, dependency.version),
  )
  return [...new Set([...real, ...virtual.map(({ by }) => by)])].filter(serves)
}

/** Multi-Arch (deb-control(5) and Ubuntu's MultiarchSpec): whose dependencies a package of some architecture satisfies. */
function architectureServes(
  pkg: Package,
  dependency: Dependency,
  asker: Pick<Package, 'architecture'>,
  native: string,
): boolean {
  const has = pkg.architecture === 'all' ? native : pkg.architecture
  if (dependency.architecture === 'any')
    return pkg.multiArch === 'allowed' || pkg.multiArch === 'foreign' || has === native
  const wanted = dependency.architecture ?? (asker.architecture === 'all' ? native : asker.architecture)
  return has === wanted || pkg.multiArch === 'foreign'
}

function readList(fs: FileSystem, pkg: Package): string {
  // Only packages of Multi-Arch: same carry their architecture in the name (dpkg lib/dpkg/db-ctrl-access.c).
  const name = pkg.multiArch === 'same' ? `${pkg.name}:${pkg.architecture}` : pkg.name
  const text = readText(fs, `${DATABASE}/info/${name}.list`)
  if (text === null)
    throw new AppcError('PACKAGE_DATABASE', `the package database has no list of the files of ${pkg.name}`, {
      because: `${DATABASE}/info/${name}.list does not exist`,
      hint: `reinstall ${pkg.name} in that tree`,
    })
  return `\n${text}`
}

function pathsIn(text: string, pkg: Package): string[] {
  return text.split('\n').flatMap(line => (line === '' || line === '/.' ? [] : [checkPath(line, pkg)]))
}

/** Absolute, without NUL and without empty, `.` and `..` components; one look at each of a hundred thousand paths. */
const NORMALISED = /^(?:\/(?!\.{0,2}(?:\/|$))[^/\0]+)+$/

function checkPath(path: string, pkg: Package): string {
  if (NORMALISED.test(path)) return path
  throw new AppcError('PACKAGE_DATABASE', `the list of the files of ${pkg.name} is damaged`, {
    because: `${JSON.stringify(path)} is not an absolute, normalised path`,
  })
}

/** A diversion moves the file of every package but the one that diverts. */
function diverted(path: string, pkg: Package, diversions: ReadonlyMap<string, Diversion>): string {
  const diversion = diversions.get(path)
  return diversion === undefined || diversion.by === pkg.name ? path : diversion.to
}

function mostFrequent(names: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].reduce((best, next) => (next[1] > best[1] ? next : best), ['all', 0])[0]
}

function ownersByPath(
  packages: readonly Package[],
  filesOf: (pkg: Package) => readonly string[],
): ReadonlyMap<string, readonly Package[]> {
  const owners = new Map<string, Package[]>()
  for (const pkg of packages) {
    for (const path of filesOf(pkg)) {
      const others = owners.get(path)
      if (others === undefined) owners.set(path, [pkg])
      else others.push(pkg)
    }
  }
  return owners
}

function group<T, V>(items: readonly T[], pairs: (item: T) => readonly (readonly [string, V])[]): Map<string, V[]> {
  const groups = new Map<string, V[]>()
  for (const item of items)
    for (const [key, value] of pairs(item)) {
      const values = groups.get(key)
      if (values === undefined) groups.set(key, [value])
      else values.push(value)
    }
  return groups
}
