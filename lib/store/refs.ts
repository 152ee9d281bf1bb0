import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { unreadable } from '../loader/unreadable.js'
import type { Store } from './store.js'
import { hasCode } from './writing.js'

const NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/

export function isName(text: string): boolean {
  return NAME.test(text)
}

/** Throws NAME_INVALID for what cannot name a container: names are file names and stand before a slash on command lines. */
export function checkName(name: string): void {
  if (isName(name)) return
  throw new AppcError('NAME_INVALID', `${JSON.stringify(name)} cannot name a container`, {
    because: 'a name is 1 to 128 of a-z, 0-9, dot, underscore and hyphen, and begins with a letter or digit',
    hint: `for example ${JSON.stringify(suggestion(name))}`,
  })
}

/** The file that says which generations a container has; lib/store/generations.ts reads and writes it. */
export function refPath(store: Pick<Store, 'home'>, name: string): string {
  checkName(name)
  return join(store.home, 'refs', name)
}

/** The second copy of it. */
export function sparePath(store: Pick<Store, 'home'>, name: string): string {
  checkName(name)
  return join(store.home, 'spare', name)
}

/** Names of all containers, sorted, those too of which only the second copy is left. A store that was never made has none. */
export function listRefs(store: Pick<Store, 'home'>): readonly string[] {
  return [...new Set([...namesIn(join(store.home, 'refs')), ...listSpares(store)])].sort()
}

/** Names that have a second copy: of one without a ref the ref was lost. */
export function listSpares(store: Pick<Store, 'home'>): readonly string[] {
  return namesIn(join(store.home, 'spare'))
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter(isName).sort()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw unreadable(directory, error)
  }
}

/** Whether there is a container of that name, sound or not. */
export function hasRef(store: Pick<Store, 'home'>, name: string): boolean {
  return [refPath(store, name), sparePath(store, name)].some(
    path => lstatSync(path, { throwIfNoEntry: false }) !== undefined,
  )
}

export function unknownContainer(stores: readonly Store[], name: string): AppcError {
  const names = [...new Set(stores.flatMap(listRefs))].sort()
  const homes = stores.map(({ home }) => `the store at ${home}`)
  return new AppcError('CONTAINER_UNKNOWN', `there is no container ${name}`, {
    because: homes.length === 1 ? `${homes[0]} has no such name` : `${homes.join(' and ')} have no such name`,
    hint: names.length === 0 ? 'appc pack makes one' : `there are: ${names.slice(0, 10).join(', ')}`,
  })
}

function suggestion(name: string): string {
  const cleaned = name
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .replace(/[^a-z0-9]+$/, '')
    .slice(0, 128)
  return cleaned === '' ? 'my-app' : cleaned
}

/** Of a name that was listed: its container has been removed since. */
export function isUnknownContainer(error: unknown): boolean {
  return error instanceof AppcError && error.code === 'CONTAINER_UNKNOWN'
}
