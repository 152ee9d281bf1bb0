import { once } from 'node:events'
import { chmodSync, lstatSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readCurrent } from '../container/containers.js'
import { readSetting, readSource, type SettingSource } from '../container/setting-files.js'
import { checkPlaces } from '../container/setting-places.js'
import { isSecret, type SettingFile, type Settings } from '../container/settings.js'
import { AppcError } from '../errors.js'
import { readSecretFacts } from '../store/secrets.js'
import type { Store } from '../store/store.js'
import { inTemporary, makeTemporary } from '../store/temporary.js'
import { asKnown, visible } from './report.js'

/** What came of editing a setting, and what the container had there when it began: undefined where that was nothing. */
export interface Edited {
  readonly path: string
  readonly source: SettingSource
  readonly began: SettingFile | undefined
}

/**
 * Has a setting edited by the user's editor: as it is set, else as the host has it (`isPublic` as of `readSource`), else empty. `take` gets
 * what came of it; null where it was left as it was. Nobody's work is lost: where `take` throws, the edited copy is kept. The editor
 * works on a copy in a directory that nobody else may enter.
 */
export async function editSetting(
  store: Store,
  name: string,
  path: string,
  isPublic: boolean,
  take: (edited: Edited | null) => void,
): Promise<void> {
  const current = readCurrent(store, name)
  // Before anybody has worked in vain.
  checkPlaces(store, current, { files: [path], state: [] })
  const began = settingAt(current.settings, path)
  const before = began === undefined ? hostSource(path, isPublic) : settingSource(store, began)
  await whileSignalsWait(isToEnd =>
    withCopy(basename(path), before.bytes, async (copy, keep) => {
      await runEditor(copy)
      if (isToEnd()) return
      keptWhereItFails(copy, keep, () => {
        const { bytes } = readSource(copy)
        take(bytes.equals(before.bytes) ? null : { path, source: { ...before, bytes }, began })
      })
    }),
  )
}

/** Where another has set the same meanwhile, his stays. Throws SETTING_CHANGED. */
export function requireAsItBegan(settings: Settings, { path, began }: Edited): void {
  if (JSON.stringify(settingAt(settings, path)) === JSON.stringify(began)) return
  throw new AppcError('SETTING_CHANGED', `${path} is not changed by what was edited`, {
    because: 'somebody else has changed it meanwhile',
    hint: 'edit again, and take over what you need of your version',
  })
}

function settingAt({ files }: Settings, path: string): SettingFile | undefined {
  return files.find(file => file.path === path)
}

/** Removes the copy in the end, unless it is to be kept. */
async function withCopy(
  name: string,
  bytes: Buffer,
  use: (copy: string, keep: () => void) => Promise<void>,
): Promise<void> {
  const directory = makeTemporary('appc-edit-')
  let isKept = false
  try {
    const copy = join(directory, name)
    inTemporary(() => writeFileSync(copy, bytes, { mode: 0o600 }))
    await use(copy, () => {
      isKept = true
    })
  } finally {
    if (!isKept) rmSync(directory, { recursive: true, force: true })
  }
}

function keptWhereItFails(copy: string, keep: () => void, take: () => void): void {
  try {
    take()
  } catch (error) {
    const there = lstatSync(copy, { throwIfNoEntry: false })
    // The editor may have taken it away, or made another one, as open as the umask lets it be.
    if (there === undefined) throw error
    keep()
    if (there.isFile()) chmodSync(copy, 0o600)
    throw withHint(asKnown(error), `what was edited is kept in ${visible(copy)}`)
  }
}

function withHint(error: AppcError, more: string): AppcError {
  const { code, message, because, hint, step, path, errno } = error
  const hints = hint === null ? more : `${hint}\n${more}`
  return new AppcError(code, message, { because, hint: hints, step, path, errno, cause: error.cause })
}

/** What a terminal sends to all that run on it: the editor may live on, and what becomes of the edit is for it to say. */
const FOR_THE_EDITOR = ['SIGINT', 'SIGQUIT'] as const
const FOR_APPC = ['SIGTERM', 'SIGHUP'] as const

/** Nothing ends appc before the copy is removed, which may hold a secret. Whom a signal was to end it ends then. */
async function whileSignalsWait<T>(run: (isToEnd: () => boolean) => Promise<T>): Promise<T> {
  let fatal: NodeJS.Signals | null = null
  const ignore = () => {}
  const note = (signal: NodeJS.Signals) => {
    fatal = signal
  }
  for (const signal of FOR_THE_EDITOR) process.on(signal, ignore)
  for (const signal of FOR_APPC) process.on(signal, note)
  try {
    return await run(() => fatal !== null)
  } finally {
    for (const signal of FOR_THE_EDITOR) process.off(signal, ignore)
    for (const signal of FOR_APPC) process.off(signal, note)
    if (fatal !== null) process.kill(process.pid, fatal)
  }
}

function settingSource(store: Store, file: SettingFile): SettingSource {
  const { uid, gid } = isSecret(file) ? readSecretFacts(store, file.secret) : caller()
  return { bytes: readSetting(store, file), mode: file.mode, uid, gid }
}

function hostSource(path: string, isPublic: boolean): SettingSource {
  try {
    return readSource(path, isPublic)
  } catch (error) {
    if (!(error instanceof AppcError && error.code === 'FILE_MISSING')) throw error
    return { bytes: Buffer.alloc(0), mode: 0o644, ...caller() }
  }
}

function caller() {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
}

/** Words without anything that only a shell understands. */
const PLAIN_COMMAND = /^(?!(command|eval|exec) )[\w./+-]+( +[\w./+-]+)*$/

/** As git and others do: the variable may hold a command with options, which a shell takes apart. */
async function runEditor(file: string): Promise<void> {
  const editor = process.env.VISUAL || process.env.EDITOR || 'vi'
  const isPlain = PLAIN_COMMAND.test(editor)
  const { spawn } = process.getBuiltinModule('node:child_process')
  // Not spawnSync: signals are noted only by who waits in the event loop.
  const child = spawn('/bin/sh', ['-c', `${isPlain ? 'exec ' : ''}${editor} "$1"`, editor, file], { stdio: 'inherit' })
  // Whoever ends appc alone would otherwise wait for somebody to leave the editor. Not passed on to a shell, which would end, and the copy
  // be removed under an editor that goes on.
  const pass = (signal: NodeJS.Signals) => {
    if (isPlain) child.kill(signal)
  }
  for (const signal of FOR_APPC) process.on(signal, pass)
  const because = await once(child, 'close').then(
    ([status, signal]) => (signal === null ? statusInWords(status) : `it was ended by ${signal}`),
    (error: Error) => error.message,
  )
  for (const signal of FOR_APPC) process.off(signal, pass)
  if (because === null) return
  throw new AppcError('USAGE', `the editor ${editor} did not finish`, {
    because,
    hint: 'nothing was changed; EDITOR says which editor is used',
  })
}

function statusInWords(status: number): string | null {
  return status === 0 ? null : `it ended with status ${status}`
}
