import type { PackedRegular } from '../container/types.js'
import type { ElfFacts, ElfSymbols, ImportedSymbol } from '../elf/types.js'
import { definitionIn } from '../loader/bind.js'
import { isPassedOver } from '../loader/candidate.js'
import { remember } from '../loader/remember.js'
import { resolveGraph } from '../loader/resolve.js'
import type { LoadedObject } from '../loader/types.js'
import { homeGraph } from './home.js'
import { leadsTo } from './host-paths.js'
import { nameOf } from './mix.js'
import type { Placed, World } from './world.js'

/** What a library of the host's supplied and the private one over it does not. */
export interface Gone {
  readonly soname: string
  /** By name: the versions in which it was exported; '' for none. */
  readonly symbols: ReadonlyMap<string, ReadonlySet<string>>
  /** Whether a version that somebody asks for is no longer there, or is missed only now that others are. */
  readonly isMissed: (version: string) => boolean
  /** The versions that lost a symbol; '' where one without a version is gone. */
  readonly lost: ReadonlySet<string>
  /** It cannot be loaded itself: what it needs is not there. */
  readonly isStranded: boolean
}

export type Missing = Omit<Gone, 'isStranded'>

/**
 * For each private library that lies over one of the host's: what goes missing. A library that supplies all that the other did
 * serves all that the other served, and nobody needs to be asked: so it is nearly always. What another member of the family that it
 * brings along supplies now (glibc's threads moved into libc.so.6) is not gone. `known`: what each replaced file loses, by its path,
 * which no choice changes.
 */
export function goneFrom(world: World, state: Placed, known: Map<string, Missing | null>): readonly Gone[] {
  const { places, selection } = state
  const gone: Gone[] = []
  const loaded = new Set(state.subjects.flatMap(({ graph }) => graph.objects.map(({ realPath }) => realPath)))
  for (const [soname, paths] of places.libraries) {
    const file = world.contents.libraries.get(soname)
    const own = file && providerOf(file)
    if (!file || !own) continue
    const members = selection.familyOf(soname)
    const brought = homeGraph(world.contents, file).objects.slice(1)
    const family = brought.flatMap(object => {
      const relative = members.includes(nameOf(object)) ? world.contents.libraries.get(nameOf(object)) : undefined
      return relative ? (providerOf(relative) ?? []) : []
    })
    // Who asks for a private version comes with its family and is replaced with it; where none was packed, it is another build's.
    const isServed = (version: string) => isPrivateVersion(version) && members.length > 0
    const isStranded = !paths.some(path => loaded.has(path)) && isStrandedAt(world, state, paths)
    for (const path of replacedFiles(world, paths)) {
      const facts = factsAt(world, path)
      // What no loader takes for a library served nobody.
      if (facts === null) continue
      const missing = remember(known, `${soname} ${path}`, () =>
        missingFrom(soname, facts, world.looked.hostSymbols(path), [own, ...family], isServed),
      )
      if (missing !== null || isStranded) gone.push({ ...(missing ?? nothing(soname)), isStranded })
    }
  }
  return gone
}

/** Whether what no program of the container's loads, and so nobody has judged, needs what is not there. */
function isStrandedAt({ host, looked }: World, { mix }: Placed, paths: readonly string[]): boolean {
  const path = paths[0]
  return path !== undefined && resolveGraph(mix.fs, path, host.context, looked.facts).problems.length > 0
}

function nothing(soname: string): Missing {
  return { soname, symbols: new Map(), isMissed: () => false, lost: new Set() }
}

/** The host's own files at these paths, links left out. */
function replacedFiles({ host, contents }: World, paths: readonly string[]): readonly string[] {
  const files = paths.flatMap(path => {
    const real = host.fs.lstat(path)?.kind === 'file' ? leadsTo(host.fs, path) : null
    return real === null || contents.inPlace.has(real) ? [] : [real]
  })
  return [...new Set(files)]
}

function factsAt({ host, looked, contents }: World, path: string): ElfFacts | null {
  const stat = host.fs.lstat(path)
  if (stat === null) return null
  const inspection = looked.facts.inspect(host.fs, path, stat)
  const { loader } = contents.manifest.source
  // A file of another machine in its place served nobody that this one could harm.
  return loader !== null && isPassedOver(inspection, stat.size, loader) ? null : inspection.facts
}

interface Provider {
  readonly object: LoadedObject
  readonly symbols: ElfSymbols
}

function providerOf({ path, elf }: PackedRegular): Provider | null {
  if (elf === undefined) return null
  return { object: { path, realPath: path, names: [elf.soname ?? path], facts: elf }, symbols: elf.symbols }
}

function missingFrom(
  soname: string,
  facts: ElfFacts,
  { exports }: ElfSymbols,
  providers: readonly Provider[],
  isServed: (version: string) => boolean,
): Missing | null {
  const symbols = new Map<string, Set<string>>()
  const lost = new Set<string>()
  const defined = new Set(providers[0]?.object.facts.verdefs.map(({ name }) => name))
  // Those without symbols too: a program is refused for want of GLIBC_ABI_DT_RELR, which no symbol has.
  const versions = new Set<string>()
  for (const { name } of facts.verdefs)
    if ((!defined.has(name) || isPrivateVersion(name)) && !isServed(name)) versions.add(name)
  // Of a library that has none every version may be asked: the loader only warns.
  const hadNone = facts.verdefs.length === 0 && defined.size > 0
  for (const { name, version, objectSize } of exports) {
    if (version !== undefined && isServed(version)) continue
    const wanted: ImportedSymbol = version === undefined ? { name } : { name, version }
    const found = providers.map(({ object, symbols }) => definitionIn(object, symbols, wanted, null)).find(Boolean)
    // A program that copied a variable has reserved what it was.
    if (found && (objectSize === undefined || found.objectSize === objectSize)) continue
    lost.add(version ?? '')
    symbols.set(name, (symbols.get(name) ?? new Set()).add(version ?? ''))
  }
  if (symbols.size === 0 && versions.size === 0 && !hadNone) return null
  return { soname, symbols, isMissed: version => (hadNone ? !defined.has(version) : versions.has(version)), lost }
}

function isPrivateVersion(name: string): boolean {
  return name.endsWith('_PRIVATE')
}

/** Whether a reference is to what is gone. */
export function isGone({ symbols }: Gone, wanted: ImportedSymbol): boolean {
  const versions = symbols.get(wanted.name)
  return versions !== undefined && (wanted.version === undefined || versions.has(wanted.version) || versions.has(''))
}
