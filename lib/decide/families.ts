import type { PackedRegular } from '../container/types.js'
import { lockstepFamily } from '../host/family.js'
import { type Contents, libraryName } from './home.js'

/**
 * The lockstep families among the container's libraries, as lists of sonames. Who shares a `*_PRIVATE` version is of one build;
 * who merely defines versions of the same name-space belongs to it only where its package does too, or where no package
 * tells (libxcrypt's libcrypt.so.1 speaks of GLIBC_2.2.5 as well, and serves any glibc).
 */
export function familiesOf(contents: Contents): readonly (readonly string[])[] {
  const libraries = [...contents.libraries.values()].filter(file => file.elf !== undefined)
  const candidates = libraries.flatMap(file => (file.elf ? [{ path: file.path, facts: file.elf }] : []))
  const families: (readonly string[])[] = []
  const seen = new Set<string>()
  for (const library of libraries.filter(isTied)) {
    if (seen.has(library.path)) continue
    const paths = new Set(lockstepFamily([library.path], candidates))
    const tied = libraries.filter(file => paths.has(file.path) && isTied(file))
    const packages = new Set(tied.map(file => file.package))
    const members = libraries.filter(file => paths.has(file.path) && (isTied(file) || packages.has(file.package)))
    for (const file of members) seen.add(file.path)
    if (members.length > 1) families.push(members.flatMap(file => (file.elf ? [libraryName(file.path, file.elf)] : [])))
  }
  return families
}

function isTied(file: PackedRegular): boolean {
  const named = [
    ...(file.elf?.verdefs ?? []).map(({ name }) => name),
    ...(file.elf?.verneeds ?? []).map(({ version }) => version),
  ]
  return named.some(version => version.endsWith('_PRIVATE'))
}
