import fc from 'fast-check'
import type { SmallWorld } from './model.js'
import { richer } from './richer.js'
import { worldOf } from './toolchain.js'

/** How a library names what it offers. */
export type Scheme = 'plain' | 'versioned' | 'both'

/** What a file asks of those that it needs: numbers, taken modulo what there is, so that they shrink to nothing. */
export interface Wish {
  readonly of: number
  readonly what: number
  readonly how: 'symbol' | 'weak symbol' | 'version' | 'weak version'
  /** Whether or not the side that it was built on has it. */
  readonly wild: boolean
  /** Of any library, whether it is needed or not: somebody else brings it. */
  readonly far: boolean
}

export interface Built {
  readonly needs: readonly number[]
  readonly wishes: readonly Wish[]
  readonly padding: number
}

/** One library: at home as described, on the host with differences. */
export interface Sketch {
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

/** A world before it is built: numbers that count libraries are taken modulo how many there are. */
export interface Sketches {
  readonly libraries: readonly Sketch[]
  /** The last is the first one's twin: the same name, another number. */
  readonly twins: boolean
  /** Libraries of one build, the first of which the others share private symbols with; those that only speak of its versions. */
  readonly family: { readonly members: readonly number[]; readonly others: readonly number[] }
  readonly programs: readonly Built[]
  readonly neighbours: readonly Built[]
  readonly policy: readonly { readonly library: number; readonly choice: 'private' | 'shared' }[]
}

/** A world, and the same one with a host that offers more, where there is a library that can. */
export interface Case {
  readonly world: SmallWorld
  readonly richer: SmallWorld | null
}

const MOST_LIBRARIES = 6
const FEATURES = 10

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
  far: rarely(10),
})
const wishes = fc.array(wish, { maxLength: 4 })
const padding = fc.nat(40)
const anyLibrary = fc.nat(MOST_LIBRARIES - 1)
const needs = fc.array(anyLibrary, { minLength: 1, maxLength: 3 })
const built = { needs, wishes, padding }

const sketch: fc.Arbitrary<Sketch> = fc.record({
  scheme: fc.constantFrom('plain', 'versioned', 'both'),
  home: fc.option(
    fc.record({
      ...built,
      needs: fc.array(anyLibrary, { maxLength: 3 }),
      features: someOf(FEATURES, FEATURES),
    }),
    { freq: 4 },
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

const sketches: fc.Arbitrary<Sketches> = fc.record({
  libraries: fc.array(sketch, { minLength: 1, maxLength: MOST_LIBRARIES }),
  twins: rarely(2),
  family: fc.oneof(
    { weight: 1, arbitrary: fc.constant({ members: [], others: [] }) },
    {
      weight: 1,
      arbitrary: fc.record({
        members: fc.array(anyLibrary, { minLength: 2, maxLength: 4 }),
        others: someOf(MOST_LIBRARIES, 1),
      }),
    },
  ),
  programs: fc.array(fc.record(built), { minLength: 1, maxLength: 2 }),
  neighbours: fc.array(fc.record(built), { maxLength: 2 }),
  policy: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.array(fc.record({ library: anyLibrary, choice: fc.constantFrom('private', 'shared') }), {
        minLength: 1,
        maxLength: 3,
      }),
    },
  ),
})

/** Small worlds, most of them such that there is something to decide. */
export const cases: fc.Arbitrary<Case> = fc
  .record({ sketches, gain: fc.record({ library: anyLibrary, features: someOf(FEATURES, 3) }) })
  .map(({ sketches, gain }) => {
    const world = worldOf(sketches)
    return { world, richer: richer(world, sketches, gain) }
  })
