import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '../store/writing.js'

/** A view, in views/ or where it was put aside. */
export interface ViewAt {
  /** `CONTAINER/VIEW`, as below views/: the same view may be of several containers. */
  readonly view: string
  readonly directory: string
}

/** Which views are in use. */
export interface UsedViews {
  readonly used: readonly ViewAt[]
  /** Processes of which it cannot be told. Where there are some all views count as used. */
  readonly unseen: readonly number[]
}

/**
 * Tells which of these views programs run with, or launches have just opened. Where the views are out of the way by then nobody can come
 * to them any more, so that the answer stays true: a launch holds no lock.
 */
export type FindUsed = (views: readonly ViewAt[]) => UsedViews

/** The views in `views`, a directory of views of containers or plain programs. */
export function listViews(views: string): readonly ViewAt[] {
  return directoriesIn(views).flatMap(container =>
    directoriesIn(join(views, container)).map(name => ({
      view: `${container}/${name}`,
      directory: join(views, container, name),
    })),
  )
}

/** Names of directories alone: what else lies there is nobody's view. */
export function directoriesIn(directory: string): readonly string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true })
    return entries.flatMap(entry => (entry.isDirectory() ? [entry.name] : []))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
