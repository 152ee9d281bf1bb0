import type { PackedRegular } from '../container/types.js'
import type { ElfFacts, ElfSymbols, ImportedSymbol } from '../elf/types.js'
import { definitionIn } from '../loader/bind.js'
import { isPassedOver } from '../loader/candidate.js'
import type { LoadedObject } from '../loader/types.js'
import { leadsTo } from './host-paths.js'
import type { Placed, World } from './world.js'

/** What a library of the host's supplied and the private one over it does not. */
export interface Gone {
  readonly soname: string
  /** By name: the versions in which it was exported; '' for none. */
  readonly symbols: ReadonlyMap<string, ReadonlySet<string>>
  readonly versions: ReadonlySet<string>
  /** The versions that lost a symbol; '' where one without a version is gone. */
  readonly lost: ReadonlySet<string>
}

/**
 * For each private library that lies over one of the host's: what goes missing. A library that supplies all that the other did
 * serves all that the other served, and nobody needs to be asked: so it is nearly always. What another member of the family
 * supplies now (glibc's threads moved into libc.so.6) is not gone.
 */
export function goneFrom(world: World, { places, selection }: Placed): readonly Gone[] {
  const gone: Gone[] = []
  for (const [soname, paths] of places.libraries) {
    const file = world.contents.libraries.get(soname)
    const own = file && providerOf(file)
    if (!own) continue
    const members = selection.familyOf(soname)
    const family = members.flatMap(member => {
      const relative = member === soname ? undefined : world.contents.libraries.get(member)
      return relative ? (providerOf(relative) ?? []) : []
    })
    // Who asks for a private version is of the same build, comes with its family, and is replaced with it: where that was packed.
    const isServed = (version: string) => version.endsWith('_PRIVATE') && members.length > 0
    for (const path of replacedFiles(world, paths)) {
      const facts = factsAt(world, path)
      // What no loader takes for a library served nobody.
      if (facts === null) continue
      const missing = missingFrom(soname, facts, world.looked.hostSymbols(path), [own, ...family], isServed)
      if (missing.symbols.size > 0 || missing.versions.size > 0) gone.push(missing)
    }
  }
  return gone
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
): Gone {
  const symbols = new Map<string, Set<string>>()
  const versions = new Set<string>()
  const lost = new Set<string>()
  const defined = new Set(providers[0]?.object.facts.verdefs.map(({ name }) => name))
  // Those without symbols too: a program is refused for want of GLIBC_ABI_DT_RELR, which no symbol has.
  for (const { name } of facts.verdefs) if (!defined.has(name) && !isServed(name)) versions.add(name)
  for (const { name, version, objectSize } of exports) {
    if (version !== undefined && isServed(version)) continue
    const wanted: ImportedSymbol = version === undefined ? { name } : { name, version }
    const found = providers.map(({ object, symbols }) => definitionIn(object, symbols, wanted, null)).find(Boolean)
    // A program that copied a variable has reserved what it was.
    if (found && (objectSize === undefined || found.objectSize === objectSize)) continue
    lost.add(version ?? '')
    symbols.set(name, (symbols.get(name) ?? new Set()).add(version ?? ''))
  }
  return { soname, symbols, versions, lost }
}

/** Whether a reference is to what is gone. */
export function isGone({ symbols }: Gone, wanted: ImportedSymbol): boolean {
  const versions = symbols.get(wanted.name)
  return versions !== undefined && (wanted.version === undefined || versions.has(wanted.version) || versions.has(''))
}
