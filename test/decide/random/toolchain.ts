import type { Built, Scheme, Sketch, Sketches } from './arbitrary.js'
import type { Ask, Code, Export, Import, SmallWorld } from './model.js'

/**
 * A name that several libraries export. Programs of the host need it weakly only: that a library which has nothing to do with it might
 * come to supply it is no help that is looked for.
 */
export const SHARED = 'shared'

/** A name that several of one family may export, at the same version. */
export const MOVED = 'moved'

/** The version that libraries of one build have in common. */
const PRIVATE = 'Z_PRIVATE'

/** Builds each side of a world as a toolchain would, from what that side has. */
export function worldOf(sketches: Sketches): SmallWorld {
  const { libraries, programs, neighbours, policy } = sketches
  const names = libraries.map((_, index) => nameOf(sketches, index))
  const offers = (offer: (sketch: Sketch, pool: readonly Feature[]) => Offer | null) =>
    libraries.map((sketch, index) => offer(sketch, poolOf(sketches, index)))
  const isStrict = hasFixed(sketches)
  const home = { isHost: false, isStrict, names, offers: offers(homeOffer) }
  const host = { isHost: true, isStrict, names, offers: offers(hostOffer) }
  return {
    libraries: Object.fromEntries(
      names.map((name, index) => [
        name,
        {
          host: inFamily(sketches, host, index, hostCode(libraries[index] as Sketch, index, host)),
          home: inFamily(sketches, home, index, homeCode(libraries[index] as Sketch, index, home)),
        },
      ]),
    ),
    programs: programs.map(code => codeOf(code, home)),
    neighbours: neighbours.map(code => codeOf(code, host)),
    policy: Object.fromEntries(policy.map(({ library, choice }) => [names[library % names.length], choice])),
  }
}

/**
 * Where a policy has a library shared, nothing is needed weakly or moves from one library to another: both are owed only where they can be
 * had, and whether a policy is what prevents it the judge does not tell.
 */
function hasFixed({ policy }: Sketches): boolean {
  return policy.some(({ choice }) => choice === 'shared')
}

/**
 * Ties a member to the first of its family, if that is on the same side. A host's family is no larger than the container's, where that has
 * any: whoever shares private versions is taken to be packed with them.
 */
function inFamily({ family, libraries }: Sketches, side: Side, index: number, code: Code | null): Code | null {
  const [members, others] = [family.members, family.others].map(list => list.map(member => member % libraries.length))
  const root = members?.[0] ?? -1
  if (code === null || members?.includes(index) !== true || side.offers[root] === null) return code
  const relatives = [...members, ...(others ?? [])].filter(member => member !== root && libraries[member]?.home != null)
  if (side.isHost && index !== root && relatives.length > 0 && !relatives.includes(index)) return code
  if (index === root)
    return {
      ...code,
      versions: [...code.versions, PRIVATE],
      exports: [...code.exports, { name: 'inside', version: PRIVATE, hidden: false }],
    }
  const of = side.names[root] as string
  return {
    ...code,
    needed: [...new Set([...code.needed, of])],
    imports: [...code.imports, { name: 'inside', version: { name: PRIVATE, of }, weak: false }],
  }
}

/** One name that a library may export, or a version alone. */
export interface Feature {
  readonly symbol: string | null
  readonly version: string | null
}

interface Offer {
  /** All that some build of it might have. */
  readonly pool: readonly Feature[]
  readonly has: readonly Feature[]
}

/** What the libraries of one tree offer; null for those that it has not. */
interface Side {
  readonly isHost: boolean
  /** Nothing is needed weakly. */
  readonly isStrict: boolean
  readonly names: readonly string[]
  readonly offers: readonly (Offer | null)[]
}

function nameOf({ twins, libraries }: Sketches, index: number): string {
  const isTwin = twins && index > 0 && index === libraries.length - 1
  return isTwin ? 'liba.so.2' : `lib${'abcdef'[index]}.so.1`
}

/** All that some build of a library might offer. */
export function poolOf(sketches: Sketches, index: number): readonly Feature[] {
  const { libraries, family } = sketches
  const scheme: Scheme = libraries[index]?.scheme ?? 'plain'
  const x = 'abcdef'[index] as string
  const isOfFamily = [...family.members, ...family.others].some(member => member % libraries.length === index)
  const version = (number: number) => `${isOfFamily ? 'Z' : x.toUpperCase()}_${number}`
  const plain = (scheme === 'plain' ? ['1', '2', '3'] : ['2', '3']).map(number => ({
    symbol: x + number,
    version: null,
  }))
  const versioned = [
    { symbol: `${x}1`, version: version(1) },
    { symbol: `${x}4`, version: version(1) },
    { symbol: `${x}5`, version: version(2) },
    { symbol: `${x}1`, version: version(2) },
    { symbol: null, version: version(3) },
  ]
  const common = hasFixed(sketches) ? [] : [{ symbol: SHARED, version: null }]
  const moving = isOfFamily && !hasFixed(sketches) ? [{ symbol: MOVED, version: version(1) }] : []
  if (scheme === 'plain') return [...plain, ...common]
  return scheme === 'versioned' ? [...versioned, ...moving] : [...versioned, ...moving, ...plain, ...common]
}

function homeOffer({ home }: Sketch, pool: readonly Feature[]): Offer | null {
  return home && offerOf(pool, at => home.features.includes(at))
}

function hostOffer({ home, host }: Sketch, pool: readonly Feature[]): Offer | null {
  const atHome = home?.features ?? []
  return host && offerOf(pool, at => atHome.includes(at) !== host.features.includes(at))
}

/** A name has no version, or each of its definitions has one. */
function offerOf(pool: readonly Feature[], isThere: (at: number) => boolean): Offer {
  const chosen = pool.filter((_, at) => isThere(at))
  const versioned = new Set(chosen.flatMap(({ symbol, version }) => (version === null ? [] : [symbol])))
  return { pool, has: chosen.filter(({ symbol, version }) => version !== null || !versioned.has(symbol)) }
}

function homeCode({ home }: Sketch, index: number, side: Side): Code | null {
  const offer = side.offers[index] ?? null
  if (home === null || offer === null) return null
  return { ...codeOf({ ...home, needs: without(home.needs, index, side) }, side), ...exportsOf(offer) }
}

function hostCode({ home, host }: Sketch, index: number, side: Side): Code | null {
  const offer = side.offers[index] ?? null
  if (host === null || offer === null) return null
  const atHome = home?.needs ?? []
  const needs = without(
    [...side.names.keys()].filter(other => atHome.includes(other) !== host.needs.includes(other)),
    index,
    side,
  )
  const built = { needs, wishes: host.wishes ?? home?.wishes ?? [], padding: host.padding }
  return { ...codeOf(built, side, host.broken), ...exportsOf(offer) }
}

function without(needs: readonly number[], index: number, { names }: Side): readonly number[] {
  return needs.filter(need => need % names.length !== index)
}

/** A file as it would be linked in this tree. */
function codeOf({ needs, wishes, padding }: Built, { names, offers, isHost, isStrict }: Side, broken = false): Code {
  const linked = [...new Set(needs.map(need => need % names.length))].filter(need => broken || offers[need] !== null)
  const imports = new Map<string, Import>()
  const asks = new Map<string, Ask>()
  for (const { of: whose, what, how, wild, far } of wishes) {
    // On a host everybody needs what it asks: a library that only others bring is taken to be looked for by nobody.
    const choices = far && !isHost ? [...names.keys()] : linked
    const need = choices[whose % Math.max(choices.length, 1)]
    const offer = need === undefined ? null : offers[need]
    const features = ((wild ? offer?.pool : offer?.has) ?? []).filter(({ version }) => !far || version === null)
    const feature = features[what % Math.max(features.length, 1)]
    if (need === undefined || feature === undefined) continue
    const { symbol, version } = feature
    const of = names[need] as string
    if (symbol !== null && how.endsWith('symbol')) {
      const weak = !isStrict && (how === 'weak symbol' || (isHost && symbol === SHARED))
      imports.set(`${symbol} ${version}`, {
        name: symbol,
        version: version === null ? null : { name: version, of },
        weak,
      })
    } else if (version !== null) asks.set(`${version} ${of}`, { of, version, weak: how === 'weak version' })
  }
  return {
    needed: linked.map(need => names[need] as string),
    versions: [],
    exports: [],
    imports: [...imports.values()],
    asks: [...asks.values()],
    padding: padding * 64,
  }
}

/** Of several versions of a name the last is the default one. */
export function exportsOf({ has }: Offer): Pick<Code, 'versions' | 'exports'> {
  const versions = [...new Set(has.flatMap(({ version }) => version ?? []))].sort()
  const exports = has.flatMap(({ symbol, version }): Export[] => {
    if (symbol === null) return []
    const isOld = has.some(other => other.symbol === symbol && (other.version ?? '') > (version ?? ''))
    return [{ name: symbol, version, hidden: isOld }]
  })
  return { versions, exports }
}
