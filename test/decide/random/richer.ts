import type { Sketches } from './arbitrary.js'
import { allAsks, type Code, type SmallWorld } from './model.js'
import { exportsOf, type Feature, MOVED, poolOf, SHARED } from './toolchain.js'

/**
 * The same world, in which one library of the host's has gained definitions that nobody on the host has asked for in vain (what they
 * mend there, a private library could break) and no other library has. null where it has all already.
 */
export function richer(
  world: SmallWorld,
  sketches: Sketches,
  gain: { readonly library: number; readonly features: readonly number[] },
): SmallWorld | null {
  const index = gain.library % sketches.libraries.length
  const soname = Object.keys(world.libraries)[index] as string
  const sides = world.libraries[soname]
  if (sides === undefined || sides.host === null) return null
  const { host } = sides
  const codes = [...world.neighbours, ...Object.values(world.libraries).flatMap(({ host }) => host ?? [])]
  const gained = poolOf(sketches, index).filter(
    (feature, at) => gain.features.includes(at) && isNew(host, feature) && !codes.some(code => asksFor(code, feature)),
  )
  if (gained.length === 0) return null
  const had: Feature[] = [
    ...host.exports.map(({ name, version }) => ({ symbol: name, version })),
    ...host.versions.map(version => ({ symbol: null, version })),
  ]
  const more = { ...host, ...exportsOf({ pool: [], has: [...had, ...gained] }) }
  return { ...world, libraries: { ...world.libraries, [soname]: { ...sides, host: more } } }
}

/** A library that had no versions was asked for any; with its first it loses that. A name's versions come all at once. */
function isNew({ versions, exports }: Code, { symbol, version }: Feature): boolean {
  if (symbol === SHARED || symbol === MOVED || exports.some(({ name }) => name === symbol)) return false
  return version === null || (versions.length > 0 && (symbol !== null || !versions.includes(version)))
}

function asksFor(code: Code, { symbol, version }: Feature): boolean {
  return code.imports.some(({ name }) => name === symbol) || allAsks(code).some(ask => ask.version === version)
}
