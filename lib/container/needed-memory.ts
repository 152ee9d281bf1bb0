import { join } from 'node:path'
import type { Store } from '../store/store.js'
import { type CheckedFile, readChecked, writeChecked } from '../upkeep/checked-file.js'
import type { ObjectKey } from '../upkeep/identities.js'

const MAGIC = 0x3264656e
const MAX_BYTES = 1 << 28

/**
 * Which objects the manifests need, from one run to the next, in cache/needed: of one digest they are the same for ever, and decoding the
 * manifests of twenty containers takes a second. A line for each: digest and keys, with spaces between. Derived, and checked: damaged or
 * absent, nothing is known.
 */
export class NeededMemory {
  readonly #store: Store
  readonly #lines: Map<string, string>
  readonly #used = new Set<string>()
  #changed = false

  constructor(store: Store) {
    this.#store = store
    const body = readChecked(fileOf(store), store.system)?.toString('latin1') ?? ''
    this.#lines = new Map(body === '' ? [] : body.split('\n').map(line => [line.slice(0, 64), line]))
  }

  /** A function: of many thousand keys it takes a while to take the line apart. */
  get(manifest: string): (() => readonly ObjectKey[]) | null {
    const line = this.#lines.get(manifest)
    if (line === undefined) return null
    this.#used.add(manifest)
    return () => line.split(' ').slice(1)
  }

  set(manifest: string, keys: readonly ObjectKey[]): void {
    this.#lines.set(manifest, [manifest, ...keys].join(' '))
    this.#used.add(manifest)
    this.#changed = true
  }

  /** What was not asked for in a run that asks for all is needed by nobody any more. */
  forgetUnused(): void {
    for (const digest of this.#lines.keys()) {
      if (this.#used.has(digest)) continue
      this.#lines.delete(digest)
      this.#changed = true
    }
  }

  save(): void {
    if (!this.#changed) return
    writeChecked(fileOf(this.#store), Buffer.from([...this.#lines.values()].join('\n'), 'latin1'), this.#store.system)
    this.#changed = false
  }
}

function fileOf(store: Store): CheckedFile {
  return { path: join(store.home, 'cache', 'needed'), magic: MAGIC, maxBytes: MAX_BYTES }
}
