import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isDigest, isSound, objectPath } from '../store/objects.js'
import type { Store } from '../store/store.js'
import { type Circumstances, carriedOn, mountsInside } from './compile.js'
import { guardOf } from './guards.js'
import { changedNames, namesIn } from './names.js'
import { type Guard, LOADER_VARIABLES, type NamesGuard, type OverlayMount, type Plan } from './types.js'

/**
 * The plan itself where it holds. With its guards brought up to date, where nothing failed but the change time of private files and
 * their bytes are still what their names say: another container that holds the same object has linked or unlinked it. null when
 * anything else changed: then it must be decided anew.
 */
export function refreshPlan(store: Store, plan: Plan, now: Circumstances): Plan | null {
  if (plan.uid !== now.uid || plan.gid !== now.gid) return null
  if (plan.kernelRelease !== now.kernelRelease || plan.cpuLevel !== now.cpuLevel) return null
  if (LOADER_VARIABLES.some(name => plan.loaderEnvironment[name] !== now.loaderEnvironment[name])) return null
  const mounts = mountsInside(now.mountPoints, plan.root)
  if (!plan.overlays.every(overlay => isMountable(overlay, mounts))) return null
  const guards = plan.guards.map(guard => refreshGuard(store, guard))
  const sound = guards.filter(guard => guard !== null)
  if (sound.length < guards.length) return null
  return sound.every((guard, index) => guard === plan.guards[index]) ? plan : { ...plan, guards: sound }
}

/** The paths of which something else is true than the plan says. */
export function changedPaths(store: Store, plan: Plan): readonly string[] {
  const failed = plan.guards.filter(guard => refreshGuard(store, guard) === null)
  return failed.flatMap(guard => (guard.kind === 'names' ? changedNames(guard) : [guard.path]))
}

/** The directory of the view in which the layers of a plan lie; null for one without. */
export function viewOf({ overlays }: Plan): string | null {
  return overlays[0] === undefined ? null : basename(dirname(overlays[0].layer))
}

/** Whether its part of the view is there, and just what it carries is mounted below. */
function isMountable({ layer, target, carried }: OverlayMount, mounts: readonly string[]): boolean {
  const below = carriedOn(target, mounts)
  return existsSync(layer) && below.length === carried.length && below.every(path => carried.includes(path))
}

/**
 * The same guard where it holds, a new one where only the change time of an object differs, or other names came into a directory;
 * null where it failed.
 */
function refreshGuard(store: Store, guard: Guard): Guard | null {
  if (guard.kind === 'names') return refreshNames(guard)
  const current = guardOf(guard.path, guard.seenAs)
  if (guard.kind === 'absent' || current.kind === 'absent') return guard.kind === current.kind ? guard : null
  const same = guard.dev === current.dev && guard.ino === current.ino && guard.mode === current.mode
  if (!same || guard.size !== current.size || guard.mtimeNs !== current.mtimeNs) return null
  if (guard.ctimeNs === current.ctimeNs) return guard
  return isSoundObject(store, current.path, current.size) ? current : null
}

function refreshNames(guard: NamesGuard): Guard | null {
  const current = namesIn(guard.path, guard.names)
  if (current === null || changedNames(guard).length > 0) return null
  const same = guard.dev === current.dev && guard.ino === current.ino && guard.mtimeNs === current.mtimeNs
  // The launcher looks the names up anyway where no time is known.
  return (same && guard.ctimeNs === current.ctimeNs) || guard.ctimeNs === 0n ? guard : current
}

function isSoundObject(store: Store, path: string, size: number): boolean {
  const below = path.slice(join(store.home, 'objects').length + 1)
  const executable = below.endsWith('.x')
  const digest = below.replace(/\.x$/, '').replace('/', '')
  if (!isDigest(digest) || objectPath(store, digest, executable) !== path) return false
  return isSound(path, digest, size, executable ? 0o555 : 0o444)
}
