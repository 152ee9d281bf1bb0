import { base } from '../loader/file-system.js'
import type { Graph, LoadedObject } from '../loader/types.js'
import { type Mix, nameOf } from './mix.js'
import type { Selection } from './selection.js'
import type { DecisionProblem, Reason } from './types.js'

/**
 * What a rule asks for. It holds for every larger selection too: as long as none of `takes` is private, the same objects are loaded
 * for the same reasons, and the same is wrong with them. So any selection that obeys the rules holds one of `takes`, which is
 * what the search rests on.
 */
export interface Demand {
  readonly reason: Reason
  /** Sonames, of which one is to be made private; the likeliest first. */
  readonly takes: readonly string[]
  /** Private sonames that it came with: without them nobody would ask. */
  readonly about: readonly string[]
  /** What is to be told where nothing can be taken; null where nothing is lost then. */
  readonly otherwise: DecisionProblem | null
}

/**
 * A demand that one of these be private, as far as the container has them and nothing fixes them as shared. Where something
 * does, and nothing else is left, that is what it clashes with.
 */
export function demandOneOf(
  selection: Selection,
  names: readonly string[],
  reason: Reason,
  about: readonly string[],
  otherwise: DecisionProblem | null,
): Demand {
  const distinct = [...new Set(names.map(name => selection.called(name)))]
  const takes = distinct.filter(name => selection.canTake(name))
  const fixed = distinct.filter(name => selection.fixedAs(name) !== undefined)
  const clash: DecisionProblem = {
    kind: 'clash',
    text: [reason.text, ...fixed.map(name => selection.fixedAs(name))].join('; '),
    sonames: [...new Set([...distinct.slice(0, 1), ...fixed])],
  }
  const told = otherwise?.kind === 'missing' && fixed.length > 0 ? clash : otherwise
  return { reason, takes, about, otherwise: told }
}

/** What is only to be told. */
export function note(text: string): Demand {
  return { reason: { rule: 'presence', text }, takes: [], about: [], otherwise: { kind: 'note', text } }
}

/**
 * An object, who had it loaded, and so on up to the program: as long as none of these is another file, it is there. Names; the
 * program itself, which stays, is left out.
 */
export function bringers(graph: Graph, object: LoadedObject | undefined): readonly string[] {
  const names: string[] = []
  const seen = new Set<number>()
  for (let at = object === undefined ? -1 : graph.objects.indexOf(object); at > 0 && !seen.has(at); ) {
    const bringer = graph.objects[at]
    if (bringer) names.push(nameOf(bringer))
    seen.add(at)
    at = graph.edges.find(({ to }) => to === at)?.from ?? -1
  }
  return names
}

/** Every library in the process: what changes which of two comes first, any of them may. */
export function everyName(graph: Graph): readonly string[] {
  return [...graph.objects.slice(1).map(nameOf), ...graph.edges.map(({ name }) => base(name))]
}

export function objectAt(graph: Graph, path: string): LoadedObject | undefined {
  return graph.objects.find(object => object.path === path || object.realPath === path)
}

/** Its name, and whose it is. */
export function tell(mix: Mix, object: LoadedObject): string {
  if (mix.isInPlace(object)) return nameOf(object)
  return `${nameOf(object)} (${mix.fileOf(object) ? 'private' : "the host's"})`
}
