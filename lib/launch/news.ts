import type { ObjectKey } from '../upkeep/identities.js'
import type { Problem } from '../upkeep/problems.js'

/** What was told as damaged beyond repair. It is found again at each look, and told once as long as it stays the same. */
export class News {
  readonly #known = new Map<string, Problem>()

  /** Of what was found now those that are news. `changed`: the objects that were looked at, besides all else; undefined: all. */
  newsIn(left: readonly Problem[], changed: ReadonlySet<ObjectKey> | undefined): readonly Problem[] {
    const found = new Map(left.map(problem => [nameOf(problem), problem]))
    const news = [...found].filter(([name, problem]) => !isSame(this.#known.get(name), problem))
    for (const [name, { object }] of this.#known)
      if (object === null || changed === undefined || changed.has(object)) this.#known.delete(name)
    for (const [name, problem] of found) this.#known.set(name, problem)
    return news.map(([, problem]) => problem)
  }
}

function nameOf({ kind, path }: Problem): string {
  return `${kind} ${path}`
}

function isSame(one: Problem | undefined, other: Problem): boolean {
  return one?.because === other.because && one.actualDigest === other.actualDigest
}
