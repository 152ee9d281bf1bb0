import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { AppcError } from '../errors.js'
import { stateHome } from '../store/state.js'
import { type Store, withLock } from '../store/store.js'
import { syncDirectory, syncFile, syncFileSystem, writing } from '../store/writing.js'
import { addon } from './addon.js'

/**
 * Writes all that a container's programs have written as an archive of tar, with owners, modes and extended attributes. `-` is standard
 * output; a device or a pipe is written to, any other file replaced as a whole and readable by its owner alone, as the state is.
 */
export function exportState(store: Store, name: string, file: string): void {
  const home = stateHome(store, name)
  if (!existsSync(home))
    throw new AppcError('SETTING_UNKNOWN', `nothing is kept for ${name} yet`, {
      hint: `its programs get a directory to write by appc state ${name} add PATH, with the next launch`,
    })
  const there = file === '-' ? undefined : statSync(file, { throwIfNoEntry: false })
  if (there?.isDirectory())
    throw new AppcError('OUTPUT_UNWRITABLE', `${file} cannot be written`, {
      because: 'it is a directory',
      hint: 'name a file',
    })
  const create = (archive: string) => tar(['--create', `--file=${archive}`, '--sparse', `--directory=${home}`, '.'])
  if (file === '-' || (there !== undefined && !there.isFile())) create(file === '-' ? '-' : resolve(file))
  else replaceBy(resolve(file), create)
}

function replaceBy(destination: string, create: (file: string) => void): void {
  const aside = join(dirname(destination), `.${basename(destination)}.${crypto.randomUUID()}`)
  try {
    closeSync(openSync(aside, 'wx', 0o600))
    create(aside)
    syncFile(aside)
    renameSync(aside, destination)
  } catch (error) {
    rmSync(aside, { force: true })
    throw error
  }
}

export interface Import {
  /** Paths of which state is taken; what else the archive holds is left out. */
  readonly paths: readonly string[]
  /** Asked just before the exchange. */
  readonly requireStill: () => void
}

/**
 * Replaces all of it by what the archive holds of these paths, once that is unpacked as a whole and on the disk: the two are exchanged by one rename, so
 * whoever is killed leaves the one or the other. Returns the names of what was left out. Throws STATE_ARCHIVE where nothing is left.
 */
export function importState(
  store: Store,
  name: string,
  file: string,
  { paths, requireStill }: Import,
): readonly string[] {
  return withLock(store, 'exclusive', () => {
    const home = stateHome(store, name)
    // Beside it, and not in tmp/: what lies there is cleared.
    const aside = writing(store.home, () => mkdtempSync(join(dirname(home), `.${name}-`)))
    try {
      // GNU tar takes away leading slashes, refuses names with .., and follows no link that it has unpacked.
      tar(['--extract', `--file=${file === '-' ? '-' : resolve(file)}`, `--directory=${aside}`])
      requireSome(aside, name, paths)
      return writing(store.home, () => {
        makeHarmless(aside)
        const left = leaveOut(aside, '/', paths)
        syncFileSystem(store.system, aside)
        requireStill()
        if (existsSync(home)) addon().exchange(aside, home)
        else renameSync(aside, home)
        syncDirectory(dirname(home))
        return left
      })
    } finally {
      rmSync(aside, { recursive: true, force: true })
      removeLeftBehind(dirname(home), name)
    }
  })
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

/** Removes what is neither below one of the paths nor a directory on the way to one; returns its names in the archive. */
function leaveOut(top: string, directory: string, paths: readonly string[]): readonly string[] {
  return readdirSync(join(top, directory), { withFileTypes: true }).flatMap(entry => {
    const path = join(directory, entry.name)
    if (paths.some(kept => kept === path || path.startsWith(`${kept}/`))) return []
    if (entry.isDirectory() && paths.some(kept => kept.startsWith(`${path}/`))) return leaveOut(top, path, paths)
    rmSync(join(top, path), { recursive: true })
    return [path]
  })
}

/** An archive's word is not taken for who becomes whom, nor for what is a device; and its top is closed, whatever it says. */
function makeHarmless(top: string): void {
  chmodSync(top, 0o700)
  for (const name of readdirSync(top, { recursive: true, encoding: 'utf8' })) {
    const path = join(top, name)
    const stat = lstatSync(path)
    if (stat.isBlockDevice() || stat.isCharacterDevice()) rmSync(path)
    // The sticky bit stays; setgid means something else of a directory.
    else if (stat.isFile() && (stat.mode & 0o6000) !== 0) chmodSync(path, stat.mode & 0o1777)
  }
}

/** By somebody who was killed: under the exclusive lock nobody else imports. */
function removeLeftBehind(directory: string, name: string): void {
  for (const other of readdirSync(directory))
    if (other.startsWith(`.${name}-`) && other.length === name.length + 8)
      rmSync(join(directory, other), { recursive: true, force: true })
}

function tar(args: readonly string[]): void {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const all = ['--xattrs', '--acls', '--numeric-owner', ...args]
  const { status, stderr, error } = spawnSync('tar', all, { stdio: ['inherit', 'inherit', 'pipe'], encoding: 'utf8' })
  if (status === 0) return
  throw new AppcError('STATE_ARCHIVE', 'the archive of state could not be made or unpacked', {
    because: error?.message ?? stderr.trim().split('\n')[0] ?? `tar ended with status ${status}`,
    hint: error === undefined ? 'tar --list tells whether it is one' : 'install tar',
  })
}
