import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { readCurrent } from '../container/containers.js'
import { readSetting, readSource, type SettingSource } from '../container/setting-files.js'
import { checkPlaces } from '../container/setting-places.js'
import { isSecret } from '../container/settings.js'
import { AppcError } from '../errors.js'
import { readSecretFacts } from '../store/secrets.js'
import type { Store } from '../store/store.js'

/**
 * Has a setting edited by the user's editor: as it is set, else as the host has it, else empty. `isPublic`: as `readSource`
 * has it, of the host's. null where it was left as it was. The
 * editor works on a copy in a directory that nobody else may enter.
 */
export function editSetting(store: Store, name: string, path: string, isPublic: boolean): SettingSource | null {
  // Before anybody has worked in vain.
  checkPlaces(store, readCurrent(store, name), { files: [path], state: [] })
  const before = currentSource(store, name, path, isPublic)
  const directory = mkdtempSync(join(tmpdir(), 'appc-edit-'))
  try {
    const copy = join(directory, basename(path))
    writeFileSync(copy, before.bytes, { mode: 0o600 })
    runEditor(copy)
    const { bytes } = readSource(copy)
    return before.isThere && bytes.equals(before.bytes) ? null : { ...before, bytes }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function currentSource(
  store: Store,
  name: string,
  path: string,
  isPublic: boolean,
): SettingSource & { readonly isThere: boolean } {
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  const known = readCurrent(store, name).settings.files.find(file => file.path === path)
  if (known !== undefined) {
    const access = isSecret(known) ? readSecretFacts(store, known.secret) : owner
    return { bytes: readSetting(store, known), mode: known.mode, uid: access.uid, gid: access.gid, isThere: true }
  }
  try {
    return { ...readSource(path, isPublic), isThere: true }
  } catch (error) {
    if (!(error instanceof AppcError && error.code === 'FILE_MISSING')) throw error
    return { bytes: Buffer.alloc(0), mode: 0o644, ...owner, isThere: false }
  }
}

/** As git and others do: the variable may hold a command with options, which a shell takes apart. */
function runEditor(file: string): void {
  const editor = process.env.VISUAL || process.env.EDITOR || 'vi'
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { status, signal, error } = spawnSync('/bin/sh', ['-c', `${editor} "$1"`, editor, file], { stdio: 'inherit' })
  if (status === 0) return
  throw new AppcError('USAGE', `the editor ${editor} did not finish`, {
    because: error?.message ?? (signal === null ? `it ended with status ${status}` : `it was ended by ${signal}`),
    hint: 'nothing was changed; EDITOR says which editor is used',
  })
}
