import * as v from 'valibot'
import { AppcError } from '../errors.js'
import { REPLACEMENT } from '../loader/unreadable.js'
import { isReserved, NEVER_COVERED } from './excluded.js'
import { isCanonicalPath } from './schema.js'

/** What a site has set up for one container: files that lie over the host's for it alone, environment, and what it may write. */
export interface Settings {
  /** Sorted by path. */
  readonly files: readonly SettingFile[]
  /** Set for its programs, sorted by name. */
  readonly environment: Readonly<Record<string, string>>
  /** Directories, as programs see them, that are kept for the container in the store's state/; sorted. */
  readonly state: readonly string[]
}

export type SettingFile = OpenSetting | SecretSetting

interface SettingBase {
  /** Where programs find it: absolute, normalised. */
  readonly path: string
  readonly size: number
  /** Permission bits as they were; of an open one the store keeps only whether it can be executed. */
  readonly mode: number
}

/** One that everybody may read: an object of the store. */
export interface OpenSetting extends SettingBase {
  readonly sha256: string
}

/** One that not everybody may read. Its digest is not told here, since short secrets can be found by trying. */
export interface SecretSetting extends SettingBase {
  /** Its name in the store's secrets/. */
  readonly secret: string
}

export const NO_SETTINGS: Settings = { files: [], environment: {}, state: [] }

const MAX_FILES = 10_000
/** A setting is read whole by who shows it. */
export const MAX_SETTING_BYTES = 1 << 26

const path = v.pipe(
  v.string(),
  v.check(isCanonicalPath),
  v.check(text => !isReserved(text)),
)
const base = {
  path,
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  mode: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(0o777)),
}

export const settingsSchema = v.strictObject({
  files: v.pipe(
    v.array(
      v.union([
        v.strictObject({ ...base, sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) }),
        v.strictObject({ ...base, secret: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)) }),
      ]),
    ),
    v.maxLength(MAX_FILES),
  ),
  environment: v.record(v.pipe(v.string(), v.check(isVariable)), v.pipe(v.string(), v.check(fitsVariable))),
  state: v.pipe(v.array(path), v.maxLength(64)),
})

/** All variables together, as execve(2) takes them beside the caller's. */
const MAX_ENVIRONMENT = 1 << 19

/**
 * What is written must be what can be read again, and be laid: nothing below a file, and no state inside of another, in which a program
 * could put a link in its way. Throws SETTING_INVALID.
 */
export function checkSettings(settings: Settings): void {
  const { issues } = v.safeParse(settingsSchema, settings, { abortEarly: true })
  if (issues !== undefined) throw impossible(`${v.getDotPath(issues[0]) ?? 'they'}: ${issues[0].message}`)
  const { files, environment, state } = settings
  const leaves = [...files.map(({ path }) => path), ...state]
  for (const path of leaves) {
    const above = leaves.find(other => path.startsWith(`${other}/`))
    if (above !== undefined) throw impossible(`${path} would lie in ${above}`)
  }
  const twice = leaves.find((path, index) => leaves.indexOf(path) < index)
  if (twice !== undefined) throw impossible(`${twice} is there twice`)
  const bytes = Object.entries(environment).reduce(
    (sum, [name, value]) => sum + name.length + Buffer.byteLength(value),
    0,
  )
  if (bytes > MAX_ENVIRONMENT) throw impossible(`all variables together have ${bytes} bytes`)
}

function impossible(because: string): AppcError {
  return new AppcError('SETTING_INVALID', 'the settings cannot be like this', {
    because,
    hint: 'nothing was changed: choose other paths, or set less',
  })
}

export function isSecret(file: SettingFile): file is SecretSetting {
  return 'secret' in file
}

/** Of a file that not everybody may read: 0644 is open, 0640 and 0600 are secret. */
export function isSecretMode(mode: number): boolean {
  return (mode & 0o004) === 0
}

export function withFile(settings: Settings, file: SettingFile): Settings {
  const others = settings.files.filter(other => other.path !== file.path)
  return { ...settings, files: [...others, file].sort((a, b) => (a.path < b.path ? -1 : 1)) }
}

export function withoutFile(settings: Settings, path: string): Settings {
  return { ...settings, files: settings.files.filter(file => file.path !== path) }
}

export function withVariable(settings: Settings, name: string, value: string | null): Settings {
  const { [name]: _, ...others } = settings.environment
  const all = Object.entries(value === null ? others : { ...others, [name]: value })
  return { ...settings, environment: Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1))) }
}

/** `NAME=VALUE` as it is typed; `isLost`: it cannot be told what was. Throws USAGE. */
export function parseVariable(written: string, isLost: boolean): readonly [string, string] {
  const at = written.indexOf('=')
  const [name, value] = [written.slice(0, Math.max(at, 0)), written.slice(at + 1)]
  const because = isLost ? NOT_UTF8 : whyNoVariable(name, value)
  if (because === null) return [name, value]
  throw new AppcError('USAGE', `${quoted(written)} sets no variable`, {
    because,
    hint: 'for example --env LANG=C.UTF-8',
  })
}

/** What keeps a variable from being set; null where nothing does. */
export function whyNoVariable(name: string, value: string): string | null {
  if (!isVariable(name))
    return 'a variable is NAME=VALUE, its name of at most 255 letters, digits and underscores, and none that the loader obeys'
  if (!fitsVariable(value))
    return `its value has ${Buffer.byteLength(value)} bytes, and must be without NUL and shorter than ${MAX_VALUE}`
  return halfOf(value)
}

/** The loader's variables decide which libraries there are: plans are kept apart by them, so they are the caller's to give. */
function isVariable(name: string): boolean {
  return (
    /^[A-Za-z_][A-Za-z0-9_]{0,254}$/.test(name) && !/^(LD_|GLIBC_TUNABLES$|APPC_)/.test(name) && !isLostInRecords(name)
  )
}

/** Of objects in JSON these are no names: whoever reads them, valibot for one, leaves them out without a word. */
export function isLostInRecords(name: string): boolean {
  return name in {} || name === 'prototype'
}

/** With its name as long as execve(2) takes one (MAX_ARG_STRLEN). */
const MAX_VALUE = 130_000

function fitsVariable(value: string): boolean {
  return !value.includes('\0') && Buffer.byteLength(value) < MAX_VALUE
}

/** Another text would be written in its place. Not asked of what is stored, which was let in before and can still be unset. */
function whatIsLost(text: string): string | null {
  return text.includes(REPLACEMENT) ? `${NOT_UTF8}, or has the sign for bytes that are not (U+FFFD)` : halfOf(text)
}

const NOT_UTF8 = 'it is not UTF-8'

function halfOf(text: string): string | null {
  return /\p{Surrogate}/u.test(text) ? 'it holds half a character (a lone surrogate)' : null
}

/** For messages, in which nobody looks for a hundred kilobytes. */
function quoted(text: string): string {
  return text.length <= 100 ? JSON.stringify(text) : `${JSON.stringify(text.slice(0, 100))}…`
}

/** What decides how libraries are found belongs to deciding: a setting there would make of a plan another one. */
const LOADERS = [/^\/etc\/ld\.so\./, /^\/etc\/ld-musl-/]

/** A path at which a file may be set, or a directory of state be. Throws SETTING_INVALID. */
export function checkSettingPath(path: string, kind: 'file' | 'state'): void {
  const because = refusalOf(path, kind)
  if (because === null) return
  throw new AppcError('SETTING_INVALID', `${quoted(path)} cannot be ${kind === 'file' ? 'a setting' : 'state'}`, {
    because,
    hint: kind === 'file' ? 'for example /etc/app.conf' : 'for example /var/lib/app',
  })
}

/** Why nothing can be set at a path, wherever that is asked: at the path that was given, and at the one that a host's links make of it. */
export function refusalOf(path: string, kind: 'file' | 'state'): string | null {
  const lost = whatIsLost(path)
  if (lost !== null) return lost
  if (path.split('/').some(part => Buffer.byteLength(part) > 255)) return 'a name in it has more than 255 bytes'
  if (!isCanonicalPath(path)) return 'it is not an absolute path without . and ..'
  if (isReserved(path)) return 'appc reserves this name for itself'
  if (Buffer.byteLength(path) > 4000) return 'it is too long'
  if (LOADERS.some(pattern => pattern.test(path))) return 'the loader obeys it, which deciding is to see'
  const covered = NEVER_COVERED.find(directory => path === directory || path.startsWith(`${directory}/`))
  if (kind === 'file' && covered !== undefined) return `${covered} is the host's own and is never laid over`
  if (kind === 'state' && ['/dev', '/proc', '/sys'].some(kernel => `${path}/`.startsWith(`${kernel}/`)))
    return 'it is the kernel’s'
  if (path.lastIndexOf('/') === 0) return 'it lies directly in /, which cannot be laid over'
  return null
}
