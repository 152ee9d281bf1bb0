import { isSound, objectMode, objectPath } from './objects.js'
import type { Store } from './store.js'

/** A file that the store is to have, as a manifest tells of it. */
export interface StoredFile {
  readonly sha256: string
  readonly executable: boolean
  readonly size: number
}

/** How it is known of a store's files whether they have the bytes that they are named by. */
export interface Soundness {
  isSound(file: StoredFile): boolean
}

/** By reading them. */
export function byHash(store: Pick<Store, 'home'>): Soundness {
  return {
    isSound: ({ sha256, executable, size }) =>
      isSound(objectPath(store, sha256, executable), sha256, size, objectMode(executable)),
  }
}
