import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { HOST_BELOW } from '../container/excluded.js'
import { AppcError } from '../errors.js'
import { generationsOrNone } from '../store/generations.js'
import { type Store, withLinks } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { type Problem, problem } from '../upkeep/problems.js'
import { checkMode, checkOwner, fileMode, ownerOf } from '../upkeep/structure.js'
import { VIEW_LIST } from '../upkeep/users.js'
import { namesIn } from './names-in.js'
import { checkView, type Difference } from './view-check.js'
import { readViewList } from './view-list.js'

const MEANINGS: Readonly<Record<Difference['problem'], string>> = {
  missing: 'it is not there',
  extra: 'it does not belong there',
  kind: 'it is something else than what belongs there',
  bytes: 'it is another file than the store has for it',
  link: 'it leads elsewhere',
  mode: 'it has other permissions',
}

/** Views, of one container or of all, that are not as their lists say. */
export function checkViews(store: Store, name: string | null): readonly Problem[] {
  const { views, problems } = viewsOf(store, name)
  return [...problems, ...views.flatMap(view => checkOne(store, view))]
}

/** Once more where others may be about to build it, or to mend it: they link and unlink under that lock. */
function checkOne(store: Store, view: string): readonly Problem[] {
  const found = faultsOf(store, view)
  return found.length === 0 ? [] : withLinks(store, () => faultsOf(store, view))
}

function faultsOf(store: Store, view: string): readonly Problem[] {
  try {
    const layers = readViewList(view)
    const { differences } = checkView(store, view, layers)
    const [first, ...others] = differences
    // It has all but the mark: it is being built, or who built it was killed, and the next launch completes it.
    if (first?.path === markIn(view, layers.length) && others.length === 0) return []
    return [
      ...checkList(store, join(view, VIEW_LIST)),
      ...differences.map(({ path, problem: what }) => problem('view', path, MEANINGS[what])),
    ]
  } catch (error) {
    // Taken away since it was listed.
    if (hasCode(error, 'ENOENT')) return []
    if (!(error instanceof AppcError)) throw error
    return isBegun(view) ? [] : [problem('view', view, error.because ?? error.message)]
  }
}

function checkList(store: Store, list: string): readonly Problem[] {
  const { mode, uid } = lstatSync(list)
  return [...checkMode(list, mode, fileMode(store, list)), ...checkOwner(list, uid, ownerOf(store))]
}

function markIn(view: string, layers: number): string {
  return join(view, String(layers - 1), HOST_BELOW)
}

/** It has no list yet, and no mark, which comes last; or it is gone. */
function isBegun(view: string): boolean {
  if (lstatSync(view, { throwIfNoEntry: false })?.isDirectory() === false) return false
  const { names } = namesIn(view)
  const layers = names.filter(name => /^[0-9]+$/.test(name)).length
  return !names.includes(VIEW_LIST) && !existsSync(markIn(view, layers))
}

function viewsOf(store: Store, name: string | null) {
  const home = join(store.home, 'views')
  const digests = name === null ? null : new Set(generationsOrNone(store, name).map(({ container }) => container))
  const { names, problems } = namesIn(home)
  const containers = names.filter(container => digests === null || digests.has(container))
  const listed = containers.map(container => ({ container, ...namesIn(join(home, container)) }))
  return {
    views: listed.flatMap(({ container, names }) => names.map(view => join(home, container, view))),
    problems: [...problems, ...listed.flatMap(({ problems }) => problems)],
  }
}

/** The directory of the view that a path lies in. */
export function viewOfPath(store: Store, path: string): string {
  const [container = '', view = ''] = path.slice(join(store.home, 'views').length + 1).split('/')
  return join(store.home, 'views', container, view)
}
