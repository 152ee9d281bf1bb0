import { closeSync, existsSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { AppcError } from '../errors.js'
import { stateHome } from '../store/state.js'
import type { Store } from '../store/store.js'
import { syncFile } from '../store/writing.js'

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

/** GNU tar takes away leading slashes, refuses names with .., and follows no link that it has unpacked. */
export function unpackState(file: string, directory: string): void {
  tar(['--extract', `--file=${file === '-' ? '-' : resolve(file)}`, `--directory=${directory}`])
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
