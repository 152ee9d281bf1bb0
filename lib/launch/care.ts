import { isExecutable } from '../container/containers.js'
import { onHost } from '../container/host-sources.js'
import type { PackedRegular } from '../container/types.js'
import { hashPath } from '../store/objects.js'
import { byHash, type Soundness } from '../store/soundness.js'
import type { Store } from '../store/store.js'
import { Evidence } from '../upkeep/evidence.js'
import { objectKey, pathOf } from '../upkeep/identities.js'
import { mendInPlace } from '../upkeep/mend.js'
import { problem } from '../upkeep/problems.js'
import { repairObjects } from '../upkeep/repair.js'
import { storeSources } from '../upkeep/sources.js'

/** What is done for a store's files before a program gets them. */
export interface Care {
  readonly soundness: Soundness
  /** Puts a sound file into the place of one that is damaged or gone. False where none is to be had. Under the store's shared lock. */
  mend(file: PackedRegular): boolean
}

/** What is damaged is mended from what is at hand, as `appc repair` does: without searching for more than this one file. */
export function usualCare(store: Store): Care {
  return { soundness: byHash(store), mend: file => mendFile(store, file) }
}

function mendFile(store: Store, { path, sha256, size, mode }: PackedRegular): boolean {
  const key = objectKey(sha256, isExecutable(mode))
  const object = pathOf(store, key)
  const because = 'it was not sound when it was to be run'
  const outcome = hashPath(object)
  if ('digest' in outcome && outcome.digest === sha256)
    return mendInPlace(store, new Evidence(store), problem('mode', object, because, { object: key })) !== null
  // A file where its directory was: nothing can be put there before a repair.
  if ('errorCode' in outcome && outcome.errorCode === 'ENOTDIR') return false
  const found = problem('bytes', object, because, { object: key })
  const { near, bySize } = storeSources(store, [found])
  const sources = [...near, onHost(), ...bySize]
  return repairObjects(store, [{ problem: found, key, size, paths: [path] }], sources).mended.length > 0
}
