import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HOST_BELOW } from '../container/excluded.js'
import { AppcError } from '../errors.js'
import { generationsOrNone } from '../store/generations.js'
import { type Store, withLinks } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { type Problem, problem } from '../upkeep/problems.js'
import { checkFile } from '../upkeep/structure.js'
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

/** Who builds a view, or mends it, holds the lock `links` while a part of it may look like damage. */
function checkOne(store: Store, view: string): readonly Problem[] {
  if (compare(store, view).length === 0) return []
  return withLinks(store, () => {
    // It comes when all else is on the disk, the list too: until then nobody uses the view, and the next launch completes it.
    const mark = join(view, lastLayer(view), HOST_BELOW)
    const isWhole = existsSync(mark)
    if (!isWhole && !existsSync(join(view, VIEW_LIST))) return []
    return compare(store, view).filter(({ path }) => isWhole || path !== mark)
  })
}

function lastLayer(view: string): string {
  return String(Math.max(0, ...namesIn(view).names.flatMap(name => (/^[0-9]+$/.test(name) ? Number(name) : []))))
}

function compare(store: Store, view: string): readonly Problem[] {
  try {
    const differences = differencesOf(store, view)
    return [
      ...checkFile(store, join(view, VIEW_LIST)),
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
