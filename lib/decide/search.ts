import { AppcError } from '../errors.js'
import type { Demand } from './demand.js'
import type { Selection, Taking } from './selection.js'
import type { Placed, World } from './world.js'

/** More looks at a mix than any real container has come near; beyond them the first way that is found is taken. */
const MAX_LOOKS = 400

/** What the search judges besides what must be: the less of each the better, in this order. */
type Cost = readonly [broken: number, bytes: number]

interface Candidate {
  readonly selection: Selection
  readonly cost: Cost
  /** What is given up here, by the sentence that tells it. */
  readonly given: ReadonlyMap<string, Demand>
  /** null until it was settled, which may make it cost more. */
  readonly state: Placed | null
}

export interface Found {
  readonly state: Placed
  /** Wishes that cannot be met together with what must be. */
  readonly given: readonly Demand[]
  /** Empty when all that must be is met; else the fewest demands that cannot be met together, as sentences. */
  readonly clash: readonly string[]
}

/** What is wished of a settled mix beyond what must be: neighbours that go on working, nothing twice in one process. */
export type Wishes = (state: Placed) => readonly Demand[]

/**
 * The selection that obeys all rules with the fewest private bytes. A demand that can be met in one way is met at once; where there
 * are several each is tried, always going on from what has cost least so far (uniform-cost search): bytes only grow, and every
 * selection that obeys holds one of a demand's `takes`, so the first that has nothing left to demand is the smallest. Wishes
 * weigh more than bytes: one is given up only when no selection meets it.
 */
export function search(world: World, start: Selection, wishes: Wishes): Found {
  const open = [candidate(start, new Map())]
  const seen = new Set<string>()
  let failed: Found | null = null
  for (let looks = 0; open.length > 0; looks++) {
    const next = takeCheapest(open)
    const { selection, given, state } = next
    if (state === null) {
      const settled = world.settle(selection)
      const dead = settled.demands.filter(isDead)
      const found = { state: settled, given: [...given.values()], clash: clashOf(selection, dead) }
      const now = candidate(selection, given, settled)
      if (found.clash.length > 0) failed = better(failed, found)
      else if (!seen.has(keyOf(now))) open.push(now)
      seen.add(keyOf(now))
      continue
    }
    const choice = hardest(state.demands)
    if (choice !== null) {
      open.push(...branches(next, choice, looks))
      continue
    }
    const wished = wishes(state).filter(demand => !given.has(demand.reason.text))
    if (wished.length === 0) return { state, given: [...given.values()], clash: [] }
    open.push(...withWishes(next, wished, looks))
  }
  if (failed === null) throw new AppcError('INTERNAL', 'the search for a mix ended without an answer')
  return failed
}

/** Wishes that nothing can meet any more are given up; of the others one is met, in each of its ways, or given up too. */
function withWishes(next: Candidate, wished: readonly Demand[], looks: number): Candidate[] {
  const give = (demands: readonly Demand[]) =>
    new Map([...next.given, ...demands.map(demand => [demand.reason.text, demand] as const)])
  const lost = wished.filter(({ takes }) => takes.length === 0)
  if (lost.length > 0) return [candidate(next.selection, give(lost), next.state)]
  const wish = hardest(wished) as Demand
  return [...branches(next, wish, looks), candidate(next.selection, give([wish]), next.state)]
}

/** Of the demands that leave a choice, one with the fewest ways: the others may be met with it. */
function hardest(demands: readonly Demand[]): Demand | null {
  const choices = demands.filter(({ takes }) => takes.length > 0)
  return choices.sort((a, b) => a.takes.length - b.takes.length || (a.reason.text < b.reason.text ? -1 : 1))[0] ?? null
}

function isDead({ takes, otherwise }: Demand): boolean {
  return takes.length === 0 && (otherwise?.kind === 'missing' || otherwise?.kind === 'clash')
}

function branches({ selection, given }: Candidate, { takes, reason, about }: Demand, looks: number): Candidate[] {
  return takes.slice(0, looks < MAX_LOOKS ? takes.length : 1).map(soname => {
    const larger = selection.copy()
    larger.takeLibrary(soname, reason, about)
    return candidate(larger, given)
  })
}

function candidate(selection: Selection, given: ReadonlyMap<string, Demand>, state: Placed | null = null): Candidate {
  return { selection, given, state, cost: [given.size, selection.bytes()] }
}

function takeCheapest(open: Candidate[]): Candidate {
  let best = 0
  for (let at = 1; at < open.length; at++) if (compare(open[at] as Candidate, open[best] as Candidate) < 0) best = at
  return open.splice(best, 1)[0] as Candidate
}

/** By cost, then by name, so that the answer is the same every time. */
function compare(a: Candidate, b: Candidate): number {
  const [broken, bytes] = [a.cost[0] - b.cost[0], a.cost[1] - b.cost[1]]
  return broken || bytes || (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0)
}

function keyOf({ selection, given }: Candidate): string {
  return JSON.stringify([[...selection.sonames].sort(), [...selection.packages].sort(), [...given.keys()].sort()])
}

/** The failure that takes the fewest words tells most; of two alike the first that was found. */
function better(known: Found | null, other: Found): Found {
  return known === null || other.clash.length < known.clash.length ? other : known
}

/**
 * What cannot be met together: a demand that nothing can meet, and what made private each library that it is about, back to what
 * was packed. Of several such the one with the fewest sentences.
 */
function clashOf(selection: Selection, dead: readonly Demand[]): readonly string[] {
  const chains = [
    ...dead.map(({ otherwise, reason, about }) => chainOf(selection, otherwise?.text ?? reason.text, about)),
    ...[...selection.refused].map(([soname, { reason, about }]) =>
      chainOf(selection, `${reason.text}; ${selection.fixedAs(soname)}`, about),
    ),
  ]
  return chains.reduce((least, chain) => (chain.length < least.length ? chain : least), chains[0] ?? [])
}

function chainOf(selection: Selection, text: string, about: readonly string[]): readonly string[] {
  const texts = [text]
  const seen = new Set<string>()
  const pending = [...about]
  for (let soname = pending.shift(); soname !== undefined; soname = pending.shift()) {
    const taking: Taking | undefined = seen.has(soname) ? undefined : selection.takingOf(soname)
    seen.add(soname)
    if (taking === undefined) continue
    // What was packed is private by its nature: that is no demand of anybody's.
    if (taking.reason.rule !== 'policy') texts.push(taking.reason.text)
    pending.push(...taking.about)
  }
  return [...new Set(texts)]
}
