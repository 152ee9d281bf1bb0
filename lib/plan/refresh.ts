import { existsSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { objectPath } from '../store/objects.js'
import type { Soundness } from '../store/soundness.js'
import type { Store } from '../store/store.js'
import { type Circumstances, carriedOn, mountsInside } from './compile.js'
import { guardOf } from './guards.js'
import { changedNames, namesIn } from './names.js'
import { type Changes, changesOf, isSameFile } from './objects.js'
import { type Guard, LOADER_VARIABLES, type NamesGuard, type OverlayMount, type Plan } from './types.js'

/**
 * The plan itself where it holds. Brought up to date, where nothing failed but that other names came into directories, or that private
 * files have another identity, but are the same inodes and their bytes are still what their names say: another container that holds the
 * same object has linked or unlinked it. null when anything else changed: then it must be decided anew.
 */
export function refreshPlan(store: Store, plan: Plan, now: Circumstances, soundness: Soundness): Plan | null {
  if (plan.uid !== now.uid || plan.gid !== now.gid) return null
  if (plan.kernelRelease !== now.kernelRelease || plan.cpuLevel !== now.cpuLevel) return null
  if (LOADER_VARIABLES.some(name => plan.loaderEnvironment[name] !== now.loaderEnvironment[name])) return null
  const mounts = mountsInside(now.mountPoints, plan.root)
  if (!plan.overlays.every(overlay => isMountable(overlay, mounts))) return null
  const guards = plan.guards.map(refreshGuard)
  const holding = guards.filter(guard => guard !== null)
  if (holding.length < guards.length) return null
  const { now: seen, changed } = changesOf(store, plan.objects)
  if (!changed.every(change => isStillSound(change, soundness))) return null
  const isSame = changed.length === 0 && holding.every((guard, index) => guard === plan.guards[index])
  const files = seen.files.filter(file => file !== null)
  return isSame ? plan : { ...plan, guards: holding, objects: { dev: seen.dev, files } }
}

/** The paths of which something else is true than the plan says. */
export function changedPaths(store: Store, plan: Plan, soundness: Soundness): readonly string[] {
  const failed = plan.guards.filter(guard => refreshGuard(guard) === null)
  const bad = changesOf(store, plan.objects).changed.filter(change => !isStillSound(change, soundness))
  return [
    ...failed.flatMap(guard => (guard.kind === 'names' ? changedNames(guard) : [guard.path])),
    ...bad.map(({ before }) => objectPath(store, before.sha256, before.executable)),
  ]
}

/** Of another inode the view has no link. */
function isStillSound({ before, now }: Changes['changed'][number], soundness: Soundness): boolean {
  return now !== null && now.ino === before.ino && now.size === before.size && soundness.isSound(before)
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

/** The same guard where it holds, a new one where only other names came into a directory; null where it failed. */
function refreshGuard(guard: Guard): Guard | null {
  if (guard.kind === 'names') return refreshNames(guard)
  const current = guardOf(guard.path, guard.seenAs)
  if (guard.kind === 'absent' || current.kind === 'absent') return guard.kind === current.kind ? guard : null
  const same = guard.dev === current.dev && guard.mode === current.mode && isSameFile(guard, current)
  return same ? guard : null
}

function refreshNames(guard: NamesGuard): Guard | null {
  const current = namesIn(guard.path, guard.names)
  if (current === null || changedNames(guard).length > 0) return null
  const same = guard.dev === current.dev && guard.ino === current.ino && guard.mtimeNs === current.mtimeNs
  // The launcher looks the names up anyway where no time is known.
  return (same && guard.ctimeNs === current.ctimeNs) || guard.ctimeNs === 0n ? guard : current
}
