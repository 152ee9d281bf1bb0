import { chmodSync, closeSync, constants, lstatSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { type FrameFault, frameFaults } from '../store/frame.js'
import { createLock, type Store } from '../store/store.js'
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
  /** Where what was there lies now. */
  readonly evidence: string
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
      const mended = mendable(frameFaults(store)).flatMap(fault => mend(store, evidence, fault) ?? [])
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
  if (kept?.isMendable === false) return []
  const others = faults.filter(fault => fault !== kept && fault.isMendable)
  return kept === undefined ? others : [kept, ...others]
}

function problemOf({ kind, path, because }: FrameFault): Problem {
  return problem(kind, path, because)
}

/** null where it is somebody else's, to whom it is left. */
function mend(store: Store, evidence: Evidence, fault: FrameFault): MendedFault | null {
  const { name, path } = fault
  const problem = problemOf(fault)
  if (!canMove(path)) return null
  const quarantine = join(store.home, 'quarantine')
  const aside = name === 'quarantine' ? `${path}.${crypto.randomUUID()}` : path
  if (aside !== path) renameSync(path, aside)
  makeDirectory(quarantine, 0o700)
  evidence.note([problem])
  const kept = evidence.move(path, aside)
  if (fault.kind === 'type') createLock(path)
  else {
    makeDirectory(path, 0o700)
    chmodSync(path, directoryMode(store, path))
  }
  return { problem, how: 'made anew', evidence: kept }
}

/** A directory is written to when it gets another parent: rename(2), EACCES. */
function canMove(path: string): boolean {
  const stat = lstatSync(path)
  const uid = process.geteuid?.()
  if (!stat.isDirectory()) return true
  if (uid !== 0 && stat.uid !== uid) return false
  if ((stat.mode & 0o200) === 0) chmodSync(path, 0o700)
  return true
}
