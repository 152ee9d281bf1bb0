import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { unreadable } from '../loader/unreadable.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import type { ObjectKey } from './identities.js'
import { Looks } from './looks.js'

/** What lies below objects/, as it was read. */
export interface Listing {
  readonly directory: string
  /** Names in it, sorted. */
  readonly names: readonly string[]
  /** Those that objects lie in, as paths. */
  readonly fanOuts: readonly string[]
  /** Of these: how many entries, or a negative errno; all names; what each is. */
  readonly counts: Int32Array
  readonly entries: string
  readonly stats: BigUint64Array
}

export interface ObjectList {
  readonly keys: readonly ObjectKey[]
  /** What each is, in the same order. */
  readonly looks: Looks
  /** Where in `looks`. */
  readonly places: readonly number[]
  /** The directories that objects lie in. */
  readonly fanOuts: readonly string[]
  /** What has a name that no object has. */
  readonly strays: readonly string[]
}

const FAN_OUT = /^[0-9a-f]{2}$/
const REST = /^[0-9a-f]{62}(\.x)?$/
const DIGITS = 62

export function isObjectKey(text: string): boolean {
  return FAN_OUT.test(text.slice(0, 2)) && REST.test(text.slice(2))
}

/** A directory that cannot be read has nothing: what is needed of it is missing, and what it lacks itself is told by others. */
export function readListing(store: Store): Listing {
  const directory = join(store.home, 'objects')
  const all = [...namesIn(directory)].sort()
  const fanOuts = all.filter(name => FAN_OUT.test(name)).map(name => `${directory}/${name}`)
  const { counts, names, stats } = store.system.listMany(fanOuts)
  return { directory, names: all, fanOuts, counts, entries: names, stats }
}

export function listObjects(store: Store): ObjectList {
  return decodeListing(readListing(store))
}

export function decodeListing({ directory, names, fanOuts, counts, entries, stats }: Listing): ObjectList {
  const strays = names.filter(name => !FAN_OUT.test(name)).map(name => `${directory}/${name}`)
  const rests = entries.split('/')
  const isRest = nameTest(entries)
  const [keys, places]: [string[], number[]] = [[], []]
  let place = 0
  for (const [index, fanOut] of fanOuts.entries()) {
    for (const end = place + Math.max(counts[index] as number, 0); place < end; place++) {
      const rest = rests[place] as string
      if (isRest(rest)) {
        keys.push(fanOut.slice(-2) + rest)
        places.push(place)
      } else strays.push(`${fanOut}/${rest}`)
    }
  }
  return { keys, places, looks: new Looks(stats), fanOuts, strays }
}

/**
 * Matching each of ten thousand names takes as long as all else that is done for them. Where all are made of what names of objects are
 * made of, which is found at once, it needs only be looked where they have their letters that are no digits.
 */
function nameTest(names: string): (name: string) => boolean {
  if (/[^0-9a-fx./]/.test(names)) return name => REST.test(name)
  return name => {
    const dot = name.length === DIGITS ? -1 : DIGITS
    const isLong = name.length === DIGITS || name.length === DIGITS + 2
    return isLong && name.indexOf('.') === dot && name.indexOf('x') === (dot < 0 ? -1 : dot + 1)
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EIO', 'ELOOP')) return []
    throw unreadable(directory, error)
  }
}
