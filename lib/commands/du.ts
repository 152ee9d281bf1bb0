import { isExecutable, readContainer } from '../container/containers.js'
import { type Cost, costOf, type Holding, holdingOf } from '../container/cost.js'
import type { Manifest } from '../container/types.js'
import { openStores } from '../launch/open-store.js'
import { decisionToTell } from '../launch/told.js'
import { isUnknownContainer, listRefs } from '../store/refs.js'
import { type Store, withLock } from '../store/store.js'
import { listNames, type Stores, storeOf } from '../store/stores.js'
import { type Usage, usageOf } from '../store/usage.js'
import { human, reportError, visible } from './report.js'
import { table } from './table.js'

/** What one container costs, in bytes. */
interface Row extends Cost {
  readonly name: string
  readonly store: string
  readonly generations: number
  /** Of its files, what is laid over this host; null where it cannot run here. */
  readonly private: number | null
  /** And what this host has, too. */
  readonly host: number | null
}

/** `appc du`: one damaged container does not hide the others; then the status is that of its error. */
export function runDu(names: readonly string[], { json }: { readonly json: boolean }): number {
  const stores = openStores(process.env)
  const wanted =
    names.length === 0 ? listNames(stores) : [...new Set(names)].map(name => ({ name, store: storeOf(stores, name) }))
  let status = 0
  const rows: Row[] = []
  const holdings = new Map<Store, readonly Holding[]>()
  const tell = (error: unknown) => {
    status = reportError('appc', error, json)
  }
  for (const { name, store } of wanted) {
    const all = holdings.get(store) ?? holdingsIn(store, tell)
    holdings.set(store, all)
    const holding = all.find(holding => holding.name === name)
    if (holding === undefined) continue
    try {
      rows.push(rowOf(stores, store, holding, all))
    } catch (error) {
      if (!isUnknownContainer(error) || names.length > 0) tell(error)
    }
  }
  const usage = usageOf(stores.own)
  process.stdout.write(`${json ? asJson(rows, stores.own, usage) : asText(rows, stores.own, usage)}\n`)
  return status
}

/**
 * Of all containers of a store, as what they have in common is asked for. Under the lock: of generations that are forgotten meanwhile the
 * manifests are collected.
 */
function holdingsIn(store: Store, tell: (error: unknown) => void): readonly Holding[] {
  const holdings = () =>
    listRefs(store).flatMap(name => {
      try {
        return [holdingOf(store, name)]
      } catch (error) {
        if (!isUnknownContainer(error)) tell(error)
        return []
      }
    })
  return withLock(store, 'shared', holdings)
}

function rowOf({ own }: Stores, store: Store, holding: Holding, all: readonly Holding[]): Row {
  const { name, generations } = holding
  const { runnable, laid } = decisionToTell(own, store, name, '/')
  return {
    name,
    store: store.home,
    generations,
    private: runnable ? laid.bytes : null,
    host: runnable ? bytesOf(readContainer(store, name).manifest) - laid.bytes : null,
    ...costOf(store, holding, all),
  }
}

/** What is the same counts once. */
function bytesOf({ files }: Manifest): number {
  const regular = files.flatMap(file => (file.type === 'file' ? [file] : []))
  const sizes = new Map(regular.map(({ sha256, mode, size }) => [`${sha256}${isExecutable(mode)}`, size]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

function asJson(containers: readonly Row[], { home }: Store, usage: Usage): string {
  return JSON.stringify({ schema: 'appc.du/1', containers, store: { home, ...usage } })
}

const HEAD = ['NAME', 'PRIVATE', 'FROM HOST', 'ALONE', 'SHARED', 'SETTINGS', 'STATE', 'GENERATIONS']

function asText(rows: readonly Row[], { home }: Store, usage: Usage): string {
  const { total, ...parts } = usage
  const told = Object.entries(parts).map(([part, bytes]) => `${part} ${human(bytes)}`)
  return [
    ...table(rows.length === 0 ? [] : [HEAD, ...rows.map(asRow)]),
    `${visible(home)}: ${human(total)} (${told.join(', ')})`,
  ].join('\n')
}

function asRow(row: Row): readonly string[] {
  const bytes = [row.private, row.host, row.alone, row.shared, row.settings, row.state]
  return [row.name, ...bytes.map(number => (number === null ? '-' : human(number))), String(row.generations)]
}
