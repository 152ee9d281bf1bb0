import type { PackedRegular } from '../container/types.js'
import { lockstepFamily } from '../host/family.js'
import { type Contents, libraryName } from './home.js'

/**
 * The lockstep families among the container's libraries, as lists of sonames: what shares a `*_PRIVATE` version, and what is of one
 * source and binds without versions. No family is listed by name.
 */
export function familiesOf(contents: Contents): readonly (readonly string[])[] {
  const groups = [...privateFamilies(contents), ...sourcePairs(contents)]
  return merged(groups).map(files => files.flatMap(file => (file.elf ? [libraryName(file.path, file.elf)] : [])))
}

/**
 * Who shares a `*_PRIVATE` version is of one build; who merely defines versions of the same name-space belongs to it only where its
 * package does too, or where no package tells (libxcrypt's libcrypt.so.1 speaks of GLIBC_2.2.5 as well, and serves any glibc).
 */
function privateFamilies(contents: Contents): readonly (readonly PackedRegular[])[] {
  const libraries = [...contents.libraries.values()].filter(file => file.elf !== undefined)
  const candidates = libraries.flatMap(file => (file.elf ? [{ path: file.path, facts: file.elf }] : []))
  const families: (readonly PackedRegular[])[] = []
  const seen = new Set<string>()
  for (const library of libraries.filter(isTied)) {
    if (seen.has(library.path)) continue
    const paths = new Set(lockstepFamily([library.path], candidates))
    const tied = libraries.filter(file => paths.has(file.path) && isTied(file))
    const packages = new Set(tied.map(file => file.package))
    const members = libraries.filter(file => paths.has(file.path) && (isTied(file) || packages.has(file.package)))
    for (const file of members) seen.add(file.path)
    if (members.length > 1) families.push(members)
  }
  return families
}

/**
 * Libraries that were built from one source call each other's insides as they were that day: nothing but a version would say which
 * of the names are meant for others (libgtk-3 and libgdk-3, ICU's, GLib's).
 */
function sourcePairs(contents: Contents): readonly (readonly PackedRegular[])[] {
  return [...contents.libraries.values()].flatMap(file => {
    const source = contents.sourceOf(file)
    if (source === null || file.elf === undefined) return []
    return Object.values(file.elf.resolved).flatMap(path => {
      const other = contents.follow(path)
      return other && other !== file && contents.sourceOf(other) === source && bindsPlainly(file, other)
        ? [[file, other]]
        : []
    })
  })
}

/** Whether one asks for a name without a version that the other exports. */
function bindsPlainly(one: PackedRegular, other: PackedRegular): boolean {
  const exported = new Set(other.elf?.symbols.exports.flatMap(({ name, version }) => (version ? [] : [name])))
  return (
    exported.size > 0 && one.elf?.symbols.imports.some(({ name, version }) => !version && exported.has(name)) === true
  )
}

/** Groups that have a member in common are one. */
function merged(groups: readonly (readonly PackedRegular[])[]): readonly (readonly PackedRegular[])[] {
  const groupOf = new Map<PackedRegular, Set<PackedRegular>>()
  for (const group of groups) {
    const all = new Set(group.flatMap(file => [file, ...(groupOf.get(file) ?? [])]))
    for (const file of all) groupOf.set(file, all)
  }
  return [...new Set(groupOf.values())].map(group => [...group].sort((a, b) => (a.path < b.path ? -1 : 1)))
}

/** Whether it shares a version `*_PRIVATE` with others, so that all come at once, in one mount. */
export function isTied(file: PackedRegular): boolean {
  const named = [
    ...(file.elf?.verdefs ?? []).map(({ name }) => name),
    ...(file.elf?.verneeds ?? []).map(({ version }) => version),
  ]
  return named.some(version => version.endsWith('_PRIVATE'))
}
