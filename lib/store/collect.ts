import { readdirSync, renameSync, rmSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { isDigest, objectPath } from './objects.js'
import { digestOf, listRefs, readRef, refPath } from './refs.js'
import { clearTemporary, type Store, withLinks } from './store.js'
import { usersOf } from './users.js'
import { hasCode, syncDirectory, writing } from './writing.js'

/** Paths below the store's home of all objects that a container with this manifest needs, the manifest itself included. */
export type References = (manifestDigest: string) => Iterable<{ readonly sha256: string; readonly executable: boolean }>

export interface Freed {
  readonly objects: number
  readonly bytes: number
  /** Other containers whose needs cannot be told. Where there are some no object was freed: the next removal makes up for it. */
  readonly unreadable: readonly string[]
}

/**
 * Removes a container with its plans and views, and the objects that no other container needs. Must run under the exclusive
 * lock. If the manifest of one of the others cannot be read all objects stay, since what cannot be read may need anything.
 * Throws CONTAINER_IN_USE, with nothing removed, while programs run with its files.
 */
export function removeContainer(store: Store, name: string, references: References): Freed {
  requireUnused(store, name)
  const others = listRefs(store).filter(other => other !== name)
  const needed = new Set<string>()
  const unreadable = others.filter(other => !addNeeded(store, other, references, needed))
  return writing(store.home, () => {
    clearTemporary(store)
    // From the derived to the source: a crash in between leaves a container without plans, never a plan without its files.
    removeDerived(store, name)
    // Recursively: in place of a damaged ref may be a directory.
    rmSync(refPath(store, name), { recursive: true })
    syncDirectory(join(store.home, 'refs'))
    return { ...(unreadable.length === 0 ? sweep(store, needed) : { objects: 0, bytes: 0 }), unreadable }
  })
}

/**
 * Removes the views of containers of other digests than these, which another has taken the place of, and then the objects that neither a
 * container nor a view has. Views that programs run with stay. Must run under the exclusive lock.
 */
export function collectReplaced(store: Store, current: ReadonlySet<string>, references: References): void {
  const replaced = readdirSync(join(store.home, 'views')).filter(name => isDigest(name) && !current.has(name))
  const unused = replaced.filter(digest => usersOf(store, digest).length === 0)
  if (unused.length === 0) return
  const needed = new Set<string>()
  const unreadable = listRefs(store).filter(name => !addNeeded(store, name, references, needed))
  writing(store.home, () => {
    for (const digest of unused) removeViews(store, digest)
    if (unreadable.length === 0) sweep(store, needed)
  })
}

/** The view's files would go from under a program: what it opens later (a plugin, a module) would be the host's or nothing. */
function requireUnused(store: Store, name: string): void {
  const digest = digestOf(store, name)
  const users = digest === null ? [] : usersOf(store, digest)
  if (users.length === 0) return
  throw new AppcError('CONTAINER_IN_USE', `the container ${name} is in use`, {
    because: `${users.length === 1 ? 'the process' : 'the processes'} ${users.join(', ')} ${users.length === 1 ? 'runs' : 'run'} with its files`,
    hint: 'let them end, or end them, and remove it then',
  })
}

/** False when it cannot be told what the container needs. */
function addNeeded(store: Store, name: string, references: References, needed: Set<string>): boolean {
  try {
    const digest = readRef(store, name)
    if (digest === null) return true
    needed.add(objectPath(store, digest, false))
    for (const { sha256, executable } of references(digest)) needed.add(objectPath(store, sha256, executable))
    return true
  } catch (error) {
    if (error instanceof AppcError) return false
    throw error
  }
}

function removeDerived(store: Store, name: string): void {
  const plans = join(store.home, 'plans')
  // Neither @ nor ~ can be part of a name, so `curl@…` is never another container's.
  for (const plan of readdirSync(plans))
    if (plan === name || plan.startsWith(`${name}@`) || plan.startsWith(`${name}~`))
      rmSync(join(plans, plan), { recursive: true })
  const digest = digestOf(store, name)
  if (digest !== null) removeViews(store, digest)
}

function removeViews(store: Store, digest: string): void {
  try {
    // Out of sight first, so that nobody meets half a view.
    renameSync(join(store.home, 'views', digest), join(store.home, 'tmp', `view-${digest}`))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  withLinks(store, () => rmSync(join(store.home, 'tmp', `view-${digest}`), { recursive: true }))
}

function sweep(store: Store, needed: ReadonlySet<string>): { readonly objects: number; readonly bytes: number } {
  let objects = 0
  let bytes = 0
  for (const fanOut of readdirSync(join(store.home, 'objects')))
    for (const rest of readdirSync(join(store.home, 'objects', fanOut))) {
      const path = join(store.home, 'objects', fanOut, rest)
      if (needed.has(path)) continue
      const { size, nlink } = statSync(path)
      // In a view, of a plain program or of a container of the system's.
      if (nlink > 1) continue
      bytes += size
      objects++
      unlinkSync(path)
    }
  return { objects, bytes }
}
