import { once } from 'node:events'
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
 * Has a setting edited by the user's editor: as it is set, else as the host has it (`isPublic` as of `readSource`), else empty. null
 * where it was left as it was. The editor works on a copy in a directory that nobody else may enter.
 */
export async function editSetting(
  store: Store,
  name: string,
  path: string,
  isPublic: boolean,
): Promise<SettingSource | null> {
  // Before anybody has worked in vain.
  checkPlaces(store, readCurrent(store, name), { files: [path], state: [] })
  const before = currentSource(store, name, path, isPublic)
  const bytes = await whileSignalsWait(() => editBytes(basename(path), before.bytes))
  return before.isThere && bytes.equals(before.bytes) ? null : { ...before, bytes }
}

async function editBytes(name: string, bytes: Buffer): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), 'appc-edit-'))
  try {
    const copy = join(directory, name)
    writeFileSync(copy, bytes, { mode: 0o600 })
    await runEditor(copy)
    return readSource(copy).bytes
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What a terminal sends to all that run on it: the editor may live on, and what becomes of the edit is for it to say. */
const FOR_THE_EDITOR = ['SIGINT', 'SIGQUIT'] as const
const FOR_APPC = ['SIGTERM', 'SIGHUP'] as const

/** Nothing ends appc before the copy is removed, which may hold a secret. Whom a signal was to end it ends then. */
async function whileSignalsWait<T>(run: () => Promise<T>): Promise<T> {
  let fatal: NodeJS.Signals | null = null
  const ignore = () => {}
  const note = (signal: NodeJS.Signals) => {
    fatal = signal
  }
  for (const signal of FOR_THE_EDITOR) process.on(signal, ignore)
  for (const signal of FOR_APPC) process.on(signal, note)
  try {
    return await run()
  } finally {
    for (const signal of FOR_THE_EDITOR) process.off(signal, ignore)
    for (const signal of FOR_APPC) process.off(signal, note)
    if (fatal !== null) process.kill(process.pid, fatal)
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
async function runEditor(file: string): Promise<void> {
  const editor = process.env.VISUAL || process.env.EDITOR || 'vi'
  const { spawn } = process.getBuiltinModule('node:child_process')
  // Not spawnSync: signals are noted only by who waits in the event loop.
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, editor, file], { stdio: 'inherit' })
  const because = await once(child, 'close').then(
    ([status, signal]) => (signal === null ? statusInWords(status) : `it was ended by ${signal}`),
    (error: Error) => error.message,
  )
  if (because === null) return
  throw new AppcError('USAGE', `the editor ${editor} did not finish`, {
    because,
    hint: 'nothing was changed; EDITOR says which editor is used',
  })
}

function statusInWords(status: number): string | null {
  return status === 0 ? null : `it ended with status ${status}`
}
