import { readCurrent } from '../container/containers.js'
import { textDiff } from '../container/difference.js'
import { readSetting, readSource } from '../container/setting-files.js'
import { isSecret, type SettingFile } from '../container/settings.js'
import { AppcError } from '../errors.js'
import type { Store } from '../store/store.js'
import { human, visibleLines, visibleText } from './report.js'
import { table } from './table.js'

/** How a setting stands to the host's own file. */
type Against =
  | 'the host has none'
  | 'as the host has it'
  | 'differs from the host'
  | 'the host’s cannot be read'
  | 'secret'

export function listSettings(store: Store, name: string, json: boolean): void {
  const { number, settings } = readCurrent(store, name)
  const { files, environment, state } = settings
  const against = files.map(file => ({ file, against: compare(store, file) }))
  if (json) {
    const shown = against.map(({ file: { path, mode, size, ...rest }, against }) => ({
      path,
      mode,
      size,
      secret: 'secret' in rest,
      against,
    }))
    const answer = { schema: 'appc.settings/1', name, generation: number, files: shown, environment, state }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
    return
  }
  const rows = against.map(({ file, against }) => [
    file.path,
    file.mode.toString(8).padStart(4, '0'),
    human(file.size),
    against,
  ])
  const lines = [
    ...(rows.length === 0 ? [] : table([['PATH', 'MODE', 'SIZE', 'AGAINST THE HOST'], ...rows])),
    ...Object.entries(environment).map(([variable, value]) => `${variable}=${value}`),
    ...state.map(path => `state ${path}`),
  ]
  process.stdout.write(`${visibleLines(lines.length === 0 ? [`nothing is set for ${name}`] : lines)}\n`)
}

/** Secrets only where they are asked for. */
export function showSettings(store: Store, name: string, paths: readonly string[], includeSecrets: boolean): void {
  const { files } = readCurrent(store, name).settings
  const unknown = paths.find(path => !files.some(file => file.path === path))
  if (unknown !== undefined)
    throw new AppcError('SETTING_UNKNOWN', `${name} has no setting ${unknown}`, {
      hint: `appc settings ${name} lists what it has`,
    })
  const chosen = paths.length === 0 ? files : files.filter(({ path }) => paths.includes(path))
  const texts = chosen.map(file => (isSecret(file) && !includeSecrets ? `${file.path}: secret` : diffText(store, file)))
  process.stdout.write(texts.map(text => `${visibleText(text)}\n`).join(''))
}

function diffText(store: Store, file: SettingFile): string {
  const host = hostBytes(file.path)
  if (host === 'unreadable') return `${file.path}: the host’s cannot be read`
  const own = readSetting(store, file)
  if (host?.equals(own)) return `${file.path}: as the host has it`
  const text = textDiff(file.path, host, own, ['host', 'setting'])
  return text?.trimEnd() ?? `${file.path}: differs from the host, and is no text`
}

function compare(store: Store, file: SettingFile): Against {
  if (isSecret(file)) return 'secret'
  const host = hostBytes(file.path)
  if (host === null) return 'the host has none'
  if (host === 'unreadable') return 'the host’s cannot be read'
  return host.equals(readSetting(store, file)) ? 'as the host has it' : 'differs from the host'
}

function hostBytes(path: string): Buffer | 'unreadable' | null {
  try {
    return readSource(path).bytes
  } catch (error) {
    if (!(error instanceof AppcError)) throw error
    return error.code === 'FILE_MISSING' ? null : 'unreadable'
  }
}
