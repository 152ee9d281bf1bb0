import fc from 'fast-check'
import { type Case, cases } from './arbitrary.js'
import { privateNeeds } from './lockstep.js'
import type { Code, Export, Import, SmallWorld } from './model.js'
import { decidesBest, doesNotGrow, ignoresOrder, type Kind } from './properties.js'

export interface Result {
  readonly kinds: readonly Kind[]
  readonly worlds: readonly Case[]
  /** The smallest world that was decided wrongly, and how; null where none was. */
  readonly failure: string | null
}

/** Random worlds, each held against all properties. */
export function campaign(count: number, seed: number): Result {
  const kinds: Kind[] = []
  const worlds: Case[] = []
  const property = fc.property(cases, one => {
    const { world, richer } = one
    worlds.push(one)
    const kind = decidesBest(world)
    kinds.push(kind)
    ignoresOrder(world, items => [...items].reverse())
    if (richer !== null) doesNotGrow(kind, richer)
  })
  const { failed, counterexample, errorInstance } = fc.check(property, { numRuns: count, seed })
  if (!failed) return { kinds, worlds, failure: null }
  const world = counterexample?.[0].world
  const why = errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance)
  return { kinds, worlds, failure: `${world === undefined ? '' : inWords(world)}\n${why}` }
}

export function told({ kinds, worlds, failure }: Result): readonly string[] {
  const count = (is: (kind: Kind) => boolean) => kinds.filter(is).length
  const having = (is: (one: Case) => boolean) => worlds.filter(is).length
  return [
    `${kinds.length} worlds: ${count(({ runnable }) => runnable)} can run, ${count(({ runnable }) => !runnable)} cannot`,
    `something private in ${count(kind => kind.private > 0)}, more than one way in ${count(({ ways }) => ways > 1)}`,
    `a neighbour given up in ${count(({ neighbours }) => neighbours > 0)}, two that clash in ${count(({ clashes }) => clashes > 0)}`,
    `with a family ${having(({ world }) => hasFamily(world))}, with a policy ${having(({ world }) => Object.keys(world.policy).length > 0)}`,
    `decided again on a host that offers more: ${having(({ richer }) => richer !== null)}`,
    ...(failure === null ? [] : [failure]),
  ]
}

function hasFamily({ libraries }: SmallWorld): boolean {
  return Object.values(libraries).some(({ home }) => home !== null && privateNeeds(home).length > 0)
}

/** On one line each: `liba.so.1 host: needs libb.so.1 …`. */
function inWords({ libraries, programs, neighbours, policy }: SmallWorld): string {
  const lines = [
    ...programs.map((code, index) => [`app${index}`, code] as const),
    ...neighbours.map((code, index) => [`host${index}`, code] as const),
    ...Object.entries(libraries).flatMap(([name, { host, home }]) => [
      [`${name} host`, host] as const,
      [`${name} home`, home] as const,
    ]),
  ]
  return [
    ...lines.map(([name, code]) => `${name}: ${code === null ? 'none' : codeInWords(code)}`),
    JSON.stringify(policy),
  ].join('\n')
}

function codeInWords({ needed, versions, exports, imports, asks, padding }: Code): string {
  const at = (symbol: Export) =>
    symbol.name + (symbol.version === null ? '' : `${symbol.hidden ? '@' : '@@'}${symbol.version}`)
  const from = ({ name, version, weak }: Import) =>
    `${weak ? 'weak ' : ''}${name}${version === null ? '' : `@${version.name}(${version.of})`}`
  return [
    ['needs', needed],
    ['defines', versions],
    ['exports', exports.map(at)],
    ['imports', imports.map(from)],
    ['asks', asks.map(({ of, version, weak }) => `${weak ? 'weak ' : ''}${version}(${of})`)],
    ['padding', padding > 0 ? [padding] : []],
  ]
    .flatMap(([word, list]) => (list?.length ? `${word} ${list}` : []))
    .join('; ')
}
