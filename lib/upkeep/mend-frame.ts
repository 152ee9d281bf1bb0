import { chmodSync, closeSync, constants, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type FrameFault, frameFaults } from '../store/frame.js'
import { createLock, LOCKS, type Store } from '../store/store.js'
import { makeDirectory, syncDirectory, writing } from '../store/writing.js'
import type { Evidence } from './evidence.js'
import { type Problem, problem } from './problems.js'
import { directoryMode } from './structure.js'

export function frameProblems(store: Store): readonly Problem[] {
  return frameFaults(store).map(problemOf)
}

/** What mendFrame would mend. */
export function mendableInFrame(store: Store): readonly Problem[] {
  return mendable(frameFaults(store)).map(problemOf)
}

export interface MendedFault {
  readonly problem: Problem
  /** In words. */
  readonly how: string
}

/**
 * Moves away what lies in the place of a directory, a lock or a file that the store has always. As the locks may be among them, the
 * store's own directory is locked: else of two repairs one could take the other's new lock away, which somebody holds by then.
 */
export function mendFrame(store: Store, evidence: Evidence): readonly MendedFault[] {
  if (frameFaults(store).length === 0) return []
  return writing(store.home, () => {
    const home = openSync(store.home, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      store.system.flock(home, 'exclusive', true)
      const mended = mendable(frameFaults(store)).map(fault => mend(store, evidence, fault))
      syncDirectory(store.home)
      return mended
    } finally {
      closeSync(home)
    }
  })
}

/** Where the damaged is to be kept comes first; nothing else can be mended before that. */
function mendable(faults: readonly FrameFault[]): readonly FrameFault[] {
  const kept = faults.find(({ name }) => name === 'quarantine')
  if (kept?.hint === null) return []
  const others = faults.filter(fault => fault !== kept && fault.hint !== null)
  return kept === undefined ? others : [kept, ...others]
}

function problemOf({ kind, path, because }: FrameFault): Problem {
  return problem(kind, path, because)
}

function mend(store: Store, evidence: Evidence, fault: FrameFault): MendedFault {
  const { name, path } = fault
  const aside = `${path}.${crypto.randomUUID()}`
  renameSync(path, aside)
  makeDirectory(join(store.home, 'quarantine'), 0o700)
  const how = makeAnew(store, name, path)
  evidence.note([problemOf(fault)])
  evidence.move(path, aside)
  return { problem: problemOf(fault), how }
}

function makeAnew(store: Store, name: string, path: string): string {
  // Decided by people: nobody else can say it again.
  if (name === 'policy.json') return 'moved to quarantine: this host has no policy now'
  if ((LOCKS as readonly string[]).includes(name)) createLock(path)
  else if (name !== 'version') {
    makeDirectory(path, 0o700)
    chmodSync(path, directoryMode(store, path))
  }
  return 'made anew'
}
