import type { PackedPackage } from '../container/types.js'
import { type PackageDatabase, satisfiers } from '../host/dpkg.js'
import type { Dependency, Package } from '../host/packages.js'
import { versionSatisfies } from '../host/version.js'
import type { Demand } from './demand.js'
import type { Placed, World } from './world.js'

/**
 * Rule 5 for an interpreter that is laid over the host's (perl, python, a shell): the host's scripts and compiled modules for it are
 * run by the private one then. What they need of it their packages say: an ABI by a virtual name (perlapi-5.36.0), or a range of
 * versions. Libraries are judged by what is really asked of them instead.
 */
export function brokenByInterpreters({ host, contents }: World, { places, selection }: Placed): readonly Demand[] {
  const database = host.packages
  if (database === null) return []
  const covered = new Set<string>()
  for (const [path, node] of places.nodes)
    if (node.kind === 'file' && node.file.elf?.role === 'program' && node.file.package && host.fs.lstat(path) !== null)
      covered.add(node.file.package)
  if (covered.size === 0) return []
  const replaced = (pkg: Package) => selection.packages.has(pkg.name)
  const packed = contents.manifest.packages.filter(pkg => selection.packages.has(pkg.name))
  return database.packages
    .filter(pkg => !replaced(pkg))
    .flatMap(pkg => {
      for (const group of pkg.depends) {
        const before = group.flatMap(wanted => satisfiers(wanted, pkg, database))
        const lost = before.find(({ name }) => covered.has(name))
        if (lost === undefined || before.some(other => !replaced(other))) continue
        // One is enough: what cannot work does not work any less for a second reason.
        if (!packed.some(own => serves(own, group))) return [brokenPackage(database, pkg, group, packed, lost)]
      }
      return []
    })
}

function brokenPackage(
  database: PackageDatabase,
  pkg: Package,
  group: readonly Dependency[],
  packed: readonly PackedPackage[],
  lost: Package,
): Demand {
  const own = packed.find(({ name }) => name === lost.name)
  const wanted = group.map(({ name, relation, version }) =>
    relation === null ? name : `${name} (${relation} ${version})`,
  )
  const programs = database.filesOf(pkg).filter(path => /^\/usr\/s?bin\/[^/]+$/.test(path))
  const what = programs.length === 0 ? `${pkg.name}` : `${pkg.name} (${programs.join(', ')})`
  const text = `the host's ${what} would not work inside: it depends on ${wanted.join(' | ')}, which the container's ${lost.name} ${own?.version ?? ''} does not provide`
  const otherwise = { kind: 'neighbour' as const, text }
  return { reason: { rule: 'neighbours', text }, takes: [], about: [], otherwise }
}

function serves(pkg: PackedPackage, group: readonly Dependency[]): boolean {
  const names = [{ name: pkg.name, version: pkg.version as string | null }, ...pkg.provides]
  return group.some(wanted =>
    names.some(
      ({ name, version }) =>
        name === wanted.name &&
        (wanted.relation === null || (version !== null && versionSatisfies(version, wanted.relation, wanted.version))),
    ),
  )
}
