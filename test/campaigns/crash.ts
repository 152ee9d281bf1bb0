import type { Operation } from './operations.js'
import type { Place } from './place.js'
import { ALL_CALLS, type Call, callsOf, type Ended, run, type Step, traced, wasMet } from './store-calls.js'
import { type Judgement, judge, listingOf, stateOf } from './store-judge.js'

/** What befalls an operation at one of its steps. */
export type Fate = 'SIGKILL' | 'EIO' | 'ENOSPC'
export const fates: readonly Fate[] = ['SIGKILL', 'EIO', 'ENOSPC']

/** close(2): whatever it tells, the descriptor is closed. strace can only let it fail and leave it open, which never is so. */
export function befalls(fate: Fate, { name }: Step): boolean {
  return fate === 'SIGKILL' || name !== 'close'
}

/** An operation that nothing disturbed. */
export interface Undisturbed {
  readonly calls: readonly Call[]
  readonly before: Judgement
  readonly after: Judgement
  /** All that there was after it. */
  readonly listing: readonly string[]
  /** After the commands that settle it. */
  readonly settled: readonly string[]
}

/** How an operation may end: with a success although a call failed, where that is none that counts. */
export type Kind = 'killed' | 'failed' | 'went on' | 'not met'

export interface Outcome {
  readonly step: Step
  readonly fate: Fate
  readonly kind: Kind
  readonly findings: readonly string[]
}

/** With these options of strace's besides; its paths are told as `spelt` spells them. */
export async function undisturbed(
  place: Place,
  operation: Operation,
  options: readonly string[] = [],
  spelt = (path: string) => path,
): Promise<Undisturbed> {
  place.prepare(operation)
  place.restore()
  const before = judge(place.home)
  const line = operation.command(place)
  const { status, stderr, trace } = await traced(place, line, [...options, '-e', `trace=${ALL_CALLS}`])
  if (status !== 0) throw new Error(`${operation.name}: not even undisturbed does it succeed: ${status}\n${stderr}`)
  const after = judge(place.home)
  const listing = listingOf(place.home)
  await settle(place, operation)
  const settled = stateOf(place.home)
  const wrongs = [...after.wrongs, ...judge(place.home).wrongs, ...settled.filter(line => /^tmp\/./.test(line))]
  if (wrongs.length > 0) throw new Error(`${operation.name}: not even undisturbed is all well:\n${wrongs.join('\n')}`)
  return { calls: callsOf(trace, spelt(place.home)), before, after, listing, settled }
}

async function settle(place: Place, { settle }: Operation): Promise<void> {
  for (const words of settle) place.appc(...words)
}

/** Node's own calls before and between differ a little: then the step is looked for where it was this time. */
const TRIES = 8

/** How an operation ended that was disturbed. */
type Interrupted = Ended & { readonly killed: boolean; readonly trace: string }

/** Runs an operation, in the store that was prepared, to one of its steps; null where that is not met. */
export async function interrupt(
  place: Place,
  operation: Operation,
  step: Step,
  fate: Fate,
): Promise<Interrupted | null> {
  const how = fate === 'SIGKILL' ? 'signal=SIGKILL' : `error=${fate}`
  for (let tries = 0, among: number | null = step.among; tries < TRIES && among !== null; tries++) {
    place.restore()
    const inject = ['-e', `trace=${step.name}`, '-e', `inject=${step.name}:${how}:when=${among}`]
    const ended = await traced(place, operation.command(place), inject)
    const killed = !ended.hung && (ended.status === null || ended.status === 137)
    const met = wasMet(callsOf(ended.trace, place.home), { ...step, among }, killed)
    if (met === true) return { ...ended, killed }
    among = met
  }
  return null
}

/** Has an operation disturbed at a step, and holds what follows against what must follow. */
export async function disturb(
  place: Place,
  operation: Operation,
  right: Undisturbed,
  step: Step,
  fate: Fate,
): Promise<Outcome> {
  const ended = await interrupt(place, operation, step, fate)
  if (ended === null) return { step, fate, kind: 'not met', findings: [] }
  const kind = ended.killed ? 'killed' : ended.status === 0 ? 'went on' : 'failed'
  const findings = [...wrongsAfter(place, right, ended, kind, step), ...(await wrongsOfRerun(place, operation, right))]
  return { step, fate, kind, findings }
}

/** fsync(2): what failed once is lost, and is not tried again. So who goes on tells of something that need not be there tomorrow. */
const SYNCS = ['fsync', 'fdatasync', 'syncfs', 'sync_file_range', 'msync']

/** A repair's word for a view: what could not be brought to the disk is not used. */
const TAKEN_AWAY = 'moved to quarantine: the next launch builds another'

function wrongsAfter(place: Place, right: Undisturbed, ended: Interrupted, kind: Kind, step: Step): readonly string[] {
  const now = judge(place.home)
  const wrongs = [...wrongsAgainst(now, right, kind === 'went on')]
  if (ended.hung) wrongs.push('it comes to no end')
  if (kind === 'went on' && SYNCS.includes(step.name) && !ended.stdout.includes(TAKEN_AWAY))
    wrongs.push('it told of a success that is not on the disk')
  if (kind === 'failed' && !isClear(ended)) wrongs.push(`no clear error: ${ended.status}, ${firstLine(ended.stderr)}`)
  return wrongs
}

/** Nothing that was acknowledged is lost, nothing is there half: each name leads where it led before or where it is to lead. */
export function wrongsAgainst(
  now: Judgement,
  { before, after }: Pick<Undisturbed, 'before' | 'after'>,
  acknowledged: boolean,
): readonly string[] {
  const known = acknowledged ? after : before
  const names = new Set([...before.refs.keys(), ...after.refs.keys(), ...now.refs.keys()])
  const led = [...names].filter(name => {
    const ref = now.refs.get(name)
    return ref !== after.refs.get(name) && (acknowledged || ref !== before.refs.get(name))
  })
  const copied = new Set([...after.spares.keys(), ...now.spares.keys()])
  const spares = [...copied].filter(name => acknowledged && now.spares.get(name) !== after.spares.get(name))
  return [
    ...spares.map(name => `the second copy of the ref of ${name} is ${JSON.stringify(now.spares.get(name) ?? null)}`),
    ...now.wrongs.filter(wrong => !known.wrongs.includes(wrong)),
    ...led.map(name => `the ref of ${name} is ${JSON.stringify(now.refs.get(name) ?? null)}`),
  ]
}

/** What only looks does not run out of space: nobody has words for it. */
const LOOKS = /^\d+ +(\w*stat\w*|access|read\w*|pread64|getdents64|openat2?\((?!.*O_(CREAT|TMPFILE)))/

function cannotBe(trace: string): boolean {
  return trace.split('\n').some(line => line.includes('ENOSPC') && line.endsWith('(INJECTED)') && LOOKS.test(line))
}

/** One error of appc's or of its launcher's, and not that of a bug. */
function isClear({ status, stdout, stderr, trace }: Interrupted): boolean {
  // The collector: it cannot be told what is needed.
  if (status === 1 && stderr === '' && stdout !== '') return true
  const known = !stderr.includes('this should not happen') || cannotBe(trace)
  return known && /^appc(-run)?: .+\n(\nhint: .+\n)?$/s.test(stderr) && [1, 2, 125, 126].includes(status ?? -1)
}

/** The same once more, and then the same end as if nothing had happened. */
export async function wrongsOfRerun(
  place: Place,
  operation: Operation,
  right: Undisturbed,
): Promise<readonly string[]> {
  const { status, stderr } = await run(place, operation.command(place))
  if (status !== 0 && operation.done?.test(stderr) !== true) return [`the rerun fails: ${status}, ${firstLine(stderr)}`]
  // Before it is settled, which mends what the rerun has left. One that is refused tells of nothing.
  const wrongs = wrongsAgainst(judge(place.home), right, status === 0)
  await settle(place, operation)
  const now = stateOf(place.home)
  const { settled } = right
  return [
    ...wrongs.map(wrong => `after the rerun ${wrong}`),
    ...judge(place.home).wrongs.map(wrong => `after the rerun, settled, ${wrong}`),
    ...now.filter(line => !settled.includes(line)).map(line => `after the rerun there is ${line}`),
    ...settled.filter(line => !now.includes(line)).map(line => `after the rerun there is not ${line}`),
  ]
}

function firstLine(text: string): string {
  return text.replace(/\n.*/s, '')
}
