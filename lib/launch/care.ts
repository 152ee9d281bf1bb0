import type { PackedRegular } from '../container/types.js'
import { byHash, type Soundness } from '../store/soundness.js'
import type { Store } from '../store/store.js'

/** What is done for a store's files before a program gets them. */
export interface Care {
  readonly soundness: Soundness
  /** Puts a sound file into the place of one that is damaged or gone. False where none is to be had. Under the store's shared lock. */
  mend(file: PackedRegular): boolean
}

export function usualCare(store: Store): Care {
  return { soundness: byHash(store), mend: () => false }
}
