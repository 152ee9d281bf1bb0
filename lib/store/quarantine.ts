import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Store, withLinks } from './store.js'

/** What was taken out of the store by the collector, or by a repair as evidence. */
export type Kind = 'collected' | 'damaged'

/** `KIND-MILLISECONDS-RANDOM`: since when it lies there is told by its name, which no copy or touch changes. */
const NAME = /^(collected|damaged)-([0-9]{1,15})-[0-9a-f]{8}$/

/** A new directory for what one run takes out. It comes to be with the first file. */
export function newQuarantine(store: Pick<Store, 'home'>, kind: Kind, now: number): string {
  return join(store.home, 'quarantine', `${kind}-${now}-${crypto.randomUUID().slice(0, 8)}`)
}

/** Moves what lies at `path`, below the store's home, to the same place below the quarantine's directory. */
export function moveAside(store: Pick<Store, 'home'>, quarantine: string, path: string): void {
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

/** Removes it for good; returns the bytes of files that had no other name. */
export function removeQuarantined(store: Store, { directory }: Quarantined): number {
  const bytes = bytesBelow(directory)
  withLinks(store, () => rmSync(directory, { recursive: true }))
  return bytes
}

export function bytesBelow(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return entries.reduce((sum, name) => {
    const stat = lstatSync(join(directory, name))
    return sum + (stat.isFile() && stat.nlink === 1 ? stat.size : 0)
  }, 0)
}
