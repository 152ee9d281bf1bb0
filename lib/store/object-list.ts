import { type Dirent, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { unreadable } from '../loader/unreadable.js'
import type { ObjectKey } from './identities.js'
import type { Store } from './store.js'
import { hasCode } from './writing.js'

/** What lies below objects/. */
export interface ObjectList {
  readonly keys: readonly ObjectKey[]
  /** The same in the same order. */
  readonly paths: readonly string[]
  /** The directories that objects lie in. */
  readonly fanOuts: readonly string[]
  /** What has a name that no object has. */
  readonly strays: readonly string[]
}

const FAN_OUT = /^[0-9a-f]{2}$/
const REST = /^[0-9a-f]{62}(\.x)?$/

/** A directory that cannot be read has nothing: what is needed of it is missing, and what it lacks itself is told by others. */
export function listObjects(store: Store): ObjectList {
  const directory = join(store.home, 'objects')
  const [keys, paths, fanOuts, strays]: [string[], string[], string[], string[]] = [[], [], [], []]
  for (const entry of entriesOf(directory)) {
    const path = `${directory}/${entry.name}`
    if (!FAN_OUT.test(entry.name)) {
      strays.push(path)
      continue
    }
    fanOuts.push(path)
    if (!entry.isDirectory()) continue
    for (const rest of namesIn(path)) {
      if (!REST.test(rest)) strays.push(`${path}/${rest}`)
      else {
        keys.push(entry.name + rest)
        paths.push(`${path}/${rest}`)
      }
    }
  }
  return { keys, paths, fanOuts, strays }
}

function entriesOf(directory: string): readonly Dirent[] {
  return readable(directory, () => readdirSync(directory, { withFileTypes: true }))
}

/** Without their types: what looks like an object is looked at in any case. */
function namesIn(directory: string): readonly string[] {
  return readable(directory, () => readdirSync(directory))
}

function readable<T>(directory: string, read: () => readonly T[]): readonly T[] {
  try {
    return read()
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EIO', 'ELOOP')) return []
    throw unreadable(directory, error)
  }
}
