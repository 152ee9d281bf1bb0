import { chmodSync, lchownSync, lstatSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { AppcError } from '../errors.js'
import { type Generations, readGenerations, readSpare, writeGenerations } from '../store/generations.js'
import { objectMode } from '../store/objects.js'
import { listSpares, refPath } from '../store/refs.js'
import { secretFactsPath } from '../store/secrets.js'
import { type Store, withLinks } from '../store/store.js'
import { joinBytes } from '../store/walk.js'
import { hasCode, makeDirectory, syncDirectory, writing } from '../store/writing.js'
import type { Evidence } from './evidence.js'
import { isExecutableKey } from './identities.js'
import { isSecretMendable, mendSecret, unlessDamaged } from './mend-secret.js'
import type { Problem } from './problems.js'
import { directoryMode, fileMode } from './structure.js'

/** Mends what needs no source, and says how; null where it cannot be. Under the shared lock. */
export function mendInPlace(store: Store, evidence: Evidence, problem: Problem): string | null {
  const mend = MENDS[problem.kind]
  if (mend === undefined) return null
  try {
    return writing(store.home, () => mend(store, evidence, problem))
  } catch (error) {
    // Removed since it was found; or somebody else's, whom it is left to.
    if (error instanceof AppcError && hasCode(error.cause, 'ENOENT', 'EPERM', 'EACCES')) return null
    throw error
  }
}

/** Whether it can be mended so, as far as can be told without trying. */
export function isMendable(store: Store, { kind, path }: Problem): boolean {
  if (kind === 'owner') return process.geteuid?.() === 0
  if (kind === 'ref') return unlessDamaged(() => readSpare(store, basename(path))) !== null
  if (kind === 'secret') return isSecretMendable(store, basename(path))
  return MENDS[kind] !== undefined
}

/**
 * Takes an object or a secret away that nobody needs and that has no right bytes: what has another name, in a view, stays. Under the shared lock.
 * Null where it stays.
 */
export function setAside(store: Store, evidence: Evidence, problem: Problem): string | null {
  return writing(store.home, () =>
    withLinks(store, () => {
      const stat = lstatSync(problem.path, { throwIfNoEntry: false })
      if (stat === undefined || (!stat.isDirectory() && stat.nlink > 1)) return null
      evidence.note([problem])
      const facts = problem.kind === 'secret' ? [secretFactsPath(store, basename(problem.path))] : []
      for (const path of [...facts, problem.path]) evidence.move(path)
      return 'nobody needs it: moved to quarantine'
    }),
  )
}

type MendOne = (store: Store, evidence: Evidence, problem: Problem) => string | null

const MENDS: Partial<Record<Problem['kind'], MendOne>> = {
  mode: mendMode,
  owner: mendOwner,
  directory: mendDirectory,
  stray: (store, evidence, problem) => {
    const entries = entriesCalled(problem.path)
    if (entries.length === 0) return null
    evidence.note([problem])
    withLinks(store, () => {
      for (const from of entries) evidence.move(problem.path, from)
    })
    return 'moved to quarantine'
  },
  plan: (_store, _evidence, { path }) => {
    rmSync(path, { recursive: true, force: true })
    return 'removed: the next launch makes another'
  },
  ref: mendRef,
  spare: mendSpare,
  secret: mendSecret,
}

/** A name that is no UTF-8 is told with other signs in it, and several may be told the same. */
function entriesCalled(path: string): readonly Buffer[] {
  const directory = Buffer.from(dirname(path))
  const names = readdirSync(directory, 'buffer').filter(name => name.toString() === basename(path))
  return names.map(name => joinBytes(directory, name))
}

function mendMode(store: Store, _evidence: Evidence, { path, object }: Problem): string | null {
  const mode = object === null ? ownMode(store, path) : objectMode(isExecutableKey(object))
  // Its change time is a guard of plans.
  withLinks(store, () => chmodSync(path, mode))
  return 'given its mode'
}

function ownMode(store: Store, path: string): number {
  return lstatSync(path).isDirectory() ? directoryMode(store, path) : fileMode(store, path)
}

/** Only root can give files away. */
function mendOwner(store: Store, _evidence: Evidence, { path }: Problem): string | null {
  if (process.geteuid?.() !== 0) return null
  const { uid, gid } = lstatSync(store.home)
  withLinks(store, () => lchownSync(path, uid, gid))
  return 'given to its owner'
}

function mendDirectory(store: Store, evidence: Evidence, problem: Problem): string | null {
  const { path } = problem
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat?.isDirectory()) return null
  if (stat !== undefined) {
    evidence.note([problem])
    evidence.move(path)
  }
  makeDirectory(path, 0o700)
  chmodSync(path, directoryMode(store, path))
  syncDirectory(dirname(path))
  return 'made anew'
}

/** From the second copy; what lies in its place is kept. */
function mendRef(store: Store, evidence: Evidence, problem: Problem): string | null {
  const { path } = problem
  const name = basename(path)
  return withLinks(store, () => {
    const spare = listSpares(store).includes(name) ? unlessDamaged(() => readSpare(store, name)) : null
    // Made, or mended, by somebody else meanwhile.
    if (unlessDamaged(() => readGenerations(store, name)) !== null) return 'there again'
    if (spare === null) return null
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
      evidence.note([problem])
      evidence.keep(path)
    }
    replaceWith(store, name, spare)
    return 'taken from its second copy'
  })
}

function mendSpare(store: Store, _evidence: Evidence, { path }: Problem): string | null {
  const name = basename(path)
  return withLinks(store, () => {
    const generations = unlessDamaged(() => readGenerations(store, name))
    if (generations === null) return null
    replaceWith(store, name, generations)
    return 'copied from the ref'
  })
}

/** rename(2) replaces whatever has the name, but for a directory. */
function replaceWith(store: Store, name: string, generations: Generations): void {
  for (const path of [refPath(store, name), join(store.home, 'spare', name)])
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) rmSync(path, { recursive: true })
  writeGenerations(store, name, generations)
}
