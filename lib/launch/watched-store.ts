import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import type { Store } from '../store/store.js'
import { commandOf } from '../upkeep/holders.js'
import { type ObjectKey, pathOf } from '../upkeep/identities.js'
import { isObjectKey, listObjects } from '../upkeep/object-list.js'
import { readable } from '../upkeep/sources.js'
import { ATTRIBUTES, BYTES, NAMES } from './addon.js'
import { type Noticed, Watcher } from './watcher.js'

/** Whose doing a change was. */
export interface Culprit {
  readonly pid: number
  /** null where it had ended by the time that the change was told. */
  readonly command: string | null
}

/** What may be damaged, as far as it was noticed. */
export interface Suspicion {
  /** Objects that were written to, or came. */
  readonly written: ReadonlySet<ObjectKey>
  /** Objects of which only mode, owner or number of names are others. */
  readonly touched: ReadonlySet<ObjectKey>
  /** Something else than an object. */
  readonly others: boolean
  /** It cannot be told what. */
  readonly everything: boolean
  /** Who did it, by what was changed. */
  readonly culprits: ReadonlyMap<string, readonly Culprit[]>
  /** When the first of it was noticed, by performance.now(); null of nothing. */
  readonly since: number | null
}

/** What of a store is watched, besides objects: these and all below, and what lies in the store's own directory. */
const TREES = ['refs', 'spare', 'secrets', 'views']
/** Of what lies there, what is written to at any time: only what takes its name counts. */
const RESTLESS = ['cache', 'lock', 'links', 'planning']

/** A store whose files are watched. */
export class WatchedStore {
  readonly #store: Store
  readonly #watcher: Watcher
  readonly #home: bigint
  #suspicion = new Gathered()
  #error: unknown = null

  private constructor(store: Store, watcher: Watcher) {
    this.#store = store
    this.#watcher = watcher
    this.#home = inodeOf(store.home) ?? 0n
  }

  /** `changed` is called whenever there is something to suspect. */
  static open(store: Store, changed: () => void): WatchedStore {
    const watcher = Watcher.open(store.home, () => {
      watched.#take()
      if (watched.#error !== null || !watched.#suspicion.isEmpty) changed()
    })
    const watched = new WatchedStore(store, watcher)
    return watched
  }

  get method(): Watcher['method'] {
    return this.#watcher.method
  }

  close(): void {
    this.#watcher.close()
  }

  /** Directories before what lies in them: what comes meanwhile is noticed. Returns how many objects and directories there are. */
  watchAll(): { readonly objects: number; readonly directories: number } {
    const { home } = this.#store
    this.#watcher.watchDirectories([home, join(home, 'objects')])
    const fanOuts = namesIn(join(home, 'objects')).map(name => join(home, 'objects', name))
    this.#watcher.watchDirectories(fanOuts)
    const objects = listObjects(this.#store).keys.map(key => pathOf(this.#store, key))
    this.#watcher.watchFiles(objects)
    const others = TREES.map(name => this.#watchTree(join(home, name)))
    const directories = 2 + fanOuts.length + others.reduce((sum, count) => sum + count, 0)
    return { objects: objects.length, directories }
  }

  /** Also for what is no directory. Returns how many there are. */
  #watchTree(directory: string): number {
    this.#watcher.watchDirectories([directory])
    const entries = readable(() => readdirSync(directory, { withFileTypes: true })) ?? []
    const below = entries.filter(entry => entry.isDirectory()).map(({ name }) => join(directory, name))
    return 1 + below.reduce((sum, path) => sum + this.#watchTree(path), 0)
  }

  /** What was noticed since it was asked for last. Throws STORE_GONE, and what has kept it from being noticed. */
  suspicion(): Suspicion {
    if (this.#error !== null) throw this.#error
    this.requireThere()
    const suspicion = this.#suspicion
    this.#suspicion = new Gathered()
    return suspicion
  }

  /** Of what was noticed since: what is damaged while it is looked at may be found before it is told of. */
  latestCulprits(): Suspicion['culprits'] {
    this.#take()
    return this.#suspicion.culprits
  }

  /** Throws STORE_GONE. */
  requireThere(): void {
    const { home } = this.#store
    if (inodeOf(home) === this.#home && inodeOf(join(home, 'version')) !== null) return
    throw new AppcError('STORE_GONE', `the store at ${home} is no longer there`, {
      because: 'it was removed or moved while it was watched',
      hint: 'start appc watch again with the store where it is now (APPC_HOME)',
    })
  }

  /** At once: whoever did it may soon be gone. */
  #take(): void {
    try {
      const { noticed, lost } = this.#watcher.take()
      if (lost) this.#suspicion.everything = true
      for (const each of noticed) this.#classify(each)
    } catch (error) {
      this.#error = error
    }
  }

  #classify(noticed: Noticed): void {
    const [top = '', ...below] = noticed.path.slice(this.#store.home.length + 1).split('/')
    if (RESTLESS.includes(top) && (noticed.kinds & NAMES) === 0) return
    if (top === 'objects') this.#watchNew(noticed, below)
    else if (TREES.includes(top) && (noticed.kinds & ~ATTRIBUTES) !== 0) this.#watchTree(noticed.path)
    // What this process does here is a repair.
    if (noticed.process === process.pid) return
    this.#suspicion.since ??= performance.now()
    if (top === 'objects') this.#suspect(noticed, below)
    else this.#suspicion.others = true
    this.#suspicion.note(noticed)
  }

  /** What has this name now may be another file than was watched. */
  #watchNew({ path, kinds }: Noticed, { length }: readonly string[]): void {
    if ((kinds & ~ATTRIBUTES) === 0 || length === 0) return
    if (length > 1) this.#watcher.watchFiles([path])
    else {
      this.#watcher.watchDirectories([path])
      this.#watcher.watchFiles(namesIn(path).map(name => join(path, name)))
    }
  }

  #suspect({ path, kinds }: Noticed, below: readonly string[]): void {
    const suspicion = this.#suspicion
    if (below.length === 2) this.#suspectObject(below.join(''), kinds)
    // A directory that has just come may have objects already; with one that is gone they are.
    else if (below.length === 1 && isThere(path)) {
      for (const name of namesIn(path)) this.#suspectObject(`${below[0]}${name}`, BYTES)
      suspicion.others = true
    } else suspicion.everything = true
  }

  #suspectObject(key: string, kinds: number): void {
    if (!isObjectKey(key)) this.#suspicion.everything = true
    else if (kinds === ATTRIBUTES) this.#suspicion.touched.add(key)
    else this.#suspicion.written.add(key)
  }
}

class Gathered implements Suspicion {
  readonly written = new Set<ObjectKey>()
  readonly touched = new Set<ObjectKey>()
  readonly culprits = new Map<string, Culprit[]>()
  since: number | null = null
  others = false
  everything = false

  get isEmpty(): boolean {
    return this.written.size === 0 && this.touched.size === 0 && !this.others && !this.everything
  }

  note({ path, process }: Noticed): void {
    if (process === null) return
    const known = this.culprits.get(path) ?? []
    if (known.some(({ pid }) => pid === process)) return
    this.culprits.set(path, [...known, this.#commands.get(process) ?? this.#look(process)])
  }

  readonly #commands = new Map<number, Culprit>()

  #look(pid: number): Culprit {
    const culprit = { pid, command: commandOf(String(pid)) || null }
    this.#commands.set(pid, culprit)
    return culprit
  }
}

function isThere(path: string): boolean {
  return inodeOf(path) !== null
}

function inodeOf(path: string): bigint | null {
  return readable(() => lstatSync(path, { bigint: true }).ino)
}

function namesIn(directory: string): readonly string[] {
  return readable(() => readdirSync(directory)) ?? []
}
