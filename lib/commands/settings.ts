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
import { readDocument, readSettingsFile, takeSettingsFile, writeSettingsFile } from '../container/settings-file.js'
import { AppcError } from '../errors.js'
import { openStores } from '../launch/open-store.js'
import { replaceFile } from '../store/replace-file.js'
import { requireOwn, type Stores, storeOf } from '../store/stores.js'
import { isUndecodable } from './arguments.js'
import { editSetting, requireAsItBegan } from './edit.js'
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
export async function runSettings(name: string, words: readonly string[], options: SettingsOptions): Promise<number> {
  const [verb = 'list', ...operands] = words
  const found = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined
  if (found === undefined)
    throw new AppcError('USAGE', `${JSON.stringify(verb)} is nothing that can be done with settings`, {
      hint: `appc settings ${name} does one of: ${Object.keys(VERBS).join(', ')}`,
    })
  const { least, most, usage, run } = found
  refuseOptions(verb, found, options)
  if (operands.length + options.env.length < least || operands.length > most)
    throw new AppcError('USAGE', `settings ${verb} is not used like this`, { hint: `appc settings ${name} ${usage}` })
  await run(openStores(process.env), name, operands, options)
  return 0
}

/** What would be ignored may be what mattered: a secret that is to be left out, a variable that is to be imported. */
function refuseOptions(verb: string, { takes }: Verb, options: SettingsOptions): void {
  const given = { env: options.env.length > 0, includeSecrets: options.includeSecrets, public: options.public }
  const refused = OPTIONS.find(option => given[option] && !takes.includes(option))
  if (refused === undefined) return
  const takers = Object.keys(VERBS).filter(other => VERBS[other]?.takes.includes(refused))
  const written = refused === 'includeSecrets' ? '--include-secrets' : `--${refused}`
  throw new AppcError('USAGE', `settings ${verb} takes no ${written}`, {
    hint: `${written} is for ${takers.join(', ')}`,
  })
}

const OPTIONS = ['env', 'includeSecrets', 'public'] as const

interface Verb {
  /** Operands, variables counted with them. */
  readonly least: number
  /** Operands alone. */
  readonly most: number
  readonly takes: readonly (typeof OPTIONS)[number][]
  readonly usage: string
  readonly run: (
    stores: Stores,
    name: string,
    operands: readonly string[],
    options: SettingsOptions,
  ) => void | Promise<void>
}

const MANY = Number.POSITIVE_INFINITY

const VERBS: Readonly<Record<string, Verb>> = {
  list: {
    least: 0,
    most: 0,
    takes: [],
    usage: 'list',
    run: (stores, name, _, { json }) => listSettings(storeOf(stores, name), name, json),
  },
  show: {
    least: 0,
    most: MANY,
    takes: ['includeSecrets'],
    usage: 'show [PATH…] [--include-secrets]',
    run: (stores, name, paths, options) => showSettings(storeOf(stores, name), name, paths, options),
  },
  set: {
    least: 1,
    most: 2,
    takes: ['env', 'public'],
    usage: 'set PATH FILE [--public], or set --env NAME=VALUE',
    run: set,
  },
  edit: {
    least: 1,
    most: 1,
    takes: ['public'],
    usage: 'edit PATH [--public]',
    run: async (stores, name, [path = ''], options) => {
      checkSettingPath(path, 'file')
      await editSetting(requireOwnStore(stores, name), name, path, options.public, edited => {
        if (edited === null) tell(options, name, null, [])
        else
          change(stores, name, options, (settings, writer) => {
            requireAsItBegan(settings, edited)
            return withFile(settings, takeSetting(writer, settings, path, edited.source))
          })
      })
    },
  },
  unset: { least: 1, most: MANY, takes: ['env'], usage: 'unset PATH…, or unset --env NAME', run: unset },
  import: {
    least: 1,
    most: MANY,
    takes: ['public'],
    usage: 'import PATH… [--public]',
    run: (stores, name, paths, options) => {
      for (const path of paths) checkSettingPath(path, 'file')
      requireOwnStore(stores, name)
      setFiles(stores, name, new Map(paths.map(path => [path, readSource(path, options.public)])), [], options)
    },
  },
  export: {
    least: 1,
    most: 1,
    takes: ['includeSecrets'],
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
    takes: [],
    usage: 'apply FILE',
    run: (stores, name, [file = ''], options) => {
      const document = readSettingsFile(readDocument(file))
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
  const variables = options.env.map(written => parseVariable(written, isUndecodable(written)))
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
      ...options.env.filter(variable => !Object.hasOwn(settings.environment, variable)),
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
