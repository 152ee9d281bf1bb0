import type { SpawnSyncReturns } from 'node:child_process'
import { existsSync, fstatSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import { AppcError } from '../errors.js'
import { replaceBy } from '../store/replace-file.js'
import { stateHome } from '../store/state.js'
import type { Store } from '../store/store.js'

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
  const create = ['--create', '--file=-', '--sparse', `--directory=${home}`, '.']
  if (file === '-') requireDone(tar(create, 'inherit'), MAKING)
  else replaceBy(file, 0o600, fd => createInto(fd, create))
}

function createInto(fd: number, create: readonly string[]): void {
  const ended = tar(create, fd)
  // tar tells only in words what it could not do: where writing was that, it fails once more. A pipe that is read takes nothing false.
  if (ended.status !== 0 && (ended.signal === 'SIGPIPE' || !fstatSync(fd).isFIFO())) writeSync(fd, Buffer.alloc(RECORD))
  requireDone(ended, MAKING)
}

const MAKING = 'see that all of it can be read: appc state NAME tells where it is'

/** What tar writes at once. */
const RECORD = 10240

/** GNU tar takes away leading slashes, refuses names with .., and follows no link that it has unpacked. */
export function unpackState(file: string, directory: string): void {
  const archive = file === '-' ? '-' : resolve(file)
  requireDone(
    tar(['--extract', `--file=${archive}`, `--directory=${directory}`], 'inherit'),
    'tar --list tells whether it is one',
  )
}

type Ended = SpawnSyncReturns<string>

function tar(args: readonly string[], output: number | 'inherit'): Ended {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const all = ['--xattrs', '--acls', '--numeric-owner', ...args]
  return spawnSync('tar', all, { stdio: ['inherit', output, 'pipe'], encoding: 'utf8' })
}

function requireDone({ status, stderr, error }: Ended, hint: string): void {
  if (status === 0) return
  throw new AppcError('STATE_ARCHIVE', 'the archive of state could not be made or unpacked', {
    because: error?.message ?? (stderr.trim().split('\n')[0] || `tar ended with status ${status}`),
    hint: error === undefined ? hint : 'install tar',
  })
}
