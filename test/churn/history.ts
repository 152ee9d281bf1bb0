/** What a host was between two changes. A change takes a moment, in which it may be the one or the other. */
export interface Moment<State> {
  readonly state: State
  /** The change that led to it. */
  readonly change: string
  /** Nanoseconds of CLOCK_MONOTONIC, which all processes have in common. */
  readonly from: bigint
  /** When the next change was made; null until then. */
  readonly until: bigint | null
}

/** What a host was when. */
export class History<State> {
  readonly #moments: Moment<State>[]

  constructor(first: State) {
    this.#moments = [{ state: first, change: 'at first', from: process.hrtime.bigint(), until: null }]
  }

  get now(): State {
    return (this.#moments.at(-1) as Moment<State>).state
  }

  change(change: string, act: (before: State) => State): void {
    const from = process.hrtime.bigint()
    this.#add(change, from, act(this.now))
  }

  async changeSlowly(change: string, act: (before: State) => Promise<State>): Promise<void> {
    const from = process.hrtime.bigint()
    this.#add(change, from, await act(this.now))
  }

  /** All that the host was at some moment between the two. */
  between(from: bigint, until: bigint): readonly Moment<State>[] {
    const first = this.#moments.findLastIndex(moment => moment.until !== null && moment.until < from) + 1
    return this.#moments.slice(first).filter(moment => moment.from <= until)
  }

  #add(change: string, from: bigint, state: State): void {
    const last = this.#moments.length - 1
    this.#moments[last] = { ...(this.#moments[last] as Moment<State>), until: process.hrtime.bigint() }
    this.#moments.push({ state, change, from, until: null })
  }
}
