import { readOperatingSystem } from '../host/os.js'
import { hostOfFile } from '../launch/hosts.js'
import { type Told as KeptDecision, toldOf } from '../launch/kept.js'
import { openStores } from '../launch/open-store.js'
import { decideContainer } from '../launch/prepare.js'
import { takeStockOf } from '../launch/stock.js'
import { decisionToTell } from '../launch/told.js'
import { type Travel, travelOf } from '../launch/travel.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import { requireCurrent } from '../store/generations.js'
import type { Store } from '../store/store.js'
import { storeOf } from '../store/stores.js'
import { human, visibleLines } from './report.js'

interface Totals {
  readonly shared: { readonly libraries: number; readonly bytes: number }
  readonly private: { readonly libraries: number; readonly bytes: number }
}

/** What is told of: a container, and what was decided for it, now or when nothing was different. */
interface Told {
  readonly container: { readonly name: string; readonly digest: string }
  readonly decision: KeptDecision
  /** To another host; null for one that is here. */
  readonly travel: Travel | null
}

interface PlanOptions {
  readonly root: string
  readonly json: boolean
  readonly host?: string
}

/** `appc plan`: 0 when the container can run on the host, 1 when it cannot. */
export function runPlan(name: string, { root, json, host }: PlanOptions): number {
  const stores = openStores(process.env)
  const store = storeOf(stores, name)
  return host === undefined ? planHere(stores.own, store, name, root, json) : planElsewhere(store, name, host, json)
}

/** What is found out is remembered in the caller's own store, wherever the container is. */
function planHere(own: Store, store: Store, name: string, root: string, json: boolean): number {
  const container = { name, digest: requireCurrent(store, name).container }
  const told = { container, decision: decisionToTell(own, store, name, root), travel: null }
  return tell(told, json ? asJson(told, hostOf(own, root)) : asText(told, systemOf(root)))
}

function planElsewhere(store: Store, name: string, file: string, json: boolean): number {
  const { host, os, digest, within } = hostOfFile(file)
  const { container, decision } = within(() => decideContainer(store, name, host))
  const told = { container, decision: toldOf(decision), travel: travelOf(store, container.digest, decision) }
  return tell(told, json ? asJson(told, { id: digest, os }) : asText(told, os ?? 'that host'))
}

function tell({ decision }: Told, text: string): number {
  process.stdout.write(`${text}\n`)
  return decision.runnable ? 0 : 1
}

/** The inventory's digest takes as long as all the rest together: only who reads JSON compares it. */
function hostOf(store: Store, root: string): { id: string; os: string | null } {
  const { digest, os } = takeStockOf(store, root)
  return { id: digest, os: os?.name ?? null }
}

function systemOf(root: string): string {
  return readOperatingSystem(rootFileSystem(root))?.name ?? 'this host'
}

function asJson({ container, decision, travel }: Told, host: { id: string; os: string | null }): string {
  return JSON.stringify({
    schema: 'appc.plan/1',
    container: { name: container.name, digest: container.digest },
    host,
    runnable: decision.runnable,
    libraries: decision.libraries.map(({ soname, choice, path, bytes, reasons }) => ({
      soname,
      choice,
      path,
      bytes,
      reasons,
    })),
    totals: totalsOf(decision.libraries),
    problems: decision.problems,
    ...(travel && { travel }),
  })
}

function asText({ container, decision, travel }: Told, os: string): string {
  const totals = totalsOf(decision.libraries)
  const lines = [`${container.name} on ${os}: ${decision.runnable ? 'runs' : 'cannot run'}`]
  for (const choice of ['shared', 'private'] as const) {
    const libraries = decision.libraries.filter(library => library.choice === choice)
    if (libraries.length === 0) continue
    lines.push('', `${choice}: ${counted(totals[choice])}`)
    for (const library of libraries) lines.push(...libraryLines(library))
  }
  const packages = decision.packages.filter(pkg => pkg.choice === 'private')
  if (packages.length > 0) lines.push('', 'private packages (programs and data):')
  for (const { name, reasons } of packages) lines.push(`  ${name}: ${reasons[0]?.text ?? ''}`)
  if (travel !== null) lines.push('', travelText(travel))
  if (decision.problems.length > 0) lines.push('')
  for (const { kind, text } of decision.problems) lines.push(`${kind}: ${text}`)
  return visibleLines(lines)
}

export function travelText({ files, bytes }: Travel): string {
  return `would travel: ${files} ${files === 1 ? 'file' : 'files'} and the manifest, ${human(bytes)}`
}

/** For a shared library one line says all; for a private one the reason is what the reader came for. */
function libraryLines({ soname, choice, path, bytes, reasons }: KeptDecision['libraries'][number]): readonly string[] {
  const line = `  ${soname}  ${path}  ${human(bytes)}`
  return choice === 'shared' ? [line] : [line, ...reasons.slice(0, 3).map(({ text }) => `      ${text}`)]
}

function counted({ libraries, bytes }: { readonly libraries: number; readonly bytes: number }): string {
  return `${libraries} ${libraries === 1 ? 'library' : 'libraries'}, ${human(bytes)}`
}

function totalsOf(libraries: KeptDecision['libraries']): Totals {
  const sum = (choice: 'shared' | 'private') => {
    const chosen = libraries.filter(library => library.choice === choice)
    return { libraries: chosen.length, bytes: chosen.reduce((bytes, library) => bytes + library.bytes, 0) }
  }
  return { shared: sum('shared'), private: sum('private') }
}
