import { join } from 'node:path'
import type { Store } from '../store/store.js'
import { type CheckedFile, readChecked, writeChecked } from '../upkeep/checked-file.js'
import type { ObjectKey } from '../upkeep/identities.js'
import type { NeededFile } from '../upkeep/problems.js'

/** The two files in cache/, and what each begins with. */
const [KEYS, FILES] = ['needed', 'needed-files']
const MAGICS: Readonly<Record<string, number>> = { [KEYS]: 0x3264656e, [FILES]: 0x3166656e }
const MAX_BYTES = 1 << 28

/**
 * What the manifests need, from one run to the next: of one digest it is the same for ever, and decoding the manifests of twenty
 * containers takes seconds. In cache/needed are the objects, which every check asks for; in cache/needed-files is besides what each is
 * in the container, which is asked for when something is damaged, and then somebody waits.
 */
export class NeededMemory {
  readonly #store: Store
  readonly #keys: Lines
  #files: Lines | null = null

  constructor(store: Store) {
    this.#store = store
    this.#keys = new Lines(store, KEYS)
  }

  /** A function: of many thousand keys it takes a while to take the line apart. */
  keysOf(manifest: string): (() => readonly ObjectKey[]) | null {
    const line = this.#keys.get(manifest)
    return line === null ? null : () => line.split(' ')
  }

  filesOf(manifest: string): readonly NeededFile[] | null {
    const line = this.#readFiles().get(manifest)
    return line === null ? null : JSON.parse(line)
  }

  set(manifest: string, files: readonly NeededFile[]): void {
    this.#keys.set(manifest, [...new Set(files.map(({ key }) => key))].join(' '))
    this.#readFiles().set(manifest, JSON.stringify(files))
  }

  #readFiles(): Lines {
    this.#files ??= new Lines(this.#store, FILES)
    return this.#files
  }

  /** What was not asked for in a run that asks for all is needed by nobody any more. */
  forgetUnused(): void {
    const { used } = this.#keys
    this.#keys.keepOnly(used)
    this.#files?.keepOnly(used)
  }

  save(): void {
    this.#keys.save()
    this.#files?.save()
  }
}

/** A line of text for each manifest, behind its digest. Derived, and checked: damaged or absent, nothing is known. */
class Lines {
  readonly #store: Store
  readonly #file: CheckedFile
  readonly #lines: Map<string, string>
  /** What was asked for or is new. */
  readonly used = new Set<string>()
  #changed = false

  constructor(store: Store, name: string) {
    this.#store = store
    this.#file = { path: join(store.home, 'cache', name), magic: MAGICS[name] as number, maxBytes: MAX_BYTES }
    const body = readChecked(this.#file, store.system)?.toString() ?? ''
    this.#lines = new Map(body === '' ? [] : body.split('\n').map(line => [line.slice(0, 64), line]))
  }

  get(manifest: string): string | null {
    const line = this.#lines.get(manifest)
    if (line === undefined) return null
    this.used.add(manifest)
    return line.slice(65)
  }

  set(manifest: string, text: string): void {
    this.#lines.set(manifest, `${manifest} ${text}`)
    this.used.add(manifest)
    this.#changed = true
  }

  keepOnly(manifests: ReadonlySet<string>): void {
    for (const digest of this.#lines.keys()) {
      if (manifests.has(digest)) continue
      this.#lines.delete(digest)
      this.#changed = true
    }
  }

  save(): void {
    if (!this.#changed) return
    writeChecked(this.#file, Buffer.from([...this.#lines.values()].join('\n')), this.#store.system)
    this.#changed = false
  }
}
