import { readdirSync, readlinkSync, statfsSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseMounts } from '../store/mount-table.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { directoriesIn, type UsedViews, type ViewAt } from '../upkeep/views.js'
import { look, namespaceOf, readIds, readMounts, readProcess, type Thread } from './processes.js'
import { parseSignature, storeInSignature } from './signature.js'

/**
 * Which of these views are in use. Programs have them in their mount table, by names that nobody can make up who may not mount. A launch
 * that is not so far yet has opened a view's layers, and closes them only when they are mounted: so of each process first what it has
 * open is looked at, and then its mounts. Of the caller's processes alone it can be told, and by root of all.
 */
export function findUsed(store: Store, views: readonly ViewAt[]): UsedViews {
  if (views.length === 0) return { used: [], unseen: [] }
  const search = new Search(storeInSignature(store), layersOf(views))
  const missed = forEachProcess(pid => search.lookAt(pid))
  const { names, opened, hidden } = search.found()
  const unseen = [...missed, ...hidden]
  const used = views.filter(view => names.has(basename(view.view)) || opened.has(view))
  return { used: unseen.length > 0 ? views : used, unseen }
}

/** By device and inode of each layer. */
function layersOf(views: readonly ViewAt[]): ReadonlyMap<string, ViewAt> {
  const layers = views.flatMap(view =>
    directoriesIn(view.directory).map(name => [identityOf(join(view.directory, name)), view] as const),
  )
  return new Map(layers.flatMap(([identity, view]) => (identity === null ? [] : [[identity, view]])))
}

function identityOf(path: string): string | null {
  return look(() => {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  })
}

/** Where processes come and go all the time each round finds new ones, but fewer than the one before. */
const ROUNDS = 100

/**
 * Calls `lookAt` for each process. One that ended before it was looked at may have started another after the list was made: so, while that
 * happens, those that are new are looked at too. Returns the last ones that were missed, if it never ceased.
 */
function forEachProcess(lookAt: (pid: number) => boolean): readonly number[] {
  const known = new Set<string>()
  let missed: readonly number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const found = numbersIn('/proc').filter(pid => !known.has(pid))
    for (const pid of found) known.add(pid)
    missed = found.map(Number).filter(pid => !lookAt(pid))
    if (missed.length === 0) break
  }
  return missed
}

function numbersIn(directory: string): readonly string[] {
  return readdirSync(directory).filter(name => /^[0-9]+$/.test(name))
}

/** Longer tables are not looked at: those of containers are short, but others can make theirs as long as they like. */
const MOUNTINFO_BYTES = 64 << 20

class Search {
  readonly #store: string
  readonly #layers: ReadonlyMap<string, ViewAt>
  /** Names of the views that are asked for. */
  readonly #wanted: ReadonlySet<string>
  readonly #names = new Set<string>()
  readonly #opened = new Set<ViewAt>()
  /** Mount namespaces of which all is known. */
  readonly #namespaces = new Set<string>()
  /** Those of which some is hidden, with who is there. */
  readonly #hidden: { readonly namespace: string; readonly thread: Thread; readonly pid: number }[] = []
  readonly #unreadable = new Set<number>()

  constructor(store: string, layers: ReadonlyMap<string, ViewAt>) {
    this.#store = store
    this.#layers = layers
    this.#wanted = new Set([...layers.values()].map(({ view }) => basename(view)))
  }

  /** False for one that is no more. */
  lookAt(pid: number): boolean {
    const threads = look(() => numbersIn(`/proc/${pid}/task`))
    if (threads === null) return false
    for (const name of look(() => numbersIn(`/proc/${pid}/fd`)) ?? []) this.#lookAtOpen(`/proc/${pid}/fd/${name}`)
    return threads.map(thread => this.#lookAtMounts(pid, `${pid}/task/${Number(thread)}`)).every(wasThere => wasThere)
  }

  /** Only what is called as a layer is gone to: what others have open may be on a server that answers no more, or a terminal that is gone. */
  #lookAtOpen(descriptor: string): void {
    const view =
      look(() => readlinkSync(descriptor))
        ?.split('/')
        .at(-2) ?? ''
    if (!this.#wanted.has(view)) return
    const opened = this.#layers.get(identityOf(descriptor) ?? '')
    if (opened !== undefined) this.#opened.add(opened)
  }

  #lookAtMounts(pid: number, thread: Thread): boolean {
    const namespace = namespaceOf(thread, 'mnt')
    if (namespace !== null && this.#namespaces.has(namespace)) return true
    const table = tableOf(thread)
    if (table === 'gone') return false
    if (table === 'closed') {
      if (isMine(pid)) this.#unreadable.add(pid)
      return true
    }
    const mounts = parseMounts(table)
    for (const { ours, source } of mounts) {
      const signature = ours === false ? null : parseSignature(source)
      if (signature?.store === this.#store) this.#names.add(signature.view)
    }
    // What lies outside of a process's root directory is left out of it (proc(5)). That is the namespace's own unless chroot(2) changed it.
    const root = look(() => readlinkSync(`/proc/${thread}/root`))
    const isWhole = root === null ? mounts.some(({ point }) => point === '/') : root === '/'
    if (namespace !== null && isWhole) this.#namespaces.add(namespace)
    else if (!isWhole && isMine(pid)) this.#hidden.push({ namespace: namespace ?? thread, thread, pid })
    return true
  }

  found() {
    const alone = this.#hidden.filter(({ namespace }) => !this.#namespaces.has(namespace))
    const shut = alone.flatMap(({ thread, pid }) => (mayReachView(thread, pid) ? [pid] : []))
    return { names: this.#names, opened: this.#opened, hidden: [...new Set([...this.#unreadable, ...shut])] }
  }
}

function tableOf(thread: Thread): string | 'gone' | 'closed' {
  try {
    return readMounts(thread, MOUNTINFO_BYTES) ?? 'closed'
  } catch (error) {
    // One that is about to end has no namespaces any more: EINVAL.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EINVAL')) return 'gone'
    if (hasCode(error, 'EACCES', 'EPERM')) return 'closed'
    throw error
  }
}

function isMine(pid: number): boolean {
  const uid = process.geteuid?.() ?? 0
  return uid === 0 || readIds(pid)?.uids.includes(uid) === true
}

/** What a view is seen through: an overlay, or the tmpfs of a skeleton (statfs(2)). */
const MAGICS = [0x794c7630, 0x01021994]

/** Whether one that was shut into a directory where nobody else is could find there, or from what it has open, the files of a view. */
function mayReachView(thread: Thread, pid: number): boolean {
  const open = look(() => numbersIn(`/proc/${thread}/fd`))
  if (open === null) return readProcess(pid) !== null
  return ['root', 'cwd', ...open.map(name => `fd/${name}`)].some(name => mayLeadToView(`/proc/${thread}/${name}`))
}

function mayLeadToView(place: string): boolean {
  try {
    return statSync(place).isDirectory() && MAGICS.includes(Number(statfsSync(place).type))
  } catch (error) {
    // It was closed meanwhile; of what cannot be looked at nothing is known.
    return !hasCode(error, 'ENOENT', 'ESRCH')
  }
}
