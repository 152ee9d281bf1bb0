import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Host } from '../decide/types.js'
import { AppcError, type ErrorCode } from '../errors.js'
import { invalidInventory } from '../host/described.js'
import { readOperatingSystem } from '../host/os.js'
import type { FactsMemory } from '../loader/facts-cache.js'
import { unreadable } from '../loader/unreadable.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { MAX_HOST_BYTES } from './host-schema.js'
import { knownHost, parseDescribedHost } from './known-host.js'
import { hostFor } from './machine.js'

/** A host other than the one that is planned for by itself. */
export interface OtherHost {
  readonly host: Host
  /** Of the system; null where it does not say what it is. */
  readonly os: string | null
  /** Does something with the host: what it seems to lack then, an inventory file lacks. Throws INVENTORY_INVALID for one. */
  within<T>(work: () => T): T
}

/** The host of an inventory file, with its digest. Throws INVENTORY_INVALID. */
export function hostOfFile(path: string): OtherHost & { readonly digest: string } {
  const described = parseDescribedHost(readBounded(path))
  const within = <T>(work: () => T): T => withinInventory(path, work)
  return within(() => {
    const host = knownHost(described)
    return { host, os: systemOf(host), digest: described.digest, within }
  })
}

/** What is said of a host's files, which for an inventory file is said of that file. */
const OF_A_HOST: ReadonlySet<ErrorCode> = new Set([
  'ELF_NOT',
  'ELF_MALFORMED',
  'ELF_FOREIGN',
  'LOADER_UNKNOWN',
  'CACHE_MALFORMED',
  'FILE_MISSING',
  'FILE_UNREADABLE',
  'PACKAGE_DATABASE',
])

function withinInventory<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof AppcError) || !OF_A_HOST.has(error.code)) throw error
    throw invalidInventory(`${path} does not hold together: ${error.message}`, error)
  }
}

/**
 * The host that a word names: an inventory file, or the directory of a tree (`/` for this machine). To be comparable, each is seen as by a
 * program that is started in the root directory without variables for the loader; and as the containers of the store.
 */
export function hostNamed(store: Store, facts: FactsMemory, word: string): OtherHost {
  if (statSync(word, { throwIfNoEntry: false })?.isDirectory() !== true) return hostOfFile(word)
  const host = hostFor(store, resolve(word), {}, facts)
  const context = { ...host.context, workingDirectory: '/' }
  return { host: { ...host, context }, os: systemOf(host), within: work => work() }
}

function systemOf({ fs }: Host): string | null {
  return readOperatingSystem(fs)?.name ?? null
}

const CHUNK = 1 << 20

/** It need not be a file: `<(ssh HOST appc inventory --complete)` is a pipe. */
function readBounded(path: string): string {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
    throw invalidInventory(hasCode(error, 'ENOENT') ? `${path} does not exist` : unreadable(path, error).message, error)
  }
  try {
    const chunks: Buffer[] = []
    for (let length = 0; ; ) {
      const chunk = Buffer.allocUnsafe(CHUNK)
      const count = readSync(descriptor, chunk)
      if (count === 0) return Buffer.concat(chunks).toString()
      chunks.push(chunk.subarray(0, count))
      length += count
      if (length > MAX_HOST_BYTES) throw invalidInventory(`${path} has more than ${MAX_HOST_BYTES} bytes`)
    }
  } catch (error) {
    throw error instanceof AppcError ? error : invalidInventory(unreadable(path, error).message, error)
  } finally {
    closeSync(descriptor)
  }
}
