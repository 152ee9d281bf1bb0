import { allAsks, type Code, type Import } from './model.js'

/**
 * What glibc does with files of a small world, written anew from its manual and sources (elf/dl-load.c, dl-deps.c, dl-version.c,
 * dl-lookup.c): it shares nothing with lib/loader, which it judges.
 */
export interface Loaded {
  /** Its soname; a program's path. */
  readonly name: string
  readonly code: Code
  /** Whether it is the container's. */
  readonly isPrivate: boolean
}

export interface Process {
  /** In load order, the program first. */
  readonly objects: readonly Loaded[]
  /** Who was the first to need each of them. */
  readonly broughtBy: ReadonlyMap<string, string>
  readonly missing: readonly { readonly by: string; readonly name: string }[]
}

/** What the search for a soname finds; null where nothing. */
export type Search = (soname: string) => Loaded | null

/** Breadth first, each object once, in the order of DT_NEEDED. */
export function start(program: Loaded, search: Search): Process {
  const objects = [program]
  const broughtBy = new Map<string, string>()
  const missing: { by: string; name: string }[] = []
  for (const asker of objects)
    for (const name of asker.code.needed) {
      if (objects.some(object => object.name === name)) continue
      const found = search(name)
      if (found === null) missing.push({ by: asker.name, name })
      else {
        objects.push(found)
        broughtBy.set(name, asker === program ? 'the program' : asker.name)
      }
    }
  return { objects, broughtBy, missing }
}

/** Versions at which the loader gives up; it only warns where the ask is weak, or the library has no versions at all. */
export function missingVersions({ objects }: Process): readonly { by: string; of: string; version: string }[] {
  return objects.flatMap(asker =>
    allAsks(asker.code).flatMap(({ of, version, weak }) => {
      const provider = objects.find(({ name }) => name === of)
      const fails = !weak && provider !== undefined && !hasVersion(provider.code, version)
      return fails ? [{ by: asker.name, of, version }] : []
    }),
  )
}

function hasVersion({ versions }: Code, version: string): boolean {
  return versions.length === 0 || versions.includes(version)
}

/** The first object in load order that has a definition for a reference. */
export function bind({ objects }: Process, wanted: Import): Loaded | null {
  return objects.find(({ code }) => defines(code, wanted)) ?? null
}

/**
 * check_match: a reference with a version takes that version, or a definition of a file that has none for it; one without takes what
 * has no version or the oldest, else the default version where there is one only.
 */
export function defines(code: Code, { name, version }: Import): boolean {
  const named = code.exports.filter(symbol => symbol.name === name)
  if (version !== null) {
    const hasTable = code.versions.length > 0 || allAsks(code).length > 0
    return named.some(symbol => !hasTable || symbol.version === null || symbol.version === version.name)
  }
  const oldest = code.versions[0]
  const defaults = named.filter(({ hidden }) => !hidden)
  return named.some(symbol => symbol.version === null || symbol.version === oldest) || defaults.length === 1
}
