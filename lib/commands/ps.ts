import { readFileSync } from 'node:fs'
import { openStore } from '../launch/open-store.js'
import { readIds } from '../launch/processes.js'
import { findRunning, type Running } from '../launch/running.js'
import { type State, stateOf } from '../launch/state.js'
import { hasCode } from '../store/writing.js'
import { table } from './table.js'

/** `appc ps`: what runs of the caller's containers, and whether it is as a launch would be now. */
export function runPs({ json }: { readonly json: boolean }): number {
  const store = openStore(process.env)
  const rows = findRunning(store).map(container => ({ container, state: stateOf(store, container) }))
  const boot = bootTime()
  const lines = json
    ? rows.map(({ container, state }) => asJson(container, state, boot))
    : table(rows.length === 0 ? [] : [HEAD, ...rows.map(({ container, state }) => asRow(container, state, boot))])
  process.stdout.write(lines.map(line => `${line}\n`).join(''))
  return 0
}

const HEAD = ['NAME', 'PID', 'USER', 'STARTED', 'PROCESSES', 'PLAN', 'STATE']

function asJson(container: Running, state: State, boot: number): string {
  const { name, leader, program, processes, signature } = container
  return JSON.stringify({
    schema: 'appc.ps/1',
    name,
    pid: leader.pid,
    program: program.pid,
    uid: uidOf(container),
    started: startOf(container, boot).toISOString(),
    processes: processes.map(({ pid }) => pid),
    plan: signature.key,
    view: signature.view,
    confined: signature.confinement !== null,
    ...state,
  })
}

function asRow(container: Running, state: State, boot: number): readonly string[] {
  const { name, leader, processes, signature } = container
  const started = startOf(container, boot).toLocaleString('sv')
  const user = userName(uidOf(container))
  return [
    name,
    String(leader.pid),
    user,
    started,
    String(processes.length),
    signature.view.slice(0, 12),
    inWords(state),
  ]
}

function inWords({ state, changed, otherView }: State): string {
  if (state === 'current') return 'current'
  if (state === 'unplanned') return 'no plan'
  const [first, ...others] = changed
  if (first === undefined) return 'host moved on'
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  return `host moved on: ${otherView ? 'other files are private now, and ' : ''}${first}${more} changed`
}

function uidOf({ leader }: Running): number | null {
  return readIds(leader.pid)?.uids[0] ?? null
}

/** The kernel counts in hundredths of a second, on all processors that appc knows (USER_HZ). */
function startOf({ leader }: Running, boot: number): Date {
  return new Date((boot + Number(leader.started) / 100) * 1000)
}

function bootTime(): number {
  return Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1])
}

/** As the machine's own list has it; elsewhere the number says enough. */
function userName(uid: number | null): string {
  if (uid === null) return '-'
  try {
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
    const entry = lines.map(line => line.split(':')).find(fields => fields[2] === String(uid))
    return entry?.[0] ?? String(uid)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES')) return String(uid)
    throw error
  }
}
