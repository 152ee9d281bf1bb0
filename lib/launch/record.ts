import type { SpawnSyncReturns } from 'node:child_process'
import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { findProgram } from '../container/entries.js'
import { applicationFiles, type Recording } from '../container/record.js'
import { linesOf, readStrace, TRACED } from '../container/strace.js'
import type { Tree } from '../container/tree.js'
import { AppcError } from '../errors.js'
import type { Store } from '../store/store.js'
import { makeTemporary } from '../store/temporary.js'
import { hasCode } from '../store/writing.js'
import { launcherPath } from './launcher.js'

/** How a recorded command ended: one of the two is null. */
export interface RecordedEnd {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

/**
 * Runs a command once, with the caller's streams, terminal, environment and working directory, and tells what it and all that it
 * started opened. In a tree it runs as appc-run has it there: the tree is its root, with this machine's /proc, /dev, /tmp and homes. A
 * bare name is looked up as an entry's is. Throws FILE_MISSING, ENTRY_INVALID, RECORD_FAILED; that the command fails is no error.
 */
export function recordRun(
  root: string,
  tree: Tree,
  command: readonly string[],
  store: Store,
): { readonly recording: Recording; readonly end: RecordedEnd } {
  const [name, ...args] = command
  if (name === undefined) throw new AppcError('USAGE', 'nothing to record', { because: 'the command is empty' })
  const onMachine = root === '/'
  if (onMachine) requireProgram(name)
  const started = onMachine
    ? command
    : [launcherPath, `--root=${root}`, '--', name.includes('/') ? asPath(name) : findProgram(tree, name).path, ...args]
  const counts = applicationFiles([process.cwd(), homedir()])
  // A file and not a pipe: strace and what it starts would both have its end. It holds paths alone, and is read in pieces.
  const directory = makeTemporary('appc-record-')
  try {
    const log = join(directory, 'log')
    const end = trace(started, log, onMachine ? process.env : { ...process.env, APPC_HOME: store.home })
    const opened = readStrace(linesOf(piecesOf(log)), { afterNewRoot: !onMachine, counts })
    if (opened === null) throw notStarted(name, end)
    return { recording: { ...opened, counts }, end }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Of all calls only those that are read stop the command (--seccomp-bpf); its arguments stay out of the log (verbose). */
export const STRACE = [
  ...['-f', '-qq', '-y', '-xx', '--seccomp-bpf', `--trace=${TRACED.join(',')}`],
  ...['--signal=none', '-e', 'verbose=!execve,execveat'],
]

function trace(command: readonly string[], log: string, env: NodeJS.ProcessEnv): RecordedEnd {
  // Not by an import, which the bundled programs have not (no-child-process.ts): few runs come here.
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  // Ctrl-C is for the command, which has the terminal; it ends a server that was to be recorded, and packing goes on.
  const ignore = () => {}
  for (const signal of TERMINAL_SIGNALS) process.on(signal, ignore)
  let ended: SpawnSyncReturns<Buffer>
  try {
    ended = spawnSync('strace', [...STRACE, '-o', log, '--', ...command], { stdio: 'inherit', env })
  } finally {
    for (const signal of TERMINAL_SIGNALS) process.off(signal, ignore)
  }
  if (ended.error === undefined) return { status: ended.status, signal: ended.signal }
  throw new AppcError('RECORD_FAILED', 'strace cannot be started, by which runs are recorded', {
    because: hasCode(ended.error, 'ENOENT') ? 'it is not in PATH' : ended.error.message,
    hint: 'install it (apt-get install strace), or pack without --record and name what is missing by --include',
    cause: ended.error,
  })
}

const TERMINAL_SIGNALS = ['SIGINT', 'SIGQUIT'] as const

/** What is read stays valid until the next piece is. There is no log when strace did not come as far as to make one. */
function* piecesOf(path: string): Iterable<Buffer> {
  const buffer = Buffer.alloc(1 << 16)
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  try {
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) yield buffer.subarray(0, count)
  } finally {
    closeSync(file)
  }
}

/** As strace looks for it. It would say that it found none in its own words. */
function requireProgram(name: string): void {
  const places = name.includes('/') ? [''] : (process.env.PATH ?? '').split(':')
  const found = places.some(place => {
    const stat = statSync(resolve(place, name), { throwIfNoEntry: false })
    return stat?.isFile() === true && (stat.mode & 0o111) !== 0
  })
  if (found) return
  throw new AppcError('FILE_MISSING', `there is no program ${name} to record`, {
    because: name.includes('/') ? 'the path leads to no file that can be executed' : 'it is not in PATH',
  })
}

/** appc-run takes what does not begin so for the name of a container. */
function asPath(name: string): string {
  return /^\.{0,2}\//.test(name) ? name : `./${name}`
}

function notStarted(name: string, { status, signal }: RecordedEnd): AppcError {
  return new AppcError('RECORD_FAILED', `${name} did not begin to run, and nothing was recorded`, {
    because:
      signal === null ? `what was to start it ended with status ${status}` : `${signal} ended what was to start it`,
    hint: 'above stands why; where it speaks of ptrace, this system forbids to watch programs (kernel.yama.ptrace_scope, a container engine without SYS_PTRACE)',
  })
}
