import { type ChildProcess, type SpawnOptions, type StdioOptions, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { AppcError, type ErrorCode } from '../errors.js'
import { launcherPath } from './launcher.js'
import { makeReportPipe, Report, type ReportPipe } from './report.js'

/**
 * The child is the program itself: the launcher becomes it and keeps its process id, so all is as node:child_process has it. `spawn`
 * is emitted when the program has been executed. Where it comes to nothing `error` is emitted with an AppcError, and neither `spawn`
 * nor `exit`. Whom a signal ended before he was the program has an `exit`, as the program would.
 */
export interface Launched extends ChildProcess {
  /**
   * Resolved when the program has been executed, else rejected with the AppcError. Who asks for it needs no listener for `error`
   * besides.
   */
  readonly started: Promise<void>
}

/** Starts appc-run with these arguments. It tells its failures by a descriptor behind those of the program. */
export function launch(args: readonly string[], options: SpawnOptions): Launched {
  const streams = streamsOf(options.stdio)
  const descriptor = streams.length
  const pipe = makeReportPipe()
  // Where there are no descriptors left, Node tells that of its own pipe by `error`.
  const stdio: StdioOptions = [...streams, pipe?.theirs ?? 'pipe']
  const child = startWith(pipe, () => spawn(launcherPath, [`--error-fd=${descriptor}`, ...args], { ...options, stdio }))
  // Not the program's.
  const { stdio: all = [] } = child as { stdio?: unknown[] }
  const [stream] = all.splice(descriptor) as (Readable | null | undefined)[]
  const start = new Start(child, pipe?.ours ?? stream ?? null)
  child.emit = (event: string, ...args: unknown[]) => start.hasTaken(event, args) || start.emit(event, ...args)
  return Object.defineProperty(child, 'started', { get: () => start.ask() }) as Launched
}

/** The pipe's far end is the launcher's alone. */
function startWith(pipe: ReportPipe | null, start: () => ChildProcess): ChildProcess {
  try {
    const child = start()
    if (pipe !== null) closeSync(pipe.theirs)
    return child
  } catch (error) {
    if (pipe !== null) for (const end of [pipe.ours, pipe.theirs]) closeSync(end)
    throw error
  }
}

type Streams = Exclude<StdioOptions, string>

/** As node:child_process takes them, the three standard ones at least. */
function streamsOf(stdio: StdioOptions | null | undefined): Streams {
  const given: Streams = Array.isArray(stdio) ? stdio : [stdio, stdio, stdio].map(each => each ?? undefined)
  return [...given, ...[undefined, undefined, undefined].slice(given.length)]
}

type Exit = readonly [status: number | null, signal: NodeJS.Signals | null]

/** Makes the events of the program out of those of its launcher and of what that reports. */
class Start {
  /** The child's own. */
  readonly emit: (event: string, ...args: unknown[]) => boolean
  readonly #child: ChildProcess
  #started: Promise<void> | null = null
  #settle: (failure: AppcError | null) => void = () => {}
  readonly #report: Report | null
  /** null as long as there may be more of it. */
  #reported: string | null = null
  #exit: Exit | null = null
  /** What its event has said that came before the outcome was known. */
  #close: readonly unknown[] | null = null
  /** null where the program was executed; undefined as long as there is no telling. */
  #failure: AppcError | null | undefined

  /** `source`: of the report; null where none will come, which Node tells by `error`. */
  constructor(child: ChildProcess, source: number | Readable | null) {
    this.#child = child
    this.#report = source === null ? null : new Report(source, text => this.#hear(text))
    this.emit = child.emit.bind(child) as Start['emit']
    // Without anybody who waits for it the report is read at the end, when that takes no time.
    child.on('newListener', event => {
      if (event === 'spawn') this.#report?.watch()
    })
  }

  ask(): Promise<void> {
    this.#started ??= new Promise((resolve, reject) => {
      this.#settle = failure => (failure === null ? resolve() : reject(failure))
      if (this.#failure === undefined) this.#report?.watch()
      else this.#settle(this.#failure)
    })
    return this.#started
  }

  #hear(text: string): void {
    this.#reported = text
    this.#conclude(outcomeOf(text, this.#exit))
  }

  /** Whether an event is told later, as another, or not at all. */
  hasTaken(event: string, args: readonly unknown[]): boolean {
    if (event === 'spawn') return true
    if (event === 'error' && isOfSpawning(args[0])) {
      this.#report?.close()
      this.#conclude(notStarted(args[0]))
      return true
    }
    if (event === 'close' && this.#failure === undefined) {
      this.#close = args
      return true
    }
    if (event !== 'exit' || this.#failure === null) return false
    this.#exit = args as unknown as Exit
    this.#report?.conclude()
    if (this.#reported !== null) this.#conclude(outcomeOf(this.#reported, this.#exit))
    return true
  }

  #conclude(failure: AppcError | null | undefined): void {
    if (failure === undefined || this.#failure !== undefined) return
    this.#failure = failure
    this.#settle(failure)
    const isKilled = this.#exit !== null && this.#exit[1] !== null
    if (failure === null) this.emit('spawn')
    else if (!isKilled && (this.#started === null || this.#child.listenerCount('error') > 0))
      this.emit('error', failure)
    if (this.#exit !== null && (failure === null || isKilled)) this.emit('exit', ...this.#exit)
    if (this.#close !== null) this.emit('close', ...this.#close)
  }
}

/** null where the program was executed; undefined as long as there is no telling. */
function outcomeOf(report: string, exit: Exit | null): AppcError | null | undefined {
  const line = report.trim()
  if (line !== '') return failureOf(line)
  // An empty line says that all is set up; with the program, the descriptor is closed.
  if (report !== '') return null
  if (exit === null) return undefined
  const [status, signal] = exit
  return new AppcError('LAUNCH_FAILED', 'the program was not started', {
    because:
      signal === null ? `its launcher ended with ${status}, and did not say why` : `${signal} ended its launcher`,
  })
}

/** A line of the launcher's, or of the Node that plans for it. */
function failureOf(line: string): AppcError {
  const { code, message, cause, hint, step, path, errno } = JSON.parse(line)
  const details = { because: cause, hint, step, path, errno }
  return new AppcError(code as ErrorCode, message, details)
}

type SystemError = NodeJS.ErrnoException

/** Others are of later: a signal that cannot be sent, an AbortSignal. */
function isOfSpawning(error: unknown): error is SystemError {
  return error instanceof Error && String((error as SystemError).syscall).startsWith('spawn')
}

function notStarted(error: SystemError): AppcError {
  return new AppcError('LAUNCH_FAILED', `${launcherPath} cannot be started`, {
    because: error.message,
    ...(error.code === 'ENOENT' ? { hint: 'see whether the working directory exists, and npm rebuild appc' } : {}),
    cause: error,
  })
}
