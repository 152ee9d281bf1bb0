import { closeSync, existsSync, fsyncSync, mkdtempSync, openSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { AppcError } from '../errors.js'
import { stateHome } from '../store/state.js'
import type { Store } from '../store/store.js'
import { makeDirectory, syncDirectory, writing } from '../store/writing.js'

/** Writes all that a container's programs have written as an archive of tar; with owners, modes and extended attributes. */
export function exportState(store: Store, name: string, file: string): void {
  const home = stateHome(store, name)
  if (!existsSync(home))
    throw new AppcError('SETTING_UNKNOWN', `nothing is kept for ${name}`, {
      hint: `appc state ${name} add PATH gives its programs a directory to write`,
    })
  const destination = resolve(file)
  const aside = join(dirname(destination), `.${basename(destination)}.${crypto.randomUUID()}`)
  try {
    tar(['--create', `--file=${aside}`, '--sparse', `--directory=${home}`, '.'])
    sync(aside)
    renameSync(aside, destination)
  } catch (error) {
    rmSync(aside, { force: true })
    throw error
  }
}

/** Replaces all of it by what the archive holds, once that is unpacked as a whole; what was there is gone then. */
export function importState(store: Store, name: string, file: string): void {
  const home = stateHome(store, name)
  const aside = writing(store.home, () => mkdtempSync(join(store.home, 'tmp', 'state-')))
  try {
    // tar(1) of GNU takes away leading slashes and refuses names with .. by itself, and follows no link that it has unpacked.
    tar(['--extract', `--file=${resolve(file)}`, `--directory=${aside}`])
    writing(store.home, () => {
      syncAll(store, aside)
      makeDirectory(dirname(home), 0o755)
      const before = `${aside}.before`
      if (existsSync(home)) renameSync(home, before)
      renameSync(aside, home)
      syncDirectory(dirname(home))
      rmSync(before, { recursive: true, force: true })
    })
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

function syncAll({ system }: Store, directory: string): void {
  const fd = openSync(directory, 'r')
  try {
    system.syncfs(fd)
  } finally {
    closeSync(fd)
  }
}

function sync(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function tar(args: readonly string[]): void {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const all = ['--xattrs', '--acls', '--numeric-owner', ...args]
  const { status, stderr, error } = spawnSync('tar', all, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
  if (status === 0) return
  throw new AppcError('STATE_ARCHIVE', 'the archive of state could not be made or unpacked', {
    because: error?.message ?? stderr.trim().split('\n').at(-1) ?? `tar ended with status ${status}`,
    hint: error === undefined ? null : 'install tar',
  })
}
