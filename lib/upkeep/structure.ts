import { readdirSync } from 'node:fs'
import { constants } from 'node:os'
import { basename, join } from 'node:path'
import { getSystemErrorName } from 'node:util'
import { isName } from '../store/refs.js'
import { isSecretFile } from '../store/secrets.js'
import { CLOSED, DIRECTORIES, LOCKS, type Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { Looks } from './looks.js'
import { type Problem, problem } from './problems.js'

const [S_IFMT, S_IFDIR, S_IFREG] = [0o170000, 0o040000, 0o100000]

/** Where files lie that the store itself has written, and such files. */
const OF_FILES = ['refs', 'spare', 'plans']
const FILES = ['version', 'policy.json', ...LOCKS]

/** Who owns the store, and hence the modes of its directories (createStore). */
export interface Owner {
  readonly uid: number
  readonly directoryMode: number
}

/** By its home, which nothing else tells better. */
export function ownerOf(store: Store): Owner {
  const uid = Looks.at(store.system, [store.home]).uid(0)
  return { uid, directoryMode: uid === 0 ? 0o755 : 0o700 }
}

/** Directories that are not there, are none, or have another owner or mode than the store gave them. */
export function checkDirectories(store: Store, fanOuts: readonly string[]): readonly Problem[] {
  const owner = ownerOf(store)
  const own = [...DIRECTORIES, ...CLOSED].map(name => join(store.home, name))
  const paths = [...own, ...fanOuts]
  const looks = Looks.at(store.system, paths)
  return paths.flatMap((path, index) => {
    // One that objects lie in is made with the first of them: what is missing with it is told of the object.
    if (index >= own.length && looks.errno(index) === constants.errno.ENOENT) return []
    const mode = index < own.length ? directoryMode(store, path) : 0o755
    return checkDirectory(path, looks, index, { ...owner, directoryMode: mode })
  })
}

/** The mode of one of the store's directories. */
export function directoryMode(store: Store, path: string): number {
  const name = path.slice(store.home.length + 1)
  if (isOf(CLOSED, name)) return 0o700
  return isOf(DIRECTORIES, name) ? ownerOf(store).directoryMode : 0o755
}

function isOf(names: readonly string[], name: string): boolean {
  return names.includes(name)
}

/** Those of the store's files that have another owner or mode. */
export function checkFiles(store: Store): readonly Problem[] {
  const secrets = namesIn(store, 'secrets').filter(path => path.endsWith('.json'))
  const files = FILES.map(name => join(store.home, name))
  const owner = ownerOf(store)
  const paths = [...files, ...OF_FILES.flatMap(name => namesIn(store, name)), ...secrets]
  return paths.flatMap(path => checkFile(store, path, owner))
}

/** That one is not there, or something else is, is told by whoever reads it. */
export function checkFile(store: Store, path: string, owner = ownerOf(store)): readonly Problem[] {
  const looks = Looks.at(store.system, [path])
  if (looks.errno(0) !== 0 || (looks.mode(0) & S_IFMT) !== S_IFREG) return []
  return [...checkOwner(path, looks.uid(0), owner), ...checkMode(path, looks.mode(0), fileMode(store, path))]
}

/** What lies among the refs or the secrets and has a name by which none is found. */
export function checkNames(store: Store): readonly Problem[] {
  const straysIn = (directory: string, isRight: (name: string) => boolean, what: string) =>
    namesIn(store, directory)
      .filter(path => !isRight(basename(path)))
      .map(path => problem('stray', path, `it has no name that ${what} can have`))
  return [
    ...straysIn('refs', isName, 'a container'),
    ...straysIn('spare', isName, 'a container'),
    ...straysIn('secrets', isSecretFile, 'a secret'),
  ]
}

/** The mode of one of the store's files. */
export function fileMode(store: Store, path: string): number {
  return path.startsWith(join(store.home, 'secrets/')) ? 0o600 : 0o644
}

function namesIn(store: Store, directory: string): readonly string[] {
  try {
    return readdirSync(join(store.home, directory)).map(name => join(store.home, directory, name))
  } catch (error) {
    // That it is not there, or not as it should be, is told of the directory.
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EIO', 'ELOOP')) return []
    throw error
  }
}

function checkDirectory(path: string, looks: Looks, index: number, owner: Owner): readonly Problem[] {
  const errno = looks.errno(index)
  if (errno !== 0) return [problem('directory', path, `it cannot be looked at (${getSystemErrorName(-errno)})`)]
  if ((looks.mode(index) & S_IFMT) !== S_IFDIR) return [problem('directory', path, 'it is not a directory')]
  return [...checkOwner(path, looks.uid(index), owner), ...checkMode(path, looks.mode(index), owner.directoryMode)]
}

export function checkOwner(path: string, uid: number, owner: Owner): readonly Problem[] {
  return uid === owner.uid ? [] : [problem('owner', path, `it belongs to user ${uid}, and the store to ${owner.uid}`)]
}

export function checkMode(path: string, mode: number, expected: number): readonly Problem[] {
  const actual = mode & 0o7777
  return actual === expected
    ? []
    : [problem('mode', path, `its mode is ${octal(actual)} and should be ${octal(expected)}`)]
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}
