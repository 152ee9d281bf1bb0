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
  const against = files.map(file => ({ file, against: listed(store, file) }))
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

function listed(store: Store, file: SettingFile): Against {
  return isSecret(file) ? 'secret' : compare(hostBytes(file.path), () => readSetting(store, file))
}

interface Shown {
  readonly path: string
  readonly against: Against
  /** A unified diff; null of a secret that is withheld, and where there is none: nothing differs, or no text. */
  readonly diff: string | null
}

/** Secrets only where they are asked for. With `json` one object a line. */
export function showSettings(
  store: Store,
  name: string,
  paths: readonly string[],
  { includeSecrets, json }: { readonly includeSecrets: boolean; readonly json: boolean },
): void {
  const { files } = readCurrent(store, name).settings
  const unknown = paths.find(path => !files.some(file => file.path === path))
  if (unknown !== undefined)
    throw new AppcError('SETTING_UNKNOWN', `${name} has no setting ${unknown}`, {
      hint: `appc settings ${name} lists what it has`,
    })
  const chosen = paths.length === 0 ? files : files.filter(({ path }) => paths.includes(path))
  const shown = chosen.map(file => (isSecret(file) && !includeSecrets ? withheld(file) : shownOf(store, file)))
  const lines = shown.map(each => (json ? JSON.stringify({ schema: 'appc.setting/1', ...each }) : asText(each)))
  process.stdout.write(lines.map(line => `${line}\n`).join(''))
}

function withheld({ path }: SettingFile): Shown {
  return { path, against: 'secret', diff: null }
}

function shownOf(store: Store, file: SettingFile): Shown {
  const { path } = file
  const [host, own] = [hostBytes(path), readSetting(store, file)]
  const diff = host === 'unreadable' ? null : textDiff(path, host, own, ['host', 'setting'])
  return { path, against: compare(host, () => own), diff }
}

function asText({ path, against, diff }: Shown): string {
  const said = against === 'differs from the host' ? `${against}, and is no text` : against
  return visibleText(diff?.trimEnd() ?? `${path}: ${said}`)
}

function compare(host: ReturnType<typeof hostBytes>, own: () => Buffer): Against {
  if (host === null) return 'the host has none'
  if (host === 'unreadable') return 'the host’s cannot be read'
  return host.equals(own()) ? 'as the host has it' : 'differs from the host'
}

function hostBytes(path: string): Buffer | 'unreadable' | null {
  try {
    return readSource(path).bytes
  } catch (error) {
    if (!(error instanceof AppcError)) throw error
    return error.code === 'FILE_MISSING' ? null : 'unreadable'
  }
}
