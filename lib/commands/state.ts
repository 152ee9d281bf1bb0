import { changeSettings } from '../container/change.js'
import { readCurrent, readDocuments } from '../container/containers.js'
import { checkSettingPath } from '../container/settings.js'
import { AppcError } from '../errors.js'
import { openStores } from '../launch/open-store.js'
import { findRunning } from '../launch/running.js'
import { exportState } from '../launch/state-archive.js'
import { type Imported, importState } from '../launch/state-import.js'
import { stateBytes, stateHome, statePath } from '../store/state.js'
import type { Store } from '../store/store.js'
import { requireOwn, type Stores, storeOf } from '../store/stores.js'
import { human, visibleLines } from './report.js'
import { table } from './table.js'

interface StateOptions {
  readonly json: boolean
}

/** `appc state NAME [VERB …]`: always 0, or an error. */
export function runState(name: string, words: readonly string[], options: StateOptions): number {
  const [verb = 'list', operand, ...others] = words
  const run = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined
  const takes = verb === 'list' ? 0 : 1
  if (run === undefined || others.length > 0 || (operand === undefined ? 0 : 1) !== takes)
    throw new AppcError('USAGE', `state ${words.join(' ')} is not used like this`, {
      hint: `appc state ${name} [list], add PATH, drop PATH, export FILE or import FILE`,
    })
  run(openStores(process.env), name, operand ?? '', options)
  return 0
}

const VERBS: Readonly<Record<string, (stores: Stores, name: string, operand: string, options: StateOptions) => void>> =
  {
    list,
    add: (stores, name, path, options) => {
      checkSettingPath(path, 'state')
      change(stores, name, options, state => [...new Set([...state, path])].sort())
    },
    drop: (stores, name, path, options) =>
      change(stores, name, options, state => {
        if (state.includes(path)) return state.filter(other => other !== path)
        throw new AppcError('SETTING_UNKNOWN', `${name} has no state ${path}`, { hint: `appc state ${name} lists it` })
      }),
    export: (stores, name, file) => {
      storeOf(stores, name)
      exportState(stores.own, name, file)
    },
    import: (stores, name, file, options) => {
      const store = storeOf(stores, name)
      const imported = importState(stores.own, name, file, {
        paths: () => keptPaths(store, name),
        requireStill: () => requireStill(stores, name),
      })
      tellImported(name, imported, options)
    },
  }

/** Of all generations: an export has what is kept for older ones too, to which a rollback may return. */
function keptPaths(store: Store, name: string): readonly string[] {
  return [...new Set(readDocuments(store, name).flatMap(({ settings }) => settings.state))].sort()
}

function tellImported(name: string, imported: Imported, { json }: StateOptions): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ schema: 'appc.state-imported/1', name, ...imported })}\n`)
    return
  }
  const { left, emptied } = imported
  const lines = [
    ...(left.length > 0 ? [`appc: left out, being no state of ${name}: ${some(left)}`] : []),
    ...(emptied.length > 0 ? [`appc: empty now, as the archive has nothing of it: ${some(emptied)}`] : []),
  ]
  if (lines.length > 0) process.stderr.write(`${visibleLines(lines)}\n`)
}

/** So many are named. */
const SOME = 5

function some(paths: readonly string[]): string {
  return `${paths.slice(0, SOME).join(', ')}${paths.length > SOME ? ` and ${paths.length - SOME} more` : ''}`
}

/** What is kept is the caller's own, whose the container may be. */
function list(stores: Stores, name: string, _: string, { json }: StateOptions): void {
  const { state } = readCurrent(storeOf(stores, name), name).settings
  const rows = state.map(path => ({
    path,
    kept: statePath(stores.own, name, path),
    bytes: stateBytes(stores.own, name, path),
  }))
  if (json) {
    const answer = { schema: 'appc.state/1', name, home: stateHome(stores.own, name), state: rows }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
    return
  }
  const lines =
    rows.length === 0
      ? [`nothing is kept for ${name}`]
      : table([
          ['PATH', 'SIZE', 'KEPT IN'],
          ...rows.map(({ path, kept, bytes }) => [path, bytes === null ? '-' : human(bytes), kept]),
        ])
  process.stdout.write(`${visibleLines(lines)}\n`)
}

function change(
  stores: Stores,
  name: string,
  { json }: StateOptions,
  make: (state: readonly string[]) => readonly string[],
): void {
  requireOwn(stores, name)
  const before = readCurrent(stores.own, name).number
  const number = changeSettings(stores.own, name, 'state', settings => ({ ...settings, state: make(settings.state) }))
  const generation = number === before ? null : number
  const text = generation === null ? `${name} is set up so already` : `${name} has generation ${generation} now`
  const answer = JSON.stringify({ schema: 'appc.settings-changed/1', name, generation })
  process.stdout.write(`${json ? answer : visibleLines([text])}\n`)
}

/** What is exchanged under a program that writes there would be two halves. */
function requireStill({ own }: Stores, name: string): void {
  const running = findRunning(own).filter(container => container.name === name)
  if (running.length === 0) return
  const pids = running.map(({ leader }) => leader.pid).join(', ')
  throw new AppcError('CONTAINER_IN_USE', `${name} runs`, {
    because: `what it has written cannot be exchanged meanwhile: ${pids}`,
    hint: `appc stop ${name}`,
  })
}
