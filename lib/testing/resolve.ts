import { AppcError } from '../errors.js'
import { type MemoryTree, memoryFileSystem } from '../loader/memory-file-system.js'
import { type ResolveContext, resolveGraph } from '../loader/resolve.js'
import type { Edge, Graph, How } from '../loader/types.js'

/**
 * What the loader in a made-up tree loads for a program or library of it. Without `context` the CPU is a plain one, and no variable
 * is set.
 */
export function resolve(tree: MemoryTree, path: string, context: Partial<ResolveContext> = {}): Graph {
  return resolveGraph(memoryFileSystem(tree), path, { cpuLevel: 1, libraryPath: [], preload: [], ...context })
}

/** The path at which a name was found; null where it was not. `by` is the path of who asks, where more than one does. */
export function found(graph: Graph, name: string, by?: string): string | null {
  const { to } = edgeOf(graph, name, by)
  return graph.objects[to]?.path ?? null
}

/** The rule by which a name was found: the first time, or for the one who asks that is named. */
export function how(graph: Graph, name: string, by?: string): How {
  return edgeOf(graph, name, by).how
}

/** A test that asks for what nobody asks for must not pass for that reason. */
function edgeOf({ edges, objects }: Graph, name: string, by: string | undefined): Edge {
  const edge = edges.find(edge => edge.name === name && (by === undefined || objects[edge.from]?.path === by))
  if (edge !== undefined) return edge
  throw new AppcError(
    'FIXTURE_INVALID',
    `${by ?? 'nobody'} ${by === undefined ? 'asks' : 'does not ask'} for ${name}`,
    {
      because: `these are asked for: ${[...new Set(edges.map(edge => edge.name))].join(', ')}`,
    },
  )
}
