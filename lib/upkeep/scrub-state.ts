import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { readRegular } from '../store/regular.js'
import type { Store } from '../store/store.js'
import { replaceIfPossible } from '../store/writing.js'

/** A check of everything that has begun and not ended, in cache/scrub: what was read since is known by its identity. */
interface Scrub {
  /** What it is of: a container's name, or null for the whole store. */
  readonly name: string | null
  /** In seconds. */
  readonly began: number
}

const MAX_BYTES = 4096

/** When the one that goes on began; null where none does. */
export function interruptedScrub(store: Store, name: string | null): number | null {
  try {
    const scrub: unknown = JSON.parse(readRegular(pathOf(store), MAX_BYTES, 'remove it').toString())
    if (typeof scrub !== 'object' || scrub === null || !('name' in scrub) || !('began' in scrub)) return null
    return scrub.name === name && typeof scrub.began === 'number' ? scrub.began : null
  } catch {
    // None, or a damaged one: it begins anew.
    return null
  }
}

export function beginScrub(store: Store, scrub: Scrub): void {
  replaceIfPossible(pathOf(store), JSON.stringify(scrub))
}

export function endScrub(store: Store): void {
  try {
    rmSync(pathOf(store), { force: true })
  } catch {
    // A store that one may only read: nothing was begun there.
  }
}

function pathOf(store: Store): string {
  return join(store.home, 'cache', 'scrub')
}
