import { execFile } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Place } from './place.js'

/** How a command ended. */
export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  /** It had to be killed, since it came to no end. */
  readonly hung: boolean
}

/** One system call of a trace, as strace tells it. */
export interface Call {
  readonly thread: string
  readonly name: string
  readonly text: string
  /** It has to do with the store. */
  readonly ours: boolean
  readonly injected: boolean
}

/** The nth call of this name that has to do with the store, in the thread that makes most of them. */
export interface Step {
  readonly name: string
  readonly nth: number
  /** Where it was found among all calls of the name. Node's own start-up differs a little from run to run. */
  readonly among: number
}

export const ALL_CALLS = '%file,%desc'

/** Longer than this no command may take. */
const LIMIT = 20_000

export function run(place: Place, line: readonly string[]): Promise<Ended> {
  const [program = '', ...words] = line
  const options = { env: place.environment, cwd: place.directory, timeout: LIMIT, killSignal: 'SIGKILL' } as const
  return new Promise((resolve, reject) => {
    execFile(program, words, options, (error, stdout, stderr) => {
      if (typeof error?.code === 'string') reject(error)
      else resolve({ status: error === null ? 0 : (error.code ?? null), stdout, stderr, hung: error?.killed === true })
    })
  })
}

/**
 * With no other processes in sight: some commands look at all that there are, and would make other calls each time. A namespace of users
 * is what it costs somebody else than root.
 */
const ALONE = [
  'unshare',
  ...(process.geteuid?.() === 0 ? [] : ['--user', '--map-current-user', '--keep-caps']),
  ...['--pid', '--fork', '--kill-child', '--mount-proc'],
]

/** Runs a command under strace; not with --seccomp-bpf, with which no signal of `inject` arrives. */
export async function traced(
  place: Place,
  line: readonly string[],
  options: readonly string[],
): Promise<Ended & { readonly trace: string }> {
  const file = join(place.directory, 'trace')
  rmSync(file, { force: true })
  const ended = await run(place, [...ALONE, 'strace', '-f', '-q', '-y', '-o', file, ...options, ...line])
  return { ...ended, trace: readFileSync(file, 'utf8') }
}

/** The calls of a trace, in order. A call that another thread interrupts is told in two lines, of which the second is added to it. */
export function callsOf(trace: string, home: string): readonly Call[] {
  const begun = new Map<string, string>()
  const calls: Call[] = []
  for (const line of trace.split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const [, before] = /^(\w+\(.*) <unfinished \.\.\.>$/.exec(rest) ?? []
    const [, after] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? []
    if (before !== undefined) begun.set(thread, before)
    const text = after === undefined ? rest : `${begun.get(thread) ?? ''}${after}`
    const [, name] = /^(\w+)\(/.exec(text) ?? []
    if (before !== undefined || name === undefined) continue
    begun.delete(thread)
    calls.push({ thread, name, text, ours: isOurs(text, home), injected: text.endsWith('(INJECTED)') })
  }
  // Where it was killed in the middle of them.
  for (const [thread, text] of begun)
    calls.push({ thread, name: text.replace(/\(.*/s, ''), text, ours: isOurs(text, home), injected: false })
  return calls
}

/** What is written and read may tell of a store, too: there only the descriptor counts. */
function isOurs(text: string, home: string): boolean {
  const [, descriptor] = /^(?:p?(?:read|write)(?:v|64)?)\(\d+<([^>]*)>/.exec(text) ?? []
  return descriptor === undefined ? text.includes(home) : descriptor.startsWith(home)
}

/** Each step of an operation, of all its threads. */
export function stepsOf(calls: readonly Call[]): readonly Step[] {
  const steps = new Map<string, Step>()
  const counts = new Map<string, { all: number; ours: number }>()
  for (const { thread, name, ours } of calls) {
    const count = counts.get(`${thread} ${name}`) ?? { all: 0, ours: 0 }
    counts.set(`${thread} ${name}`, count)
    count.all++
    if (!ours) continue
    count.ours++
    const key = `${name} ${count.ours}`
    if (!steps.has(key)) steps.set(key, { name, nth: count.ours, among: count.all })
  }
  return [...steps.values()]
}

/**
 * Whether a run was disturbed at this very step: true; or among how many calls it is to be looked for in the next try; null where the
 * step was not reached at all.
 */
export function wasMet(calls: readonly Call[], { name, nth, among }: Step, killed: boolean): true | number | null {
  const counts = new Map<string, { all: number; ours: number }>()
  let elsewhere: number | null = killed ? among + 1 : null
  for (const { thread, ours } of calls.filter(call => call.name === name)) {
    const count = counts.get(thread) ?? { all: 0, ours: 0 }
    counts.set(thread, count)
    count.all++
    if (!ours || ++count.ours !== nth) continue
    if (count.all === among) return true
    elsewhere = count.all
  }
  return elsewhere
}
