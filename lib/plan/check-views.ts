import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { generationsOrNone } from '../store/generations.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { type Problem, problem } from '../upkeep/problems.js'
import { checkMode, checkOwner, fileMode, ownerOf } from '../upkeep/structure.js'
import { VIEW_LIST } from '../upkeep/users.js'
import { namesIn } from './names-in.js'
import { type Difference, differencesOf } from './view-check.js'

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

function checkOne(store: Store, view: string): readonly Problem[] {
  try {
    const differences = differencesOf(store, view)
    const list = join(view, VIEW_LIST)
    const { mode, uid } = lstatSync(list)
    return [
      ...checkMode(list, mode, fileMode(store, list)),
      ...checkOwner(list, uid, ownerOf(store)),
      ...differences.map(({ path, problem: what }) => problem('view', path, MEANINGS[what])),
    ]
  } catch (error) {
    // Taken away since it was listed.
    if (hasCode(error, 'ENOENT')) return []
    if (error instanceof AppcError) return [problem('view', view, error.because ?? error.message)]
    throw error
  }
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
