import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { AppcError } from '../errors.js'
import { requireNoLinks, stateHome } from '../store/state.js'
import { type Store, withLock } from '../store/store.js'
import { type Sync, syncBy } from '../store/syncing.js'
import { outside, walk } from '../store/walk.js'
import { makeDirectory, syncDirectory, writing } from '../store/writing.js'
import { addon } from './addon.js'
import { unpackState } from './state-archive.js'

export interface Import {
  /** Paths of which state is taken; what else the archive holds is left out. Asked when nobody else changes the store. */
  readonly paths: () => readonly string[]
  /** Asked then too. */
  readonly requireStill: () => void
}

export interface Imported {
  /** Of the archive, as it is no state. */
  readonly left: readonly string[]
  /** Paths of which something was kept, and the archive has nothing. */
  readonly emptied: readonly string[]
}

/**
 * Replaces the state at these paths by what the archive holds of them, once that is unpacked as a whole and on the disk: one rename exchanges
 * all that is kept, so whoever is killed leaves the one or the other. What is kept of other paths, which were state once, stays.
 * Throws STATE_ARCHIVE where the archive holds none. It may wait for its archive for long, and so holds no lock of the store meanwhile.
 */
export function importState(store: Store, name: string, file: string, request: Import): Imported {
  const { aside, lock } = makeAside(store, name)
  const sync = syncBy(store, aside, lock)
  try {
    // An archive says how open its own top is: it is unpacked in a directory that nobody else may enter.
    const unpacked = join(aside, 'unpacked')
    writing(store.home, () => mkdirSync(unpacked, 0o700))
    unpackState(file, unpacked)
    writing(store.home, () => {
      makeHarmless(unpacked)
      sync(tree(unpacked))
    })
    return withLock(store, 'exclusive', () =>
      writing(store.home, () => {
        removeLeftBehind(store, name)
        return exchange(store, name, unpacked, request, sync)
      }),
    )
  } finally {
    try {
      writing(store.home, () => rmSync(aside, { recursive: true, force: true }))
    } finally {
      closeSync(lock)
    }
  }
}

function* tree(top: string): Generator<string | Buffer> {
  yield top
  yield* walk(Buffer.from(top))
}

/** Beside what it will be exchanged with, and not in tmp/: what lies there is cleared. Its lock says that somebody is at work in it. */
function makeAside(store: Store, name: string): { readonly aside: string; readonly lock: number } {
  return withLock(store, 'shared', () =>
    writing(store.home, () => {
      const aside = mkdtempSync(join(dirname(stateHome(store, name)), `.${name}-`))
      const lock = openSync(aside, constants.O_RDONLY | constants.O_DIRECTORY)
      try {
        store.system.flock(lock, 'exclusive', true)
        return { aside, lock }
      } catch (error) {
        closeSync(lock)
        throw error
      }
    }),
  )
}

/** By somebody who was killed. Under the exclusive lock: nobody is just about to lock what he has made. */
function removeLeftBehind(store: Store, name: string): void {
  const directory = dirname(stateHome(store, name))
  for (const other of readdirSync(directory))
    if (other.startsWith(`.${name}-`) && other.length === name.length + 8)
      removeUnlessLocked(store, join(directory, other))
}

function removeUnlessLocked(store: Store, directory: string): void {
  const lock = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    if (store.system.flock(lock, 'exclusive', false)) rmSync(directory, { recursive: true, force: true })
  } finally {
    closeSync(lock)
  }
}

function exchange(store: Store, name: string, unpacked: string, { paths, requireStill }: Import, sync: Sync): Imported {
  const home = stateHome(store, name)
  const known = paths()
  requireSome(unpacked, name, known)
  requireStill()
  const left = leaveOut(unpacked, known)
  const emptied = known.filter(path => holds(home, path) && !holds(unpacked, path))
  if (!existsSync(home)) renameSync(unpacked, home)
  else {
    const next = withOthers(store, name, unpacked, known)
    sync(tree(next))
    addon().exchange(next, home)
    syncDirectory(dirname(next))
  }
  syncDirectory(dirname(home))
  return { left, emptied }
}

/** An archive of something else would take away all that is kept. */
function requireSome(top: string, name: string, paths: readonly string[]): void {
  if (paths.some(path => isDirectoryBelow(top, path))) return
  throw new AppcError('STATE_ARCHIVE', `the archive holds no state of ${name}`, {
    because: paths.length === 0 ? `${name} keeps none` : `it has no directory ${paths.slice(0, SOME).join(', nor ')}`,
    hint: paths.length === 0 ? `appc state ${name} add PATH` : `appc state ${name} export makes such an archive`,
  })
}

/** Of many paths so many are named. */
const SOME = 5

/** No link on the way to it is followed: such state could not be mounted. */
function isDirectoryBelow(top: string, path: string): boolean {
  const parts = path.split('/').filter(part => part !== '')
  return parts.every((_, index) =>
    lstatSync(join(top, ...parts.slice(0, index + 1)), { throwIfNoEntry: false })?.isDirectory(),
  )
}

function holds(top: string, path: string): boolean {
  return isDirectoryBelow(top, path) && readdirSync(join(top, path)).length > 0
}

/** Returns the names in the archive of what it removes. */
function leaveOut(top: string, paths: readonly string[]): readonly string[] {
  return outside(Buffer.from(top), paths).map(path => {
    rmSync(Buffer.concat([Buffer.from(top), path]), { recursive: true })
    return path.toString()
  })
}

/**
 * The directory to be exchanged for the container's: what was unpacked, and with it what is kept there of other paths, which a rollback may
 * make state again. Those get second names there, so that they have one at each moment; a directory has only one, and is copied.
 */
function withOthers(store: Store, name: string, unpacked: string, paths: readonly string[]): string {
  const home = stateHome(store, name)
  if (outside(Buffer.from(home), paths).length === 0) return unpacked
  for (const path of paths) requireNoLinks(store, name, path)
  const next = join(dirname(unpacked), 'next')
  linkTree(store, home, next)
  for (const path of outermost(paths)) {
    const [from, to] = [join(unpacked, path), join(next, path)]
    rmSync(to, { recursive: true, force: true })
    if (lstatSync(from, { throwIfNoEntry: false }) === undefined) continue
    makeDirectory(dirname(to), 0o755)
    renameSync(from, to)
  }
  return next
}

function outermost(paths: readonly string[]): readonly string[] {
  return paths.filter(path => !paths.some(other => path.startsWith(`${other}/`)))
}

/** cp(1) knows what Node does not: owners, times, extended attributes and access lists of directories. */
function linkTree(store: Store, from: string, to: string): void {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const args = ['--archive', '--link', '--no-target-directory', '--', from, to]
  const { status, stderr, error } = spawnSync('cp', args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
  if (status === 0) return
  throw new AppcError('STORE_UNWRITABLE', `the store at ${store.home} cannot be written`, {
    because: error?.message ?? stderr.trim().split('\n')[0] ?? `cp ended with status ${status}`,
    hint: `what was state once and is none now stays where it is: see that it can be linked, or move it away from ${from}`,
  })
}

/** An archive's word is not taken for who becomes whom, nor for what is a device; and its top is the caller's and closed, whatever it says. */
function makeHarmless(top: string): void {
  const { uid } = lstatSync(top)
  const [euid, egid] = [process.geteuid?.() ?? uid, process.getegid?.() ?? 0]
  if (uid !== euid) chownSync(top, euid, egid)
  chmodSync(top, 0o700)
  for (const path of walk(Buffer.from(top))) {
    const stat = lstatSync(path)
    if (stat.isBlockDevice() || stat.isCharacterDevice()) rmSync(path)
    // The sticky bit stays; setgid means something else of a directory.
    else if (stat.isFile() && (stat.mode & 0o6000) !== 0) chmodSync(path, stat.mode & 0o1777)
  }
}
