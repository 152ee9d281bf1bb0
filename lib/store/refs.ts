import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { unreadable } from '../loader/unreadable.js'
import { isDigest } from './objects.js'
import { readRegular } from './regular.js'
import type { Store } from './store.js'
import { hasCode } from './writing.js'

const NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/

/** Throws NAME_INVALID for what cannot name a container: names are file names and stand before a slash on command lines. */
export function checkName(name: string): void {
  if (NAME.test(name)) return
  throw new AppcError('NAME_INVALID', `${JSON.stringify(name)} cannot name a container`, {
    because: 'a name is 1 to 128 of a-z, 0-9, dot, underscore and hyphen, and begins with a letter or digit',
    hint: `for example ${JSON.stringify(suggestion(name))}`,
  })
}

export function refPath(store: Store, name: string): string {
  checkName(name)
  return join(store.home, 'refs', name)
}

/** Names of all containers, sorted. A store that was never made has none. */
export function listRefs(store: Store): readonly string[] {
  try {
    return readdirSync(join(store.home, 'refs'))
      .filter(name => NAME.test(name))
      .sort()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw unreadable(join(store.home, 'refs'), error)
  }
}

/** Whether there is a container of that name, sound or not. */
export function hasRef(store: Store, name: string): boolean {
  return lstatSync(refPath(store, name), { throwIfNoEntry: false }) !== undefined
}

/** The digest of a container's manifest; null when there is no container of that name. */
export function readRef(store: Store, name: string): string | null {
  const path = refPath(store, name)
  const hint = `remove the container (appc remove ${name}) and pack it again`
  let text: string
  try {
    text = readRegular(path, REF_BYTES, hint).toString('latin1')
  } catch (error) {
    if (error instanceof AppcError) throw error
    if (hasCode(error, 'ENOENT')) return null
    throw unreadable(path, error)
  }
  const digest = text.slice(0, -1)
  if (text.endsWith('\n') && isDigest(digest)) return digest
  throw new AppcError('STORE_CORRUPT', `the store's ref ${path} is damaged`, {
    because: 'it does not hold the digest of a manifest',
    hint,
  })
}

/** The same; null too for a damaged ref, which must not keep its container from being removed. */
export function digestOf(store: Store, name: string): string | null {
  try {
    return readRef(store, name)
  } catch (error) {
    if (error instanceof AppcError && error.code === 'STORE_CORRUPT') return null
    throw error
  }
}

/** A sha256 in hexadecimal and a newline. */
const REF_BYTES = 65

/** The digest of a container's manifest; CONTAINER_UNKNOWN, with the names that there are, when there is none. */
export function requireRef(store: Store, name: string): string {
  const digest = readRef(store, name)
  if (digest !== null) return digest
  throw unknownContainer([store], name)
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
