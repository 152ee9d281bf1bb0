import { lstatSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Store, withLinks } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { listViews, type ViewAt } from './views.js'

/** What was taken out of the store by the collector, or by a repair as evidence. */
export type Kind = 'collected' | 'damaged'

/** `KIND-MILLISECONDS-RANDOM`: since when it lies there is told by its name, which no copy or touch changes. */
const NAME = /^(collected|damaged)-([0-9]{1,15})-[0-9a-f]{8}$/

/** A new directory for what one run takes out. It comes to be with the first file. */
export function newQuarantine(store: Pick<Store, 'home'>, kind: Kind, now: number): string {
  return join(store.home, 'quarantine', `${kind}-${now}-${crypto.randomUUID().slice(0, 8)}`)
}

/** Moves what lies at `path`, below the store's home, to the same place below the quarantine's directory. It need not be there. */
export function moveAside(store: Pick<Store, 'home'>, quarantine: string, path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return
  const destination = join(quarantine, path.slice(store.home.length + 1))
  mkdirSync(dirname(destination), { recursive: true, mode: 0o700 })
  renameSync(path, destination)
}

export interface Quarantined {
  readonly directory: string
  readonly kind: Kind
  /** Milliseconds since 1970. */
  readonly since: number
}

export function listQuarantine(store: Pick<Store, 'home'>): readonly Quarantined[] {
  const directory = join(store.home, 'quarantine')
  return readdirSync(directory).flatMap(name => {
    const [, kind, since] = NAME.exec(name) ?? []
    return kind === undefined ? [] : [{ directory: join(directory, name), kind: kind as Kind, since: Number(since) }]
  })
}

/** Views that were taken out with it. */
export function viewsIn({ directory }: Quarantined): readonly ViewAt[] {
  return listViews(join(directory, 'views'))
}

/** Removes it for good, but for these views in it. */
export function removeQuarantined(store: Store, quarantined: Quarantined, kept: readonly ViewAt[]): void {
  const { directory } = quarantined
  withLinks(store, () => {
    if (kept.length === 0) return rmSync(directory, { recursive: true, force: true })
    const stays = new Set(kept.map(({ directory }) => directory))
    for (const { directory } of viewsIn(quarantined)) {
      if (!stays.has(directory)) rmSync(directory, { recursive: true, force: true })
      removeIfEmpty(dirname(directory))
    }
    for (const name of readdirSync(directory))
      if (name !== 'views') rmSync(join(directory, name), { recursive: true, force: true })
  })
}

export function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch (error) {
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR')) throw error
  }
}
