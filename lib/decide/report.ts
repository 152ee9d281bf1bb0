import type { PackedRegular } from '../container/types.js'
import type { LoadedObject } from '../loader/types.js'
import type { Subject } from './constraints.js'
import { tell } from './demand.js'
import type { Contents } from './home.js'
import { type Mix, nameOf } from './mix.js'
import type { Places } from './placement.js'
import type { Selection } from './selection.js'
import type { Asker, LibraryChoice, PackageChoice, Reason } from './types.js'

/** The choices in words and figures: every library of the resulting mix, and every packed package. */
export function choicesOf(
  contents: Contents,
  selection: Selection,
  mix: Mix,
  places: Places,
  subjects: readonly Subject[],
): { readonly libraries: readonly LibraryChoice[]; readonly packages: readonly PackageChoice[] } {
  const libraries = new Map<string, LibraryChoice>()
  const asked = versionsAsked(subjects)
  const byName = askersByName(mix, subjects)
  const askers = (soname: string) => byName.get(soname) ?? []
  for (const soname of selection.sonames) {
    const file = contents.libraries.get(soname)
    if (file) libraries.set(soname, { ...privateChoice(soname, file, selection, places), askedBy: askers(soname) })
  }
  for (const { graph } of subjects) {
    for (const [at, object] of graph.objects.entries()) {
      const name = nameOf(object)
      if (at === 0 || libraries.has(name)) continue
      const bytes = mix.fs.lstat(object.realPath)?.size ?? 0
      const own = mix.fileOf(object)
      const file = own ?? contents.libraries.get(name) ?? null
      // Found by the RUNPATH of a private module beside it (gconv's), it is a file of its package and no candidate by itself.
      const reasons = own ? packageReasons(own) : sharedReasons(object, asked.get(name) ?? [])
      libraries.set(name, {
        soname: name,
        choice: own ? 'private' : 'shared',
        path: object.path,
        bytes,
        file,
        reasons,
        askedBy: askers(name),
      })
    }
  }
  return {
    libraries: [...libraries.values()].sort((a, b) => (a.soname < b.soname ? -1 : 1)),
    packages: contents.manifest.packages.map(pkg => packageChoice(pkg.name, selection)),
  }
}

function privateChoice(
  soname: string,
  file: PackedRegular,
  selection: Selection,
  places: Places,
): Omit<LibraryChoice, 'askedBy'> {
  return {
    soname,
    choice: 'private',
    path: places.libraries.get(soname)?.[0] ?? file.path,
    bytes: file.size,
    file,
    reasons: selection.reasonsForLibrary(soname),
  }
}

function packageReasons({ package: name }: PackedRegular): readonly Reason[] {
  return [
    {
      rule: 'lockstep',
      text: name === null ? 'the modules beside it need it' : `it is a file of ${name}, which is private`,
    },
  ]
}

function sharedReasons({ realPath, facts }: LoadedObject, asked: readonly string[]): readonly Reason[] {
  const reasons: Reason[] = [{ rule: 'presence', text: `the host has it at ${realPath}` }]
  const defined = new Set(facts.verdefs.map(({ name }) => name))
  // A weak version may be asked for and be missing.
  const versions = asked.filter(version => defined.has(version))
  const newest = versions.at(-1)
  if (newest !== undefined) {
    const count =
      versions.length === 1 ? 'the one version asked of it,' : `the ${versions.length} versions asked of it, up to`
    reasons.push({ rule: 'versions', text: `it defines ${count} ${newest}` })
  }
  reasons.push({ rule: 'symbols', text: 'every symbol that resolved at home resolves to it here' })
  return reasons
}

/** By soname, who has it in DT_NEEDED or takes a version of it. */
function askersByName(mix: Mix, subjects: readonly Subject[]): ReadonlyMap<string, readonly Asker[]> {
  const found = new Map<string, Map<string, Asker>>()
  for (const { graph } of subjects) {
    for (const { from, to } of graph.edges) {
      const [asker, provider] = [graph.objects[from], graph.objects[to]]
      if (asker === undefined || provider === undefined) continue
      const versions = asker.facts.verneeds
        .filter(({ file }) => provider.names.includes(file))
        .map(need => need.version)
      const [name, by] = [nameOf(provider), tell(mix, asker)]
      found.set(name, (found.get(name) ?? new Map<string, Asker>()).set(by, { by, versions }))
    }
  }
  const sorted = (askers: Map<string, Asker>) => [...askers.values()].sort((a, b) => (a.by < b.by ? -1 : 1))
  return new Map([...found].map(([name, askers]) => [name, sorted(askers)]))
}

/** By soname, which versions anybody in the mix asks of it, in order. */
function versionsAsked(subjects: readonly Subject[]): ReadonlyMap<string, readonly string[]> {
  const asked = new Map<string, Set<string>>()
  for (const { graph } of subjects) {
    for (const need of graph.objects.flatMap(object => object.facts.verneeds)) {
      const versions = asked.get(need.file) ?? new Set()
      asked.set(need.file, versions.add(need.version))
    }
  }
  const order = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true })
  return new Map([...asked].map(([name, versions]) => [name, [...versions].sort(order)]))
}

function packageChoice(name: string, selection: Selection): PackageChoice {
  if (selection.packages.has(name)) return { name, choice: 'private', reasons: selection.reasonsForPackage(name) }
  const text = 'the host has it at a version that satisfies every private package that depends on it'
  return { name, choice: 'shared', reasons: [{ rule: 'presence', text }] }
}
