import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { objectPath } from '../store/objects.js'
import { untilSettled } from '../store/settled.js'
import type { StoredFile } from '../store/soundness.js'
import type { Store } from '../store/store.js'
import { look } from './guards.js'
import type { GuardedObject, GuardedObjects } from './types.js'

/** Objects as they are, null for what is not there: not yet what they hold. */
export interface Seen {
  readonly dev: bigint
  readonly files: readonly (GuardedObject | null)[]
}

/** What a file is told by. */
type Identity = Pick<GuardedObject, 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>

export function isSameFile(a: Identity, b: Identity): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs
}

/** Notes the identities of objects, to look at their bytes next: a change since will show. */
export function noteObjects(store: Pick<Store, 'home'>, wanted: readonly StoredFile[]): Seen {
  const seen = lookAt(store, wanted)
  untilSettled(seen.files.filter(file => file !== null))
  return seen
}

export interface Changes {
  /** As they are now. */
  readonly now: Seen
  /** Those of which something else is true than was noted. */
  readonly changed: readonly { readonly before: GuardedObject; readonly now: GuardedObject | null }[]
}

/** The same for those that were noted before. */
export function changesOf(store: Pick<Store, 'home'>, noted: GuardedObjects): Changes {
  const now = lookAt(store, noted.files)
  const changed = noted.files.flatMap((before, at) => {
    const file = now.dev === noted.dev ? (now.files[at] ?? null) : null
    return file !== null && isSameFile(before, file) ? [] : [{ before, now: file }]
  })
  untilSettled(changed.flatMap(({ now }) => (now === null ? [] : [now])))
  return { now, changed }
}

function lookAt(store: Pick<Store, 'home'>, wanted: readonly StoredFile[]): Seen {
  if (wanted.length === 0) return { dev: 0n, files: [] }
  const { dev } = lstatSync(join(store.home, 'objects'), { bigint: true })
  const files = wanted.map(({ sha256, executable }) => {
    const stat = look(objectPath(store, sha256, executable))
    if (stat === null) return null
    const { ino, size, mtimeNs, ctimeNs } = stat
    return { sha256, executable, ino, size: Number(size), mtimeNs, ctimeNs }
  })
  return { dev, files }
}
