import { join } from 'node:path'
import { type CheckedFile, readChecked, writeChecked } from '../store/checked-file.js'
import type { ObjectKey } from '../store/identities.js'
import type { Store } from '../store/store.js'

/** What a document of this digest says of the objects that its container needs: the same for ever. */
export interface Needed {
  /** The container's name that it says. */
  readonly name: string
  readonly keys: readonly ObjectKey[]
}

const MAGIC = 0x3164656e
const MAX_BYTES = 1 << 28

/**
 * What manifests need, from one run to the next, in cache/needed: decoding those of twenty containers takes a second. A line for each:
 * digest, name, keys, with spaces between. Derived, and checked: damaged or absent, nothing is known.
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

  get(digest: string): Needed | null {
    const line = this.#lines.get(digest)
    if (line === undefined) return null
    this.#used.add(digest)
    const [, name = '', ...keys] = line.split(' ')
    return { name, keys }
  }

  set(digest: string, { name, keys }: Needed): void {
    this.#lines.set(digest, [digest, name, ...keys].join(' '))
    this.#used.add(digest)
    this.#changed = true
  }

  /** What was not asked for since is not needed any more by anybody, if all were. */
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
