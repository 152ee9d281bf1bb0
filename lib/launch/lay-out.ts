import { lstatSync } from 'node:fs'
import { isExecutable } from '../container/containers.js'
import type { PackedRegular } from '../container/types.js'
import type { Laid } from '../plan/compile.js'
import { noteObjects } from '../plan/objects.js'
import type { Layer } from '../plan/overlays.js'
import { buildView } from '../plan/view.js'
import { objectMode, objectPath } from '../store/objects.js'
import type { StoredFile } from '../store/soundness.js'
import type { Store } from '../store/store.js'
import { readable } from '../upkeep/sources.js'
import { addon } from './addon.js'
import type { Care } from './care.js'
import { damagedFile } from './open-packed.js'

/** A private file, as it is asked for in the store. */
interface Wanted extends StoredFile {
  readonly file: PackedRegular
}

/**
 * Builds the view, and makes sure that each private file has the bytes that it is named by, with identities by which the launcher
 * will know that it still has them. `name`: of the container, or the path of a plain program. STORE_CORRUPT, naming the file, for one
 * that is damaged and cannot be mended: it must not be run.
 */
export function layOut(store: Store, name: string, views: string, layers: readonly Layer[], care: Care): Laid {
  const wanted = wantedBy(layers)
  const mended = new Set<Wanted>()
  const mend = (each: Wanted) => {
    // Once: what does not stay mended is damaged again by something.
    if (mended.has(each) || !care.mend(each.file)) throw damagedFile(store, name, each.file)
    mended.add(each)
  }
  // Before the view is built, of which one that is missing would be missing.
  for (const each of wanted) if (!seemsSound(store, each)) mend(each)
  for (;;) {
    const view = buildView(store, addon(), views, layers)
    // Their links are made: from here on identities stay as they are, but for other containers' links.
    const { dev, files } = noteObjects(store, wanted)
    const unsound = wanted.filter((each, at) => files[at] === null || !care.soundness.isSound(each))
    if (unsound.length === 0) return { view, objects: { dev, files: files.filter(file => file !== null) } }
    for (const each of unsound) mend(each)
  }
}

/** Those of different bytes, in the order of their paths in the store. */
function wantedBy(layers: readonly Layer[]): readonly Wanted[] {
  const nodes = layers.flatMap(layer => [...layer.nodes.values()])
  const byObject = new Map<string, Wanted>()
  for (const node of nodes) {
    if (node.kind !== 'file') continue
    const { sha256, mode, size } = node.file
    const executable = isExecutable(mode)
    byObject.set(`${sha256}${executable ? '.x' : ''}`, { sha256, executable, size, file: node.file })
  }
  return [...byObject].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, wanted]) => wanted)
}

/** As far as can be told without reading it. */
function seemsSound(store: Store, { sha256, executable, size }: Wanted): boolean {
  const stat = readable(() => lstatSync(objectPath(store, sha256, executable)))
  return stat?.isFile() === true && stat.size === size && (stat.mode & 0o7777) === objectMode(executable)
}
