import { lstatSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { CLOSED, DIRECTORIES, LOCKS, type Store } from './store.js'
import { writing } from './writing.js'

/** Something else lies where the store has a directory, a lock or a file of its own, on which all else rests. */
export interface FrameFault {
  readonly kind: 'directory' | 'type'
  /** In the store. */
  readonly name: string
  readonly path: string
  readonly because: string
  /** null where only a person can know what belongs there. */
  readonly hint: string | null
}

const FILES: readonly string[] = [...LOCKS, 'version', 'policy.json']

/** What is not there at all is no fault: it is made when it is needed. */
export function frameFaults({ home }: Pick<Store, 'home'>): readonly FrameFault[] {
  const faultAt = (name: string, judge: (stat: Stats) => Omit<FrameFault, 'name' | 'path'> | null) => {
    const path = join(home, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    const fault = stat === undefined ? null : judge(stat)
    return fault === null ? [] : [{ name, path, ...fault }]
  }
  return writing(home, () => [
    ...[...DIRECTORIES, ...CLOSED].flatMap(name => faultAt(name, directoryFault)),
    ...FILES.flatMap(name => faultAt(name, fileFault)),
  ])
}

/** What is removed and replaced below such a directory is the store's own. The store itself may lie behind a link. */
function directoryFault(stat: Stats): Omit<FrameFault, 'name' | 'path'> | null {
  if (stat.isDirectory()) return null
  // All that the store holds may lie where it leads to: an empty directory is no mend.
  if (stat.isSymbolicLink()) return { kind: 'directory', because: 'it is a link, and no directory', hint: null }
  return { kind: 'directory', because: 'it is not a directory', hint: 'appc repair' }
}

function fileFault(stat: Stats): Omit<FrameFault, 'name' | 'path'> | null {
  return stat.isFile() ? null : { kind: 'type', because: 'it is not a regular file', hint: 'appc repair' }
}

/** Throws STORE_CORRUPT, with the first of the faults. */
export function requireFrame(store: Pick<Store, 'home'>): void {
  const [fault] = frameFaults(store)
  if (fault === undefined) return
  throw new AppcError('STORE_CORRUPT', `the store's ${fault.path} is damaged`, {
    because: fault.because,
    hint: fault.hint ?? 'put the directory that it leads to in its place',
  })
}
