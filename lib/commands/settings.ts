import { readFileSync } from 'node:fs'
import { changeSettings } from '../container/change.js'
import { readCurrent } from '../container/containers.js'
import { readSource, type SettingSource, takeSetting } from '../container/setting-files.js'
import {
  checkSettingPath,
  isSecret,
  parseVariable,
  type Settings,
  withFile,
  withoutFile,
  withVariable,
} from '../container/settings.js'
import { readSettingsFile, takeSettingsFile, writeSettingsFile } from '../container/settings-file.js'
import { AppcError } from '../errors.js'
import { openStores } from '../launch/open-store.js'
import { replaceFile } from '../store/replace-file.js'
import { requireOwn, type Stores, storeOf } from '../store/stores.js'
import { editSetting } from './edit.js'
import { visibleLines } from './report.js'
import { listSettings, showSettings } from './show-settings.js'

export interface SettingsOptions {
  readonly env: readonly string[]
  readonly includeSecrets: boolean
  /** What lies in a closed directory is no secret for that. */
  readonly public: boolean
  readonly json: boolean
}

/** `appc settings NAME [VERB …]`: always 0, or an error. */
export function runSettings(name: string, words: readonly string[], options: SettingsOptions): number {
  const [verb = 'list', ...operands] = words
  const found = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined
  if (found === undefined)
    throw new AppcError('USAGE', `${JSON.stringify(verb)} is nothing that can be done with settings`, {
      hint: `appc settings ${name} does one of: ${Object.keys(VERBS).join(', ')}`,
    })
  const { least, most, usage, run } = found
  const count = operands.length + (verb === 'set' || verb === 'unset' ? options.env.length : 0)
  if (count < least || operands.length > most)
    throw new AppcError('USAGE', `settings ${verb} is not used like this`, { hint: `appc settings ${name} ${usage}` })
  run(openStores(process.env), name, operands, options)
  return 0
}

interface Verb {
  readonly least: number
  readonly most: number
  readonly usage: string
  readonly run: (stores: Stores, name: string, operands: readonly string[], options: SettingsOptions) => void
}

const MANY = Number.POSITIVE_INFINITY

const VERBS: Readonly<Record<string, Verb>> = {
  list: {
    least: 0,
    most: 0,
    usage: 'list',
    run: (stores, name, _, { json }) => listSettings(storeOf(stores, name), name, json),
  },
  show: {
    least: 0,
    most: MANY,
    usage: 'show [PATH…]',
    run: (stores, name, paths, { includeSecrets }) => showSettings(storeOf(stores, name), name, paths, includeSecrets),
  },
  set: { least: 1, most: 2, usage: 'set PATH FILE, or set --env NAME=VALUE', run: set },
  edit: {
    least: 1,
    most: 1,
    usage: 'edit PATH',
    run: (stores, name, [path = ''], options) => {
      checkSettingPath(path, 'file')
      const source = editSetting(requireOwnStore(stores, name), name, path)
      if (source !== null) setFiles(stores, name, new Map([[path, source]]), [], options)
      else tell(options, name, null, [])
    },
  },
  unset: { least: 1, most: MANY, usage: 'unset PATH…, or unset --env NAME', run: unset },
  import: {
    least: 1,
    most: MANY,
    usage: 'import PATH…',
    run: (stores, name, paths, options) => {
      for (const path of paths) checkSettingPath(path, 'file')
      requireOwnStore(stores, name)
      setFiles(stores, name, new Map(paths.map(path => [path, readSource(path, options.public)])), [], options)
    },
  },
  export: {
    least: 1,
    most: 1,
    usage: 'export FILE [--include-secrets]',
    run: (stores, name, [file = ''], { includeSecrets }) => {
      const store = storeOf(stores, name)
      const text = writeSettingsFile(store, readCurrent(store, name).settings, includeSecrets)
      if (file === '-') process.stdout.write(text)
      else replaceFile(file, text, includeSecrets ? 0o600 : 0o644)
    },
  },
  apply: {
    least: 1,
    most: 1,
    usage: 'apply FILE',
    run: (stores, name, [file = ''], options) => {
      const document = readSettingsFile(file === '-' ? readFileSync(0) : readSource(file).bytes)
      change(stores, name, options, (settings, writer) => takeSettingsFile(document, settings, writer))
    },
  },
}

function set(stores: Stores, name: string, operands: readonly string[], options: SettingsOptions): void {
  const [path, file] = operands
  if ((path === undefined) !== (file === undefined))
    throw new AppcError('USAGE', 'settings set takes a path and a file', {
      hint: `appc settings ${name} set /etc/app.conf FILE`,
    })
  const variables = options.env.map(parseVariable)
  if (path !== undefined) checkSettingPath(path, 'file')
  requireOwnStore(stores, name)
  const files = path === undefined || file === undefined ? [] : [[path, readSource(file, options.public)] as const]
  setFiles(stores, name, new Map(files), variables, options)
}

function setFiles(
  stores: Stores,
  name: string,
  files: ReadonlyMap<string, SettingSource>,
  variables: readonly (readonly [string, string])[],
  options: SettingsOptions,
): void {
  change(stores, name, options, (settings, writer) => {
    let changed = settings
    for (const [path, source] of files) changed = withFile(changed, takeSetting(writer, settings, path, source))
    for (const [variable, value] of variables) changed = withVariable(changed, variable, value)
    return changed
  })
}

function unset(stores: Stores, name: string, paths: readonly string[], options: SettingsOptions): void {
  change(stores, name, options, settings => {
    const unknown = [
      ...paths.filter(path => !settings.files.some(file => file.path === path)),
      ...options.env.filter(variable => settings.environment[variable] === undefined),
    ]
    if (unknown[0] !== undefined)
      throw new AppcError('SETTING_UNKNOWN', `${name} has no setting ${unknown[0]}`, {
        hint: `appc settings ${name} lists what it has`,
      })
    const without = paths.reduce(withoutFile, settings)
    return options.env.reduce((rest, variable) => withVariable(rest, variable, null), without)
  })
}

function change(
  stores: Stores,
  name: string,
  options: SettingsOptions,
  make: Parameters<typeof changeSettings>[3],
): void {
  const store = requireOwnStore(stores, name)
  const before = readCurrent(store, name)
  const after = changeSettings(store, name, 'settings', make)
  tell(
    options,
    name,
    after === before.number ? null : after,
    newSecrets(before.settings, readCurrent(store, name).settings),
  )
}

function requireOwnStore(stores: Stores, name: string): Stores['own'] {
  requireOwn(stores, name)
  return stores.own
}

/** What became secret for its file's sake may surprise: programs of other users cannot read it. */
function newSecrets(before: Settings, after: Settings): readonly string[] {
  const known = new Set(before.files.filter(isSecret).map(({ path }) => path))
  return after.files.filter(file => isSecret(file) && !known.has(file.path)).map(({ path }) => path)
}

function tell({ json }: SettingsOptions, name: string, generation: number | null, secrets: readonly string[]): void {
  const text = generation === null ? `${name} is set up so already` : `${name} has generation ${generation} now`
  const notes = secrets.map(path => `${path} is kept secret, as not everybody may read the file that it is from`)
  const answer = JSON.stringify({ schema: 'appc.settings-changed/1', name, generation, secrets })
  process.stdout.write(`${json ? answer : visibleLines([text, ...notes])}\n`)
}
