import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, type Stats, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { generationsOrNone } from '../store/generations.js'
import { filesBelow } from '../store/names.js'
import { isDigest } from '../store/objects.js'
import { listRefs, refPath, sparePath } from '../store/refs.js'
import { listSecrets, secretFactsPath, secretPath } from '../store/secrets.js'
import { clearTemporary, type Store, withLinks } from '../store/store.js'
import { hasCode, syncDirectory, writing } from '../store/writing.js'
import { type Marks, markNeeded, type NeedsOf } from './marks.js'
import { newQuarantine } from './quarantine.js'
import { usersOf } from './users.js'

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
export function removeContainer(store: Store, name: string, needsOf: NeedsOf): Freed {
  const digestsOf = (of: string) => generationsOrNone(store, of).map(({ container }) => container)
  // Copies have the views of one digest in common: the collector sees which of them are whose.
  const common = new Set(
    listRefs(store)
      .filter(other => other !== name)
      .flatMap(digestsOf),
  )
  const digests = new Set(digestsOf(name).filter(digest => !common.has(digest)))
  requireUnused(store, name, digests)
  const others = listRefs(store).filter(other => other !== name)
  const marks = markNeeded(store, others, needsOf)
  return writing(store.home, () => {
    clearTemporary(store)
    // From the derived to the source: a crash in between leaves a container without plans, never a plan without its files.
    removePlans(store, name)
    for (const digest of digests) removeViews(store, digest)
    // The ref last: a second copy without one is what is left of a ref that was lost.
    rmSync(sparePath(store, name), { recursive: true, force: true })
    syncDirectory(join(store.home, 'spare'))
    // Recursively: in place of a damaged ref may be a directory. It may have been lost, and the second copy all that was left.
    rmSync(refPath(store, name), { recursive: true, force: true })
    syncDirectory(join(store.home, 'refs'))
    return { ...(marks.unreadable.length === 0 ? sweep(store, marks) : NOTHING), unreadable: marks.unreadable }
  })
}

const NOTHING = { objects: 0, bytes: 0 }

/**
 * Removes the views of containers of other digests than these, which another has taken the place of, and then the objects that neither a
 * container nor a view has. Views that programs run with stay. Must run under the exclusive lock.
 */
export function collectReplaced(store: Store, current: ReadonlySet<string>, needsOf: NeedsOf): void {
  const replaced = readdirSync(join(store.home, 'views')).filter(name => isDigest(name) && !current.has(name))
  const unused = replaced.filter(digest => usersOf(store, digest).length === 0)
  if (unused.length === 0) return
  const marks = markNeeded(store, listRefs(store), needsOf)
  writing(store.home, () => {
    for (const digest of unused) removeViews(store, digest)
    if (marks.unreadable.length === 0) sweep(store, marks)
  })
}

/** The view's files would go from under a program: what it opens later (a plugin, a module) would be the host's or nothing. */
function requireUnused(store: Store, name: string, digests: ReadonlySet<string>): void {
  const users = [...digests].flatMap(digest => usersOf(store, digest))
  if (users.length === 0) return
  throw new AppcError('CONTAINER_IN_USE', `the container ${name} is in use`, {
    because: `${users.length === 1 ? 'the process' : 'the processes'} ${users.join(', ')} ${users.length === 1 ? 'runs' : 'run'} with its files`,
    hint: 'let them end, or end them, and remove it then',
  })
}

function removePlans(store: Store, name: string): void {
  const plans = join(store.home, 'plans')
  // Neither @ nor ~ can be part of a name, so `curl@…` is never another container's.
  for (const plan of readdirSync(plans))
    if (plan === name || plan.startsWith(`${name}@`) || plan.startsWith(`${name}~`))
      rmSync(join(plans, plan), { recursive: true })
}

function removeViews(store: Store, digest: string): void {
  const aside = join(store.home, 'tmp', `view-${crypto.randomUUID()}`)
  try {
    // Out of sight first, so that nobody meets half a view.
    renameSync(join(store.home, 'views', digest), aside)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  // A launch holds no lock, and may have opened it since it was looked at: then the collector takes it when it has ended.
  if (usersOf(store, digest, aside).length === 0) withLinks(store, () => rmSync(aside, { recursive: true }))
  else {
    const quarantine = join(newQuarantine(store, 'collected', Date.now()), 'views')
    mkdirSync(quarantine, { recursive: true, mode: 0o700 })
    renameSync(aside, join(quarantine, digest))
  }
}

function sweep(store: Store, marks: Marks): { readonly objects: number; readonly bytes: number } {
  const unneeded = unneededObjects(store, marks)
  for (const { path } of unneeded) unlinkSync(path)
  for (const id of unneededSecrets(store, marks)) {
    // What it is to be goes last: a secret without that could not be judged. One of the two may have gone already.
    for (const path of [secretPath(store, id), secretFactsPath(store, id)]) rmSync(path, { force: true })
  }
  return { objects: unneeded.length, bytes: unneeded.reduce((sum, { size }) => sum + size, 0) }
}

/**
 * Objects that neither these marks nor a view holds: one in a view, of a plain program or of a container of the system's, has more links.
 * `gone` of these links do not count.
 */
export function unneededObjects(
  store: Store,
  { objects }: Marks,
  gone: (inode: number) => number = () => 0,
): readonly { readonly path: string; readonly size: number; readonly stat: Stats }[] {
  const all = [...filesBelow(join(store.home, 'objects'))]
  return all
    .filter(({ path, stat }) => !objects.has(path) && stat.nlink - gone(stat.ino) === 1)
    .map(({ path, stat }) => ({ path, stat, size: stat.size }))
}

/** The same of secrets: what a program runs with is judged by what lies beside it. */
export function unneededSecrets(
  store: Store,
  { secrets }: Marks,
  gone: (inode: number) => number = () => 0,
): readonly string[] {
  return listSecrets(store).filter(id => {
    if (secrets.has(id)) return false
    const stat = lstatSync(secretPath(store, id), { throwIfNoEntry: false })
    return stat === undefined || !stat.isFile() || stat.nlink - gone(stat.ino) === 1
  })
}
