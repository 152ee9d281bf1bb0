import { lstatSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { CLOSED, DIRECTORIES, LOCKS, type Store } from './store.js'
import { writing } from './writing.js'

/** Something else lies where the store has a directory, a lock or a file of its own, on which all else rests. */
export interface FrameFault {
  readonly kind: 'directory' | 'type' | 'policy'
  /** In the store. */
  readonly name: string
  readonly path: string
  readonly because: string
  /** Else only a person can know what belongs there. */
  readonly isMendable: boolean
  readonly hint: string
}

type Judgement = Omit<FrameFault, 'name' | 'path'>

/** What is not there at all is no fault: it is made when it is needed. */
export function frameFaults({ home }: Pick<Store, 'home'>): readonly FrameFault[] {
  const faultAt = (name: string, judge: (stat: Stats) => Judgement | null) => {
    const path = join(home, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    const fault = stat === undefined ? null : judge(stat)
    return fault === null ? [] : [{ name, path, ...fault }]
  }
  return writing(home, () => [
    ...[...DIRECTORIES, ...CLOSED].flatMap(name => faultAt(name, directoryFault)),
    ...LOCKS.flatMap(name => faultAt(name, lockFault)),
    ...faultAt('version', versionFault),
    ...faultAt('policy.json', policyFault),
  ])
}

/** What is removed and replaced below such a directory is the store's own. The store itself may lie behind a link. */
function directoryFault(stat: Stats): Judgement | null {
  if (stat.isDirectory()) return null
  // All that the store holds may lie where it leads to: an empty directory is no mend.
  if (stat.isSymbolicLink())
    return {
      kind: 'directory',
      because: 'it is a link, and no directory',
      isMendable: false,
      hint: 'put the directory that it leads to in its place',
    }
  return { kind: 'directory', because: 'it is not a directory', ...MENDABLE }
}

const MENDABLE = { isMendable: true, hint: 'appc repair' }
const IRREGULAR = { because: 'it is not a regular file', isMendable: false }

function lockFault(stat: Stats): Judgement | null {
  return stat.isFile() ? null : { kind: 'type', ...IRREGULAR, ...MENDABLE }
}

/** As with one that says nothing sensible, a newer appc may have used the store. */
function versionFault(stat: Stats): Judgement | null {
  if (stat.isFile()) return null
  return { kind: 'type', ...IRREGULAR, hint: 'if no newer appc has used this store, remove it, and appc makes it anew' }
}

/** Decided by people, who are to be asked: without it anything may be run in any way. */
function policyFault(stat: Stats): Judgement | null {
  if (stat.isFile()) return null
  return { kind: 'policy', ...IRREGULAR, hint: 'put the file itself there, or remove it, and this host has no policy' }
}

/** Throws STORE_CORRUPT, with the first of the faults. */
export function requireFrame(store: Pick<Store, 'home'>): void {
  const [fault] = frameFaults(store)
  if (fault === undefined) return
  throw new AppcError('STORE_CORRUPT', `the store's ${fault.path} is damaged`, {
    because: fault.because,
    hint: fault.hint,
  })
}
