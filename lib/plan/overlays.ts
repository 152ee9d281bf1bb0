import { within } from '../decide/host-paths.js'
import { AppcError } from '../errors.js'
import { join, parent } from '../loader/file-system.js'
import type { FileSystem } from '../loader/types.js'
import type { LaidNode, LaidNodes } from './settings.js'

/** Too much of the host lies in these to cover them for the sake of what is deeper. */
const SHALLOW = ['/usr', '/etc']

/** One overlay: what is laid over `target`, by path relative to it. */
export interface Layer {
  readonly target: string
  readonly nodes: ReadonlyMap<string, LaidNode>
  /** Every directory of the layer, '' for its top, parents first. */
  readonly directories: ReadonlyMap<string, Attributes>
}

/** Where directories merge, the upper one's attributes are seen: it must have the host's, or /usr/lib becomes another. */
export interface Attributes {
  /** Permission bits, sticky and setgid included. */
  readonly mode: number
  /** null for a directory that the host does not have: it is the store's owner's. */
  readonly owner: { readonly uid: number; readonly gid: number } | null
}

/**
 * Groups what is placed into as few overlay mounts as do: one for each host directory that gains or changes names, and none below
 * another, since an overlay merges the directories below it by itself.
 */
export function layersOf(placement: LaidNodes, targets: Targets): readonly Layer[] {
  const wanted = [...new Set([...placement.keys()].map(path => targets.of(path)))].sort()
  const topmost = wanted.filter(target => !wanted.some(other => other !== target && within(target, other)))
  return topmost.map(target => {
    const nodes = new Map(
      [...placement]
        .filter(([path]) => within(path, target))
        .map(([path, node]) => [path.slice(target.length + 1), node] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    )
    return { target, nodes, directories: directoriesOf(target, nodes, targets) }
  })
}

function directoriesOf(
  target: string,
  nodes: ReadonlyMap<string, LaidNode>,
  targets: Targets,
): ReadonlyMap<string, Attributes> {
  const paths = new Set([''])
  for (const [path, node] of nodes) {
    const parts = path.split('/')
    const depth = node.kind === 'directory' ? parts.length : parts.length - 1
    for (let length = 1; length <= depth; length++) paths.add(parts.slice(0, length).join('/'))
  }
  return new Map(
    [...paths].sort().map(path => {
      const node = nodes.get(path)
      const own = { mode: node?.kind === 'directory' ? node.mode : 0o755, owner: null }
      return [path, targets.attributesOf(path === '' ? target : join(target, path)) ?? own] as const
    }),
  )
}

/**
 * Which directory of the host is covered for a file. `deepest`, for root: the deepest that exists, so that as much of the host as
 * can be is seen live. `common`, for others: the uppermost below /usr, /etc or / that nothing is mounted in, which is the same
 * for every container on this host. In a user namespace the mounts around are locked: none of them can be taken along on top
 * (the kernel refuses an overlay over a directory with locked mounts below, fs/namespace.c, clone_private_mount), and a
 * container that is started inside another finds its overlays there. If both cover the same directories, or quite different
 * ones, that never matters. Where something is mounted even in the deepest, the launcher binds its files one by one instead
 * (native/core/skeleton.h).
 */
export class Targets {
  constructor(
    private readonly host: FileSystem,
    private readonly mountPoints: readonly string[],
    private readonly depth: 'deepest' | 'common',
  ) {}

  of(path: string): string {
    const ancestors = this.existingAncestors(path)
    const deepest = ancestors.at(-1) ?? '/'
    if (deepest === '/') throw new AppcError('INTERNAL', `${path} has no directory that could be covered`)
    if (this.depth === 'deepest') return deepest
    return ancestors.find(directory => !SHALLOW.includes(directory) && !this.hasMounts(directory)) ?? deepest
  }

  /** null where the host has no such directory. */
  attributesOf(directory: string): Attributes | null {
    const stat = this.host.lstat(directory)
    if (stat?.kind !== 'directory') return null
    return { mode: stat.mode & 0o7777, owner: { uid: stat.uid, gid: stat.gid } }
  }

  private hasMounts(directory: string): boolean {
    return this.mountPoints.some(point => point !== directory && within(point, directory))
  }

  /** From the uppermost down, / left out. */
  private existingAncestors(path: string): readonly string[] {
    const ancestors: string[] = []
    for (let up = parent(path); up !== '/'; up = parent(up)) ancestors.unshift(up)
    return ancestors.filter(directory => this.host.lstat(directory)?.kind === 'directory')
  }
}
