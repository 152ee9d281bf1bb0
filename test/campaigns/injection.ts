import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { refusing } from '../support/refusing.js'
import { run, type Scene, witnessStatus } from './stage.js'
import { changesSince, killAllBut, stateNow } from './state.js'

export const errors = ['EPERM', 'ENOMEM', 'EINTR', 'EIO', 'ENOSPC'] as const

/** A system call of a launch: the nth of its name in the process that makes most of them. */
export interface Call {
  readonly name: string
  readonly nth: number
}

/**
 * How a launch may end in which one call failed: with one clear error, with Node, or as if nothing had failed. How often a process waits
 * is a matter of time: some calls are then not made that once were.
 */
export type Right = 'failed' | 'planned anew' | 'went on' | 'not met'
export type Wrong = 'hang' | 'crash' | 'false success' | 'unclear error' | 'left behind'

export interface Outcome {
  readonly call: Call
  readonly error: string
  readonly kind: Right | Wrong
  /** What was seen, where it is wrong. */
  readonly finding: string | null
  readonly milliseconds: number
}

/** Longer than this no launch may take. */
const limit = 5000

/** What a launch does until the program is executed. */
export interface Profile {
  readonly calls: readonly Call[]
  /** Other processes stay beside the program. */
  readonly watches: boolean
}

/** What each process does until it becomes the program, as a launch shows that nothing disturbs. */
export function profileOf(scene: Scene, passed: number): Profile {
  const { status, stdout, stderr, trace } = traced(scene, ['-e', 'trace=all'], passed)
  if (status !== witnessStatus || stdout !== scene.report) {
    throw new Error(
      `${scene.name}: not even undisturbed does it run: ${status}\n${stdout}${stderr}\nnot\n${scene.report}`,
    )
  }
  const processes = countsByProcess(trace)
  const most = new Map<string, number>()
  for (const counts of processes.values()) {
    for (const [name, count] of counts) most.set(name, Math.max(count, most.get(name) ?? 0))
  }
  const calls = [...most].flatMap(([name, count]) =>
    Array.from({ length: count }, (_, index) => ({ name, nth: index + 1 })),
  )
  return { calls, watches: processes.size > 1 }
}

/**
 * How often each process made each call, until it became the program. The first line is strace's own execve, by which the launch
 * begins; it does not count it where it lets calls fail.
 */
function countsByProcess(trace: string): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const processes = new Map<string, Map<string, number>>()
  const programs = new Set<string>()
  for (const line of trace.split('\n').slice(1)) {
    const [, pid = '', name = ''] = /^(\d+) +(\w+)\(/.exec(line) ?? []
    if (pid === '' || programs.has(pid)) continue
    const counts = processes.get(pid) ?? new Map<string, number>()
    processes.set(pid, counts.set(name, (counts.get(name) ?? 0) + 1))
    if (name === 'execve') programs.add(pid)
  }
  return processes
}

/** Lets the call fail, and holds what follows against what must follow. */
export async function inject(
  scene: Scene,
  watches: boolean,
  call: Call,
  error: string,
  passed: number,
): Promise<Outcome> {
  const before = stateNow()
  const begin = performance.now()
  const number = numberOfUnknown(call.name)
  const fails =
    number === null ? ['-e', `inject=${call.name}:error=${error}:when=${call.nth}`] : refusing(`${number}:${error}`)
  // strace lets go of the program, so that its calls are spared. Where nobody watches it strace would end with that.
  const spare = watches && call.name !== 'execve' ? ['-b', 'execve'] : []
  const traces = number === null ? ['-e', `trace=${call.name}`] : []
  const result = traced(scene, [...spare, ...traces, ...fails], passed)
  const milliseconds = performance.now() - begin
  const judged = judge(scene, result)
  const left = await changesSince(before)
  if (left !== null) {
    killAllBut(before.processes)
    await changesSince(before)
  }
  const [kind, wrong] =
    left === null || judged.wrong !== null ? [judged.kind, judged.wrong] : ['left behind' as const, '']
  const finding = wrong === null ? null : [wrong, left, inWords(result)].filter(Boolean).join('; ')
  return { call, error, kind, finding, milliseconds }
}

/** A call that is younger than strace cannot be failed by that, but by a filter: each time that it is made, then. */
function numberOfUnknown(name: string): number | null {
  const [, number] = /^syscall_(0x[0-9a-f]+)$/.exec(name) ?? []
  return number === undefined ? null : Number(number)
}

interface Judged {
  readonly kind: Right | Wrong
  readonly wrong: string | null
}

function judge({ report, failure }: Scene, { status, stdout, stderr, trace, timedOut }: Traced): Judged {
  if (timedOut) return { kind: 'hang', wrong: `no end within ${limit / 1000} s` }
  // What the launcher itself kills is no crash.
  const [crash] = /^\d+ +\+\+\+ killed by SIG(?!KILL).*$/m.exec(trace) ?? []
  if (crash !== undefined) return { kind: 'crash', wrong: crash }
  if (status === witnessStatus && stdout === report) {
    return { kind: /\(INJECTED\)|^\d+ +syscall_.* = -1 /m.test(trace) ? 'went on' : 'not met', wrong: null }
  }
  // What the installation's Node prints. Its status is not strace's where that has let go of it.
  if (/^\d+:/.test(stdout)) return { kind: 'planned anew', wrong: null }
  if (stdout !== '' && stdout !== report) return { kind: 'false success', wrong: 'the program ran, and not as planned' }
  if (status === 0 || status === witnessStatus) return { kind: 'false success', wrong: 'a success' }
  // A program that was waited for in vain may have run to its end.
  const told = status !== null && failure.statuses.includes(status) && failure.message.test(stderr)
  return told ? { kind: 'failed', wrong: null } : { kind: 'unclear error', wrong: 'no clear error' }
}

interface Traced {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  readonly timedOut: boolean
  readonly trace: string
}

function traced(scene: Scene, options: readonly string[], passed: number): Traced {
  const file = join('/tmp', 'trace')
  writeFileSync(file, '')
  // By whatever user strace runs.
  chmodSync(file, 0o666)
  try {
    const line = scene.command(['strace', '-f', '-q', '-o', file, ...options])
    const { status, stdout, stderr, error } = run(scene, line, passed, limit)
    const timedOut = error !== undefined && 'code' in error && error.code === 'ETIMEDOUT'
    if (error !== undefined && !timedOut) throw error
    return { status, stdout, stderr, timedOut, trace: readFileSync(file, 'utf8') }
  } finally {
    rmSync(file)
  }
}

function inWords({ status, stdout, stderr }: Traced): string {
  return `status ${status}, stdout ${JSON.stringify(stdout)}, stderr ${JSON.stringify(stderr)}`
}
