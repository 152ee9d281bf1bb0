import type { PackageDatabase } from '../host/dpkg.js'
import type { Package } from '../host/packages.js'
import { join, parent } from '../loader/file-system.js'
import type { Contents } from './home.js'
import { nameChain, within } from './host-paths.js'
import type { Places } from './placement.js'
import type { Selection } from './selection.js'
import type { Host, PlacedNode } from './types.js'

/** Where names of a replaced package are hidden: code and its data. Documentation harms nobody, configuration is the site's. */
const COVERED = ['/usr', '/bin', '/sbin', '/lib', '/lib64', '/lib32', '/libx32', '/opt']
const LEFT = [
  '/usr/share/doc',
  '/usr/share/man',
  '/usr/share/info',
  '/usr/share/lintian',
  '/usr/share/locale',
  '/usr/include',
  '/usr/src',
]

/** Directories of everybody's, whoever ships them: what lies there unowned was not generated from one package. */
const COMMON = new Set([
  ...COVERED,
  ...['bin', 'sbin', 'games', 'lib', 'lib32', 'lib64', 'libx32', 'libexec', 'include', 'local', 'share', 'src'].map(
    name => `/usr/${name}`,
  ),
])

/**
 * Names that the host's version of a privately taken package ships and the container's does not: hidden by whiteouts, so that
 * half of one version never mixes with half of another. What lies unowned in a directory that only such a package ships
 * (gconv-modules.cache, __pycache__) was generated from it and goes with it. Libraries that the loader finds by name are not
 * hidden: each was decided for itself.
 */
export function hidden(
  host: Host,
  contents: Contents,
  selection: Selection,
  places: Places,
): ReadonlyMap<string, PlacedNode> {
  const nodes = new Map<string, PlacedNode>()
  const database = host.packages
  if (database === null) return nodes
  const replaced = replacedPackages(host, database, contents, selection, places)
  const above = new Set([...places.nodes.keys()].flatMap(ancestors))
  const hide = (path: string) => {
    if (!places.nodes.has(path) && !above.has(path) && coverable(path)) nodes.set(path, { kind: 'whiteout' })
  }
  const theirs = new Set([...replaced].flatMap(pkg => database.filesOf(pkg)))
  for (const pkg of replaced) {
    for (const path of database.filesOf(pkg)) {
      const stat = host.fs.lstat(path)
      if (stat === null || !coverable(path)) continue
      if (stat.kind === 'directory') {
        if (COMMON.has(path) || inSearchDirectory(places, join(path, 'x'))) continue
        const others = (host.fs.readdir(path) ?? []).map(name => join(path, name)).filter(inside => !theirs.has(inside))
        if (others.length === 0 || database.isShippedByOthers(path, replaced)) continue
        for (const inside of others) if (!database.isShippedByOthers(inside, replaced)) hide(inside)
      } else if (!inSearchDirectory(places, path) && !leadsToPlaced(host, places, path)) {
        // A link may stand where others have a directory: /lib of a merged root.
        const isShared = stat.kind === 'symlink' && database.isShippedByOthers(path, replaced)
        if (!isShared && !isSharedWithTwin(database, path, pkg, replaced)) hide(path)
      }
    }
  }
  return withoutParentless(nodes, places)
}

/** Two packages ship one file only where they are one package of two architectures (Multi-Arch: same). */
function isSharedWithTwin(
  database: PackageDatabase,
  path: string,
  pkg: Package,
  replaced: ReadonlySet<Package>,
): boolean {
  const twins = database.named.get(pkg.name) ?? []
  return twins.some(twin => !replaced.has(twin) && database.filesOf(twin).includes(path))
}

/** The host's packages that private ones stand for: those of the same name, and the owners of the files that are covered. */
function replacedPackages(
  { fs }: Host,
  database: PackageDatabase,
  contents: Contents,
  selection: Selection,
  places: Places,
): ReadonlySet<Package> {
  const native = (pkg: Package) => pkg.architecture === 'all' || pkg.architecture === database.architecture
  const named = [...selection.packages].flatMap(name => database.named.get(name) ?? [])
  const isThere = (path: string) => fs.lstat(path) !== null
  const covered = [...places.libraries].flatMap(([soname, paths]) => {
    const file = contents.libraries.get(soname)
    return file ? paths.filter(isThere).flatMap(path => database.ownersOfFile(path, file.package)) : []
  })
  return new Set([...named, ...covered].filter(native))
}

function ancestors(path: string): readonly string[] {
  return path === '/' ? [] : [parent(path), ...ancestors(parent(path))]
}

function inSearchDirectory(places: Places, path: string): boolean {
  return places.searched.has(parent(path))
}

function coverable(path: string): boolean {
  return COVERED.some(directory => within(path, directory)) && !LEFT.some(directory => within(path, directory))
}

/** The host's link to what is covered leads to the private file by its name (/lib64/ld-linux-x86-64.so.2), and must stay. */
function leadsToPlaced(host: Host, places: Places, path: string): boolean {
  const end = nameChain(host.fs, path).at(-1)
  return end !== undefined && end !== path && places.nodes.has(end)
}

/** A name below one that is replaced as a whole needs no whiteout of its own. */
function withoutParentless(nodes: Map<string, PlacedNode>, places: Places): ReadonlyMap<string, PlacedNode> {
  const replacedAbove = (path: string): boolean => {
    for (let up = parent(path); up !== '/'; up = parent(up)) {
      const node = nodes.get(up) ?? places.nodes.get(up)
      if (node !== undefined && node.kind !== 'directory') return true
    }
    return false
  }
  return new Map([...nodes].filter(([path]) => !replacedAbove(path)))
}
