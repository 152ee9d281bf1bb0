import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Host } from '../decide/types.js'
import { AppcError } from '../errors.js'
import { invalidInventory } from '../host/described.js'
import { readOperatingSystem } from '../host/os.js'
import { unreadable } from '../loader/unreadable.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { MAX_HOST_BYTES } from './host-schema.js'
import { knownHost, parseDescribedHost } from './known-host.js'
import { hostFor } from './machine.js'
import { factsOf } from './remembered-facts.js'

/** A host other than the one that is planned for by itself. */
export interface OtherHost {
  readonly host: Host
  /** Of the system; null where it does not say what it is. */
  readonly os: string | null
}

/** The host of an inventory file, with its digest. Throws FILE_MISSING, FILE_UNREADABLE, INVENTORY_INVALID. */
export function hostOfFile(path: string): OtherHost & { readonly digest: string } {
  const described = parseDescribedHost(readBounded(path))
  const host = knownHost(described)
  return { host, os: systemOf(host), digest: described.digest }
}

/**
 * The host that a word names: an inventory file, or the directory of a tree (`/` for this machine). To be comparable, each is seen as by a
 * program that is started in the root directory without variables for the loader.
 */
export function hostNamed(store: Store, word: string): OtherHost {
  if (statSync(word, { throwIfNoEntry: false })?.isDirectory() !== true) return hostOfFile(word)
  const host = hostFor(store, resolve(word), {}, factsOf(store))
  return { host: { ...host, context: { ...host.context, workingDirectory: '/' } }, os: systemOf(host) }
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
    if (!hasCode(error, 'ENOENT')) throw unreadable(path, error)
    throw new AppcError('FILE_MISSING', `${path} does not exist`, {
      hint: 'name a file that appc inventory --complete has made',
    })
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
    throw error instanceof AppcError ? error : unreadable(path, error)
  } finally {
    closeSync(descriptor)
  }
}
