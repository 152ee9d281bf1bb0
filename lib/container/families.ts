import { satisfiers } from '../host/dpkg.js'
import { type FamilyCandidate, lockstepFamily } from '../host/family.js'
import type { Package } from '../host/packages.js'
import { join, parent } from '../loader/file-system.js'
import type { Loader } from '../loader/types.js'
import type { Harvest } from './harvest.js'
import { type Linkage, loadable } from './libraries.js'

/** glibc's locale data has no stable format between releases; its place is compiled into libc.so.6 (locale/localeinfo.h). */
const LOCALE_DIRECTORY = '/usr/lib/locale'

/** Takes every lockstep family of which a member was taken as a whole. */
export function completeFamilies(harvest: Harvest, linkage: Linkage, machine: number): void {
  const taken = candidatesAmong(harvest, harvest.paths.keys(), machine)
  const seeds = taken.map(({ path }) => path)
  if (harvest.tree.database !== null) {
    const packages = new Set(lockstepFamily(seeds, taken).map(path => harvest.paths.get(path) ?? null))
    for (const pkg of packages) if (pkg !== null) takeWithLocales(harvest, pkg)
  } else {
    const names = searchedNames(harvest, linkage)
    const nearby = candidatesAmong(harvest, names.keys(), machine)
    const members = lockstepFamily(seeds, [...new Map([...taken, ...nearby].map(file => [file.path, file])).values()])
    for (const path of members) for (const name of [path, ...(names.get(path) ?? [])]) harvest.takeFile(name)
    if (linkage.loader !== null && members.includes(linkage.loader.realPath)) takeConverters(harvest, linkage.loader)
  }
}

/**
 * Where there are packages, a family is the packages that ship its members: modules that libc.so.6 loads by path (gconv, NSS)
 * come along. Its locale data may be in a package of its own (Debian's libc-bin): that is one whose dependency lets it
 * be used with one release of the family's package only, from above and from below. Such data is taken as the family's.
 */
function takeWithLocales(harvest: Harvest, pkg: Package): void {
  harvest.takePackage(pkg, false)
  const { database } = harvest.tree
  for (const other of database?.packages ?? [])
    if (
      other !== pkg &&
      database !== null &&
      isBoundTo(other, group => group.some(wanted => satisfiers(wanted, other, database).includes(pkg)))
    )
      for (const path of database.filesOf(other))
        if (path.startsWith(`${LOCALE_DIRECTORY}/`) && harvest.tree.fs.lstat(path) !== null && !harvest.paths.has(path))
          harvest.paths.set(path, pkg)
}

/** Depends on one release of a package: exactly, or with both bounds. */
function isBoundTo(other: Package, means: (group: Package['depends'][number]) => boolean): boolean {
  const relations = new Set(other.depends.filter(means).flatMap(group => group.map(({ relation }) => relation)))
  return (
    relations.has('=') || ((relations.has('<<') || relations.has('<=')) && (relations.has('>>') || relations.has('>=')))
  )
}

/** Names in the directories that the loader searches, by the real path that they lead to. */
function searchedNames(harvest: Harvest, { loader, reached }: Linkage): ReadonlyMap<string, readonly string[]> {
  const { tree } = harvest
  const places = [
    ...(loader?.systemDirectories ?? []).map(directory => tree.canonical.directory(directory)),
    ...[...reached].map(parent),
  ]
  const names = new Map<string, string[]>()
  for (const directory of [...new Set(places)].sort())
    for (const name of [...(tree.fs.readdir(directory) ?? [])].sort()) {
      const { end } = tree.chain(join(directory, name))
      if (end?.stat.kind === 'file') names.set(end.path, [...(names.get(end.path) ?? []), join(directory, name)])
    }
  return names
}

/** Character set converters, which libc.so.6 loads from `gconv` in its library directory, with their list and its cache. */
function takeConverters(harvest: Harvest, loader: Loader): void {
  for (const directory of loader.systemDirectories) {
    const gconv = join(harvest.tree.canonical.directory(directory), 'gconv')
    if (harvest.tree.fs.lstat(gconv)?.kind === 'directory') harvest.takeDirectory(gconv, false)
  }
}

function candidatesAmong(harvest: Harvest, paths: Iterable<string>, machine: number): readonly FamilyCandidate[] {
  return [...paths].flatMap(path => {
    const facts = loadable(harvest.tree, path, machine)
    return facts === null ? [] : [{ path, facts }]
  })
}
