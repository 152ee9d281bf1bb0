import { hostPath, within } from '../decide/host-paths.js'
import type { Decision, Host } from '../decide/types.js'
import { base, parent } from '../loader/file-system.js'
import { guardOf, guardsOf } from './guards.js'
import { gathered } from './names.js'
import type { LaidNodes } from './settings.js'
import type { BindMount, GuardedObjects, Plan } from './types.js'
import type { BuiltView } from './view.js'

/** What of the machine and the caller a plan is bound to. */
export interface Circumstances {
  readonly uid: number
  readonly gid: number
  readonly kernelRelease: string
  readonly cpuLevel: number
  readonly loaderEnvironment: Readonly<Record<string, string>>
  /** Visible mount points of the machine. */
  readonly mountPoints: readonly string[]
}

/** What was asked for: a container of the store, or a plain program with directories of candidates. */
export interface Request {
  /** What messages and APPC_CONTAINER say. */
  readonly name: string
  /** What the launcher compares (lib/plan/types.ts, `request`). */
  readonly request: readonly string[]
  /** Programs to be run by name, with their paths in the container. */
  readonly programs: readonly { readonly name: string; readonly path: string }[]
  /** What they need when they are confined (lib/plan/types.ts). */
  readonly needs: readonly string[]
  /** Files of this machine that the decision rests on besides the host's: the container's ref, the --lib directories. */
  readonly sources: readonly string[]
  /** Set for its programs, as settings have it. */
  readonly variables: Readonly<Record<string, string>>
  /** What the programs may write: directories of this machine, and where they find them. */
  readonly state: readonly BindMount[]
}

/** What is private, as it lies on the disk. */
export interface Laid {
  readonly view: BuiltView
  readonly objects: GuardedObjects
}

/** Compiles a decision into what the launcher does. */
export function compilePlan(
  request: Request,
  decision: Decision,
  nodes: LaidNodes,
  host: Host,
  root: string | null,
  { view, objects }: Laid,
  circumstances: Circumstances,
): Plan {
  const prefix = root ?? ''
  const mounts = mountsInside(circumstances.mountPoints, root)
  const { startUp } = decision
  const covered = withAncestors(nodes.keys())
  const isSeenInside = (path: string, evidence: string) =>
    startUp.has(evidence) && view.layers.some(({ target }) => within(path, target)) && !covered.has(path)
  return {
    name: request.name,
    request: request.request,
    root,
    uid: circumstances.uid,
    gid: circumstances.gid,
    kernelRelease: circumstances.kernelRelease,
    cpuLevel: circumstances.cpuLevel,
    loaderEnvironment: circumstances.loaderEnvironment,
    guards: gathered([
      ...(root === null ? [] : [guardOf(root, null)]),
      ...request.sources.map(path => guardOf(path, null)),
      ...guardsOf(prefix, decision.evidence, isSeenInside),
      ...view.guards,
    ]),
    objects,
    overlays: view.layers.map(({ target, directory }) => ({
      target,
      layer: directory,
      carried: carriedOn(target, mounts),
    })),
    binds: [...(root === null ? [] : bindsInto(host, circumstances)), ...request.state],
    programs: request.programs.map(({ name, path }) => ({ name, path: hostPath(host.fs, path) })),
    environment: [
      { name: 'APPC_CONTAINER', value: request.name },
      ...Object.entries(request.variables).map(([name, value]) => ({ name, value })),
    ],
    needs: [...request.needs, ...request.state.map(({ target }) => `rw=${target}`)],
  }
}

/** These paths and all directories that they lie in. */
function withAncestors(paths: Iterable<string>): ReadonlySet<string> {
  const all = new Set<string>()
  for (const path of paths) for (let up = path; !all.has(up); up = parent(up)) all.add(up)
  return all
}

/** Those of the mount points, as seen from inside, that an overlay on `target` would hide. */
export function carriedOn(target: string, mounts: readonly string[]): readonly string[] {
  return mounts.filter(path => path !== target && within(path, target))
}

/** Mount points as seen from inside the tree that serves as the root. */
export function mountsInside(mountPoints: readonly string[], root: string | null): readonly string[] {
  if (root === null) return mountPoints
  return mountPoints.flatMap(path => (path !== root && within(path, root) ? [path.slice(root.length)] : []))
}

/**
 * What a --root tree sees of the machine: the kernel's file systems, temporary files, the users' homes and the resolver's
 * configuration. Only onto what the tree has a place for; a tree without /home simply has no homes.
 */
function bindsInto(host: Host, circumstances: Circumstances): readonly BindMount[] {
  const directories = ['/proc', '/sys', '/dev', '/tmp', '/home']
  const wanted = [...directories, ...(circumstances.uid === 0 ? ['/root'] : []), '/etc/resolv.conf']
  return wanted.flatMap(path => {
    const inside = hostPath(host.fs, path)
    const kind = host.fs.lstat(inside)?.kind
    const fits = base(path) === 'resolv.conf' ? kind === 'file' : kind === 'directory'
    return fits && guardOf(path, null).kind === 'identity' ? [{ source: path, target: inside }] : []
  })
}
