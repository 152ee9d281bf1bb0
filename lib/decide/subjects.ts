import type { PackedRegular } from '../container/types.js'
import { base, parent } from '../loader/file-system.js'
import { remember } from '../loader/remember.js'
import type { Graph, LoadedObject } from '../loader/types.js'
import type { Subject } from './constraints.js'
import { hostDirectory, hostPath, within } from './host-paths.js'
import { inScopeOf, type Looked, type Mix } from './mix.js'
import type { Scopes } from './scopes.js'
import type { Selection } from './selection.js'
import type { PlacedNode, Placement } from './types.js'

/** What the loader looked at for a graph: names, wherever they lie, and the directories that it went through. */
interface Reach {
  readonly names: ReadonlySet<string>
  readonly directories: ReadonlySet<string>
}

interface Known {
  readonly graph: Graph
  readonly reach: Reach
}

interface Remembered extends Subject {
  /** What it brings into the scope. */
  readonly added: readonly number[]
}

/**
 * Who is judged in a mix. From one mix to the next little changes: what a change does not touch is the same object as before, so that
 * whoever has judged it need not do so again.
 */
export class Subjects {
  private readonly graphs = new Map<string, Known>()
  private readonly known = new Map<PackedRegular, Remembered>()
  private last: Placement = new Map()

  constructor(
    private readonly looked: Looked,
    private readonly scopes: Scopes,
  ) {}

  /** Every private program and module, each in the scope in which its symbols will be bound. */
  in(selection: Selection, mix: Mix, nodes: Placement): readonly Subject[] {
    this.forget(nodes)
    const { contents, host } = this.looked
    const graphOf = (file: PackedRegular) => this.graphOf(mix, hostPath(host.fs, file.path))
    const lies = (file: PackedRegular) => mix.has(file, hostPath(host.fs, file.path))
    const programs = new Map<PackedRegular, Graph>(
      contents
        .programs()
        .filter(lies)
        .map(file => [file, graphOf(file)]),
    )
    const brought = new Map<Graph, Set<string>>()
    return contents
      .consumers(selection.isPrivate)
      .filter(lies)
      .map(file => {
        const loader = this.scopes.loaderOf(file)
        const program = loader === null ? undefined : programs.get(loader)
        const seen = program === undefined ? new Set<string>() : remember(brought, program, () => new Set<string>())
        return this.subject(mix, file, graphOf(file), program, seen)
      })
  }

  /** A library that several modules of a program bring is judged with the first, but for what it finds in neither. */
  private subject(mix: Mix, file: PackedRegular, graph: Graph, program: Graph | undefined, seen: Set<string>): Subject {
    const before = this.known.get(file)
    const isSame = before !== undefined && before.graph === graph && before.program === program
    const all = graph.objects.map((_, at) => at)
    const scope = isSame ? before : program === undefined ? { scope: graph, added: all } : inScopeOf(program, graph)
    const judged = scope.added.filter(at => {
      const object = scope.scope.objects[at] as LoadedObject
      const own = mix.fileOf(object)
      const isNew = !seen.has(object.realPath) || own === file
      seen.add(object.realPath)
      return isNew || (own !== null && this.scopes.missesAlone(own))
    })
    if (isSame && isEqual(judged, before.judged)) return before
    const subject = { file, graph, ...scope, judged, program }
    this.known.set(file, subject)
    return subject
  }

  private graphOf(mix: Mix, path: string): Graph {
    const known = this.graphs.get(path)
    if (known !== undefined) return known.graph
    const graph = mix.graph(path)
    this.graphs.set(path, { graph, reach: this.reachOf(graph) })
    return graph
  }

  private reachOf({ objects, edges, watched }: Graph): Reach {
    const names = new Set<string>()
    const directories = new Set<string>()
    const add = (path: string) => {
      names.add(base(path))
      directories.add(parent(path))
    }
    for (const { path, realPath } of objects) for (const name of [path, realPath]) add(name)
    for (const path of watched) add(path)
    for (const edge of edges) {
      names.add(base(edge.name))
      for (const path of edge.tried) add(path)
      for (const path of edge.watched) add(path)
    }
    return { names, directories: new Set([...directories].map(path => hostDirectory(this.looked.host.fs, path))) }
  }

  /** Drops what was resolved where something else lies now. */
  private forget(nodes: Placement): void {
    const changed = [...difference(this.last, nodes), ...difference(nodes, this.last)]
    this.last = nodes
    if (changed.length === 0) return
    const names = new Set(changed.map(([path]) => base(path)))
    // A file may take the place of a directory that the loader went through.
    const { fs } = this.looked.host
    const isWay = (path: string, { kind }: PlacedNode) => kind !== 'file' || fs.lstat(path)?.kind === 'directory'
    const ways = changed.flatMap(([path, node]) => (isWay(path, node) ? [path] : []))
    for (const [path, { reach }] of this.graphs) {
      const touched =
        nameInBoth(reach.names, names) ||
        ways.some(way => [...reach.directories].some(directory => within(directory, way)))
      if (touched) this.graphs.delete(path)
    }
  }
}

function difference(one: Placement, other: Placement): readonly (readonly [string, PlacedNode])[] {
  return [...one].filter(([path, node]) => !isSame(node, other.get(path)))
}

function isEqual(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((at, place) => at === other[place])
}

function isSame(one: PlacedNode, other: PlacedNode | undefined): boolean {
  if (one.kind !== other?.kind) return false
  if (one.kind === 'file') return one.file === (other as typeof one).file
  return one.kind !== 'symlink' || one.target === (other as typeof one).target
}

function nameInBoth(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  const [few, many] = one.size < other.size ? [one, other] : [other, one]
  for (const name of few) if (many.has(name)) return true
  return false
}
