import { lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppcError } from '../errors.js'
import { viewOfPath } from '../plan/check-views.js'
import { mendView } from '../plan/view.js'
import type { Store } from '../store/store.js'
import { syncDirectory, writing } from '../store/writing.js'
import type { Evidence } from '../upkeep/evidence.js'
import type { Problem } from '../upkeep/problems.js'
import { readable } from '../upkeep/sources.js'
import { addon } from './addon.js'

export interface MendedView {
  readonly problem: Problem
  readonly how: string
  /** Of the file that was replaced, which processes may still have; null for anything else. */
  readonly inode: number | null
}

/**
 * Makes views what their lists say, once the objects are sound. One without a sound list goes to quarantine: programs that run with it
 * keep it, and the next launch builds another. Under the shared lock.
 */
export function mendViews(store: Store, problems: readonly Problem[], evidence: Evidence): readonly MendedView[] {
  const ofViews = problems.filter(({ kind }) => kind === 'view')
  return [...new Set(ofViews.map(({ path }) => viewOfPath(store, path)))].flatMap(view => {
    const own = ofViews.filter(({ path }) => viewOfPath(store, path) === view)
    const before = own.map(problem => ({ problem, inode: inodeOf(problem.path) }))
    const how = mendOne(store, view, own, evidence)
    return before.map(each => ({ ...each, how }))
  })
}

function mendOne(store: Store, view: string, problems: readonly Problem[], evidence: Evidence): string {
  try {
    mendView(store, addon(), view)
    return 'made as its list says'
  } catch (error) {
    // One that cannot be made, whatever the reason, must not keep the others from it.
    if (!(error instanceof AppcError) && !(error instanceof Error && 'code' in error)) throw error
    writing(store.home, () => {
      evidence.note(problems)
      evidence.move(view)
      syncDirectory(dirname(view))
    })
    return 'moved to quarantine: the next launch builds another'
  }
}

function inodeOf(path: string): number | null {
  const stat = readable(() => lstatSync(path))
  return stat?.isFile() ? stat.ino : null
}
