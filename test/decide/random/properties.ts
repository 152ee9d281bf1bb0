import { decide } from '../../../lib/decide/decide.js'
import type { Decision } from '../../../lib/decide/types.js'
import { type Built, build, type Order } from './build.js'
import { Judge, type Verdict } from './judge.js'
import type { SmallWorld } from './model.js'

/** What kind of world it was, so that nobody can think that only trivial ones are tested. */
export interface Kind {
  readonly runnable: boolean
  /** Of the decision; null where it cannot run. */
  readonly cost: Cost | null
  readonly private: number
  readonly neighbours: number
  readonly clashes: number
  /** Sets of private libraries that obey all rules. */
  readonly ways: number
}

interface Way {
  readonly chosen: ReadonlySet<string>
  readonly verdict: Verdict
  readonly cost: Cost
}

export type Cost = readonly [wishes: number, bytes: number]

/** Throws where the decision is not the best of all that obey the rules. */
export function decidesBest(world: SmallWorld): Kind {
  const built = build(world)
  const decision = decided(built)
  const sizes = sizesOf(built)
  const judge = new Judge(world, new Set(sizes.keys()))
  const ways = subsets([...sizes.keys()])
    .map(chosen => way(judge, sizes, chosen))
    .filter(({ verdict }) => verdict.broken.length === 0)
  const best = ways.reduce<Way | null>(
    (least, next) => (least && compare(least.cost, next.cost) <= 0 ? least : next),
    null,
  )
  const own = way(judge, sizes, privateIn(decision))
  if (decision.runnable !== (best !== null)) fail(`runs: ${best !== null}`, decision, own, best)
  if (best === null) return { runnable: false, cost: null, private: 0, neighbours: 0, clashes: 0, ways: 0 }
  if (own.verdict.broken.length > 0) fail('a rule is broken', decision, own, best)
  if (compare(own.cost, best.cost) !== 0) fail('there is a better way', decision, own, best)
  const told = [
    decision.problems.filter(({ kind }) => kind === 'neighbour').length,
    decision.problems.filter(({ text }) => text.includes(', in one process, ')).length,
  ]
  const { neighbours, clashes } = own.verdict
  if (told[0] !== neighbours.length || told[1] !== clashes.length) fail('told wrongly', decision, own, best)
  return {
    runnable: true,
    cost: best.cost,
    private: own.chosen.size,
    neighbours: neighbours.length,
    clashes: clashes.length,
    ways: ways.length,
  }
}

/** Throws where more is private on a host that offers more and demands nothing new. */
export function doesNotGrow(before: Kind, richer: SmallWorld): void {
  const { cost } = decidesBest(richer)
  if (before.cost === null || (cost !== null && compare(cost, before.cost) <= 0)) return
  throw new Error(
    `more is private where the host offers more: ${cost}, and ${before.cost} before; ${JSON.stringify(richer)}`,
  )
}

/**
 * Throws where the same world in another order is decided otherwise: a host to the letter. A manifest is sorted by path; if it were not,
 * the same would be chosen, but other reasons for it might come first.
 */
export function ignoresOrder(world: SmallWorld, order: Order): void {
  const usual = build(world)
  const other = build(world, order)
  const plain = decided(usual)
  const ofHost = decided({ ...usual, host: other.host })
  same("the host's order", [...choices(plain), ...reasons(plain)], [...choices(ofHost), ...reasons(ofHost)])
  same('the order', choices(plain), choices(decided(other)))
}

function same(what: string, one: readonly string[], other: readonly string[]): void {
  if (one.join() !== other.join()) throw new Error([`${what} matters:`, ...one, 'or', ...other].join('\n  '))
}

export function decided({ manifest, host, open }: Built): Decision {
  return decide(manifest, host, open)
}

function choices({ runnable, libraries, evidence, placement }: Decision): readonly string[] {
  return [
    `runs: ${runnable}`,
    ...libraries.map(({ soname, choice, path, bytes }) => `${soname}: ${choice} ${path} ${bytes}`),
    ...evidence,
    // Of a map the order means nothing.
    ...[...placement.keys()].sort().map(path => `placed: ${path}`),
  ]
}

function reasons({ libraries, problems }: Decision): readonly string[] {
  return [
    ...libraries.flatMap(({ soname, reasons, askedBy }) => [
      ...reasons.map(({ rule, text }) => `${soname}: ${rule}: ${text}`),
      ...askedBy.map(({ by, versions }) => `${soname}: asked by ${by} for ${versions}`),
    ]),
    ...problems.map(({ kind, text }) => `${kind}: ${text}`),
  ]
}

function sizesOf({ manifest }: Built): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>()
  for (const file of manifest.files)
    if (file.type === 'file' && file.elf?.role === 'library' && file.elf.soname !== null && isModelled(file.elf.soname))
      sizes.set(file.elf.soname, file.size)
  return sizes
}

/** The loader is the same everywhere, and nobody asks it for anything. */
function isModelled(soname: string): boolean {
  return !soname.startsWith('ld-linux')
}

function privateIn({ libraries }: Decision): ReadonlySet<string> {
  return new Set(libraries.filter(({ choice }) => choice === 'private').map(({ soname }) => soname))
}

function way(judge: Judge, sizes: ReadonlyMap<string, number>, chosen: ReadonlySet<string>): Way {
  const verdict = judge.of(chosen)
  const bytes = [...chosen].reduce((sum, soname) => sum + (sizes.get(soname) ?? Number.NaN), 0)
  return { chosen, verdict, cost: [verdict.neighbours.length + verdict.clashes.length, bytes] }
}

function compare(a: Cost, b: Cost): number {
  return a[0] - b[0] || a[1] - b[1]
}

function subsets(items: readonly string[]): readonly ReadonlySet<string>[] {
  return Array.from({ length: 2 ** items.length }, (_, bits) => new Set(items.filter((_, at) => (bits >> at) & 1)))
}

function fail(what: string, decision: Decision, own: Way, best: Way | null): never {
  const tell = (way: Way) => JSON.stringify({ ...way, chosen: [...way.chosen] })
  const reasons = decision.libraries.flatMap(({ soname, choice, reasons }) =>
    choice === 'private' ? [`  ${soname}: ${reasons.map(({ text }) => text).join(' | ')}`] : [],
  )
  throw new Error(
    [
      what,
      `decided: ${tell(own)}`,
      ...reasons,
      ...decision.problems.map(({ kind, text }) => `  ${kind}: ${text}`),
      `best: ${best && tell(best)}`,
    ].join('\n'),
  )
}
