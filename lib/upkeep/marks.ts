import { AppcError } from '../errors.js'
import { type Generation, readGenerations } from '../store/generations.js'
import { objectPath } from '../store/objects.js'
import type { Store } from '../store/store.js'

export interface ObjectName {
  readonly sha256: string
  readonly executable: boolean
}

/** What a generation needs besides its manifest. Throws an AppcError where that cannot be told. */
export type NeedsOf = (
  name: string,
  generation: Generation,
) => {
  readonly objects: Iterable<ObjectName>
  /** Names in secrets/. */
  readonly secrets: Iterable<string>
}

export interface Marks {
  /** Paths of objects. */
  readonly objects: ReadonlySet<string>
  readonly secrets: ReadonlySet<string>
  /** Digests of manifests. */
  readonly containers: ReadonlySet<string>
  /** Containers of which not all needs can be told: what cannot be read may need anything. */
  readonly unreadable: readonly string[]
}

/** All that these containers need, with every generation that they have, or the newest `keep`. */
export function markNeeded(
  store: Store,
  names: readonly string[],
  needsOf: NeedsOf,
  keep = Number.POSITIVE_INFINITY,
): Marks {
  const [objects, secrets, containers] = [new Set<string>(), new Set<string>(), new Set<string>()]
  const mark = (name: string, generation: Generation) => {
    containers.add(generation.container)
    objects.add(objectPath(store, generation.container, false))
    const needs = needsOf(name, generation)
    for (const { sha256, executable } of needs.objects) objects.add(objectPath(store, sha256, executable))
    for (const secret of needs.secrets) secrets.add(secret)
  }
  const unreadable = names.filter(name => !couldMark(store, name, keep, mark))
  return { objects, secrets, containers, unreadable }
}

function couldMark(
  store: Store,
  name: string,
  keep: number,
  mark: (name: string, generation: Generation) => void,
): boolean {
  try {
    for (const generation of (readGenerations(store, name) ?? []).slice(-keep)) mark(name, generation)
    return true
  } catch (error) {
    if (error instanceof AppcError) return false
    throw error
  }
}
