import type { Random } from '../fuzz/random.js'
import type { Cold } from './cold.js'
import { type Launch, run, runCrowd } from './stage.js'
import { changesSince, differences, killAllBut, type State, stateNow } from './state.js'

/** What came of one kill. */
export interface Kill {
  /** Milliseconds after the start. */
  readonly after: number
  /** Whether the program had begun. */
  readonly ran: boolean
  readonly finding: string | null
}

/** A launch and how long it lasts until the program tells, in milliseconds. */
export interface Timed<L extends Launch> {
  readonly launch: L
  readonly lasts: number
}

/** The median: the machine may be busy with other things. */
export function timed<L extends Launch>(crowd: string, launch: L, times: number, before = () => {}): Timed<L> {
  const durations = Array.from({ length: times }, () => {
    before()
    const { told, failed } = runCrowd(crowd, 'once', 1, launch)
    if (failed !== null) throw new Error(`${launch.name}: ${told}`)
    return Number.parseFloat(told)
  })
  return { launch, lasts: durations.sort((a, b) => a - b)[Math.floor(times / 2)] ?? 0 }
}

/** Kills a launch at a random moment, at the latest half as late again as it lasts. */
export async function killOne(killer: string, { launch, lasts }: Timed<Launch>, random: Random): Promise<Kill> {
  const before = stateNow()
  const kill = killAt(killer, launch, moment(lasts, random))
  return { ...kill, finding: asFinding(kill.finding, await changesAfter(before)) }
}

/**
 * The same of a launch without a plan, and another one after it. `whole` is the store as one leaves it that was not killed: a part of that
 * may be there, which is of use to the next.
 */
export async function killOneCold(
  tools: { readonly killer: string; readonly crowd: string },
  { launch, lasts }: Timed<Cold>,
  whole: readonly string[],
  random: Random,
): Promise<Kill> {
  launch.forget()
  const { files, ...rest } = stateNow()
  const kill = killAt(tools.killer, launch, moment(lasts, random))
  const changes = await changesAfter(rest)
  const left = launch.files().filter(path => !whole.includes(path))
  const useless = left.length === 0 ? null : `left in the store: ${left.join(' ')}`
  const { failed } = runCrowd(tools.crowd, 'row', 1, launch)
  const remaining = differences('store', whole, launch.files())
  return { ...kill, finding: asFinding(kill.finding, changes, useless, failed, ...remaining) }
}

function moment(lasts: number, random: Random): number {
  return (lasts * 1.5 * random.u32()) / 2 ** 32
}

function killAt(killer: string, launch: Launch, after: number): Kill {
  const line = [killer, String(Math.round(after * 1e6)), ...launch.command([])]
  const { status, stdout, stderr } = run(launch, line, 0)
  if (status !== 0) throw new Error(`the killer failed: ${stderr}`)
  const [ended = '', ...told] = stdout.split('\n')
  const text = told.join('\n')
  // Until it is killed it is there: neither it nor the program comes to an end before.
  const right = Number(ended) === 9 && (text === '' || text === launch.report)
  return { after, ran: text !== '', finding: right ? null : `ended with ${ended} and ${JSON.stringify(text)}` }
}

/** What is still there a second later; it is then ended, so that the next is judged by its own. */
async function changesAfter(before: Partial<State>): Promise<string | null> {
  const changes = await changesSince(before)
  if (changes !== null && before.processes !== undefined) killAllBut(before.processes)
  return changes
}

function asFinding(...findings: readonly (string | null)[]): string | null {
  return findings.filter(finding => finding !== null).join('; ') || null
}
