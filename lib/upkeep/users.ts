import {
  type BigIntStats,
  type Dirent,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { type Mount, parseMounts } from '../store/mount-table.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'

/** In a view, beside its layers: what belongs into it (lib/plan/view-list.ts). */
export const VIEW_LIST = 'list'

/**
 * Ids of the processes that run with a view of the container with this digest, or have opened one and are about to, among those that the
 * caller may look into: its own, and for root all. `directory`: where the views lie. The mount table does not tell the lower directories of an overlay (they are given to the kernel as
 * /proc/self/fd/N), so it is asked whether the view's files are what such a process finds at its overlays. Another container
 * with the very same view cannot be told from this one.
 */
export function usersOf(
  store: Store,
  digest: string,
  directory = join(store.home, 'views', digest),
): readonly number[] {
  const home = statSync(store.home, { bigint: true })
  const views = childrenOf(directory).map(view => {
    const word = { store: `appc:${home.dev.toString(16)}:${home.ino.toString(16)}`, view: basename(view) }
    return { word, layers: layersIn(view), path: realpathSync(view) }
  })
  if (views.length === 0) return []
  const processes = readdirSync('/proc').filter(name => /^[0-9]+$/.test(name))
  return processes.filter(process => views.some(view => runsWith(join('/proc', process), view))).map(Number)
}

interface View {
  /** What a launch with it calls its overlays by (docs/formats.md, "Running containers"). */
  readonly word: { readonly store: string; readonly view: string }
  readonly layers: readonly string[]
  /** As the kernel tells it. */
  readonly path: string
}

/**
 * A launch mounts all layers of a view or none, so each that has files must be found at one of the overlays; or it says itself that it is
 * this view's: one that was mended since has other files than the program, which goes on to find in it what it has not opened yet.
 */
function runsWith(process: string, { word, layers, path }: View): boolean {
  try {
    // First what is open, as a launch closes it when it is mounted.
    if (hasOpen(process, path)) return true
    const mounts = parseMounts(readFileSync(join(process, 'mountinfo'), 'utf8'))
    const overlays = mounts.filter(({ ours }) => ours)
    if (overlays.length === 0) return false
    if (overlays.some(({ source }) => isOf(source, word))) return true
    const points = pointsOver(mounts)
    const filled = layers.filter(layer => !leavesOf(layer).next().done)
    const isMounted = (layer: string) => overlays.some(({ point }) => liesAt(layer, process, point, points))
    return filled.length > 0 && filled.every(isMounted)
  } catch (error) {
    // It belongs to somebody else, or ended meanwhile: proc(5); a zombie's mount table is EINVAL.
    if (hasCode(error, 'EACCES', 'EPERM', 'ENOENT', 'ESRCH', 'EINVAL')) return false
    throw error
  }
}

/** Of a program that may not be looked into (PR_SET_DUMPABLE, as agents that keep keys have it) the mount table is all that tells. */
function hasOpen(process: string, path: string): boolean {
  const directory = join(process, 'fd')
  const names = unlessCode(() => readdirSync(directory), 'EACCES', 'EPERM') ?? []
  return names.some(name => {
    const target = unlessCode(() => readlinkSync(join(directory, name)), 'ENOENT', 'EACCES', 'EPERM')
    return target?.startsWith(`${path}/`) === true
  })
}

function unlessCode<T>(look: () => T, ...codes: readonly string[]): T | null {
  try {
    return look()
  } catch (error) {
    if (hasCode(error, ...codes)) return null
    throw error
  }
}

function isOf(source: string, word: View['word']): boolean {
  const [store, , view] = source.split('/')
  return store === word.store && view === word.view
}

/** Where something may lie over a view: what is bound in a skeleton is the skeleton's own. */
function pointsOver(mounts: readonly Mount[]): readonly string[] {
  const skeletons = new Set(mounts.filter(({ ours }) => ours === 'skeleton').map(({ id }) => id))
  return mounts.filter(({ parent }) => !skeletons.has(parent)).map(({ point }) => point)
}

/** Overlayfs shows a file with its own inode number, size and times, though on another device. */
function liesAt(layer: string, process: string, target: string, points: readonly string[]): boolean {
  for (const leaf of leavesOf(layer)) {
    const path = join(target, leaf)
    const own = lstatSync(join(layer, leaf), { bigint: true })
    const seen = lookAt(join(process, 'root', path))
    if (seen?.ino === own.ino && seen.size === own.size && seen.mtimeNs === own.mtimeNs) continue
    // What the process has mounted over it since tells nothing.
    if (!points.some(point => point.length > target.length && `${path}/`.startsWith(`${point}/`))) return false
  }
  return true
}

/** null where nothing is: also below a file, since a layer is looked for at the overlays of others. */
function lookAt(path: string): BigIntStats | null {
  return unlessCode(() => lstatSync(path, { bigint: true }), 'ENOENT', 'ENOTDIR')
}

/** Files and links below a layer; whiteouts and directories are not the view's alone. */
function* leavesOf(layer: string, below = ''): Generator<string> {
  const entries: readonly Dirent[] = readdirSync(join(layer, below), { withFileTypes: true })
  for (const entry of entries) {
    const path = join(below, entry.name)
    if (entry.isDirectory()) yield* leavesOf(layer, path)
    else if (entry.isFile() || entry.isSymbolicLink()) yield path
  }
}

function layersIn(view: string): readonly string[] {
  return childrenOf(view).filter(path => basename(path) !== VIEW_LIST)
}

function childrenOf(directory: string): readonly string[] {
  const names = unlessCode(() => readdirSync(directory), 'ENOENT', 'ENOTDIR') ?? []
  return names.map(name => join(directory, name))
}
