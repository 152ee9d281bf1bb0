import fc from 'fast-check'
import type { Ask, Code, Export, Import, SmallWorld } from './model.js'

/** How a library names what it offers. */
type Scheme = 'plain' | 'versioned' | 'both'

/** What a file asks of those that it needs: numbers, taken modulo what there is, so that they shrink to nothing. */
interface Wish {
  readonly of: number
  readonly what: number
  readonly how: 'symbol' | 'weak symbol' | 'version' | 'weak version'
  /** Whether or not the side that it was built on has it. */
  readonly wild: boolean
}

interface Built {
  readonly needs: readonly number[]
  readonly wishes: readonly Wish[]
  readonly padding: number
}

/** One library: at home as described, on the host with differences. */
interface Sketch {
  readonly scheme: Scheme
  readonly home: (Built & { readonly features: readonly number[] }) | null
  readonly host: {
    /** Of home's features and needs those that the host has not, or the other way round. */
    readonly features: readonly number[]
    readonly needs: readonly number[]
    /** null: asks as at home, of what the host has. */
    readonly wishes: readonly Wish[] | null
    readonly padding: number
    /** Needs what the host has not, too. */
    readonly broken: boolean
  } | null
}

const MOST_LIBRARIES = 6
const FEATURES = 10

/**
 * A name that several libraries export. Programs of the host need it weakly only: that a library which has nothing to do with it might
 * come to supply it is no help that is looked for.
 */
const SHARED = 'shared'

const indices = Array.from({ length: MOST_LIBRARIES }, (_, index) => index)
const someOf = (count: number, most: number) =>
  fc.subarray(
    Array.from({ length: count }, (_, index) => index),
    { maxLength: most },
  )
const rarely = (of: number) => fc.nat(of).map(value => value === of)
const wish: fc.Arbitrary<Wish> = fc.record({
  of: fc.nat(7),
  what: fc.nat(15),
  how: fc.constantFrom('symbol', 'symbol', 'symbol', 'weak symbol', 'version', 'weak version'),
  wild: rarely(20),
})
const wishes = fc.array(wish, { maxLength: 4 })
const padding = fc.nat(40)
const needs = fc.array(fc.nat(MOST_LIBRARIES - 1), { minLength: 1, maxLength: 3 })
const built = { needs, wishes, padding }

const sketch: fc.Arbitrary<Sketch> = fc.record({
  scheme: fc.constantFrom('plain', 'versioned', 'both'),
  home: fc.option(
    fc.record({
      ...built,
      needs: fc.array(fc.nat(MOST_LIBRARIES - 1), { maxLength: 3 }),
      features: someOf(FEATURES, FEATURES),
    }),
    { freq: 7 },
  ),
  host: fc.option(
    fc.record({
      features: someOf(FEATURES, 5),
      needs: someOf(MOST_LIBRARIES, 2),
      wishes: fc.option(wishes),
      padding,
      broken: rarely(12),
    }),
    { freq: 9 },
  ),
})

/** Small worlds, most of them such that there is something to decide. */
export const smallWorlds: fc.Arbitrary<SmallWorld> = fc
  .record({
    sketches: fc.array(sketch, { minLength: 1, maxLength: MOST_LIBRARIES }),
    twins: rarely(3),
    programs: fc.array(fc.record(built), { minLength: 1, maxLength: 2 }),
    neighbours: fc.array(fc.record(built), { maxLength: 2 }),
  })
  .map(({ sketches, twins, programs, neighbours }) => {
    const names = sketches.map((_, index) => nameOf(index, twins && index > 0 && index === sketches.length - 1))
    const home = { isHost: false, names, offers: sketches.map((sketch, index) => homeOffer(sketch, index)) }
    const host = { isHost: true, names, offers: sketches.map((sketch, index) => hostOffer(sketch, index)) }
    return {
      libraries: Object.fromEntries(
        sketches.map((sketch, index) => [
          names[index] as string,
          { host: hostCode(sketch, index, host), home: homeCode(sketch, index, home) },
        ]),
      ),
      programs: programs.map(code => codeOf(code, home)),
      neighbours: neighbours.map(code => codeOf(code, host)),
      policy: {},
    }
  })

/** One name that a library may export, or a version alone. */
interface Feature {
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
  readonly names: readonly string[]
  readonly offers: readonly (Offer | null)[]
}

function nameOf(index: number, twin: boolean): string {
  return twin ? 'liba.so.2' : `lib${letterOf(index)}.so.1`
}

function letterOf(index: number): string {
  return 'abcdef'[index] as string
}

function poolOf(index: number, scheme: Scheme): readonly Feature[] {
  const x = letterOf(index)
  const version = (number: number) => `${x.toUpperCase()}_${number}`
  const plain = (scheme === 'plain' ? ['1', '2', '3'] : ['2', '3']).map(number => ({
    symbol: x + number,
    version: null,
  }))
  const common = { symbol: SHARED, version: null }
  const versioned = [
    { symbol: `${x}1`, version: version(1) },
    { symbol: `${x}4`, version: version(1) },
    { symbol: `${x}5`, version: version(2) },
    { symbol: `${x}1`, version: version(2) },
    { symbol: null, version: version(3) },
  ]
  if (scheme === 'plain') return [...plain, common]
  return scheme === 'versioned' ? versioned : [...versioned, ...plain, common]
}

function homeOffer({ scheme, home }: Sketch, index: number): Offer | null {
  return home && offerOf(poolOf(index, scheme), at => home.features.includes(at))
}

function hostOffer({ scheme, home, host }: Sketch, index: number): Offer | null {
  const atHome = home?.features ?? []
  return host && offerOf(poolOf(index, scheme), at => atHome.includes(at) !== host.features.includes(at))
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
    indices.filter(other => atHome.includes(other) !== host.needs.includes(other)),
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
function codeOf({ needs, wishes, padding }: Built, { names, offers, isHost }: Side, broken = false): Code {
  const linked = [...new Set(needs.map(need => need % names.length))].filter(need => broken || offers[need] !== null)
  const imports = new Map<string, Import>()
  const asks = new Map<string, Ask>()
  for (const { of, what, how, wild } of wishes) {
    const need = linked[of % Math.max(linked.length, 1)]
    const offer = need === undefined ? null : offers[need]
    const choice = wild ? offer?.pool : offer?.has
    const feature = choice?.[what % Math.max(choice.length, 1)]
    if (need === undefined || feature === undefined) continue
    const { symbol, version } = feature
    const soname = names[need] as string
    if (symbol !== null && how.endsWith('symbol'))
      imports.set(`${symbol} ${version}`, {
        name: symbol,
        version: version === null ? null : { name: version, of: soname },
        weak: how === 'weak symbol' || (isHost && symbol === SHARED),
      })
    else if (version !== null) asks.set(version, { of: soname, version, weak: how.startsWith('weak') })
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
function exportsOf({ has }: Offer): Pick<Code, 'versions' | 'exports'> {
  const versions = [...new Set(has.flatMap(({ version }) => version ?? []))].sort()
  const exports = has.flatMap(({ symbol, version }): Export[] => {
    if (symbol === null) return []
    const isOld = has.some(other => other.symbol === symbol && (other.version ?? '') > (version ?? ''))
    return [{ name: symbol, version, hidden: isOld }]
  })
  return { versions, exports }
}
