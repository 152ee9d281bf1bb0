import { type ChildProcess, type SpawnOptions, type StdioOptions, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { AppcError, type ErrorCode } from '../errors.js'
import { launcherPath } from './launcher.js'

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
  const stdio: StdioOptions = [...streams, 'pipe']
  const child = spawn(launcherPath, [`--error-fd=${descriptor}`, ...args], { ...options, stdio })
  const start = new Start(child)
  child.emit = (event: string, ...args: unknown[]) => start.hasTaken(event, args) || start.emit(event, ...args)
  // Not the program's. Absent where there were no descriptors left for it, which Node tells by `error`.
  const { stdio: all = [] } = child as { stdio?: unknown[] }
  const [report] = all.splice(descriptor) as (Readable | undefined)[]
  if (report !== undefined) readWhole(report, text => start.reported(text))
  return Object.defineProperty(child, 'started', { get: () => start.ask() }) as Launched
}

type Streams = Exclude<StdioOptions, string>

/** As node:child_process takes them, the three standard ones at least. */
function streamsOf(stdio: StdioOptions | null | undefined): Streams {
  const given: Streams = Array.isArray(stdio) ? stdio : [stdio, stdio, stdio].map(each => each ?? undefined)
  return [...given, ...[undefined, undefined, undefined].slice(given.length)]
}

/** An error, as a reset, is an end too. */
function readWhole(stream: Readable, done: (text: string) => void): void {
  let text = ''
  stream.setEncoding('utf8').on('data', part => {
    text += part
  })
  const end = () => done(text)
  stream.on('end', end).on('error', end)
}

type Exit = readonly [status: number | null, signal: NodeJS.Signals | null]

/** Makes the events of the program out of those of its launcher and of what that reports. */
class Start {
  /** The child's own. */
  readonly emit: (event: string, ...args: unknown[]) => boolean
  readonly #child: ChildProcess
  readonly #started: Promise<void>
  #settle: (failure: AppcError | null) => void = () => {}
  #isAsked = false
  /** null as long as there may be more of it. */
  #report: string | null = null
  #exit: Exit | null = null
  /** null where the program was executed; undefined as long as there is no telling. */
  #failure: AppcError | null | undefined

  constructor(child: ChildProcess) {
    this.#child = child
    this.emit = child.emit.bind(child) as Start['emit']
    this.#started = new Promise((resolve, reject) => {
      this.#settle = failure => (failure === null ? resolve() : reject(failure))
    })
  }

  ask(): Promise<void> {
    this.#isAsked = true
    return this.#started
  }

  reported(text: string): void {
    this.#report = text
    this.#conclude(outcomeOf(text, this.#exit))
  }

  /** Whether an event is told later, as another, or not at all. */
  hasTaken(event: string, args: readonly unknown[]): boolean {
    if (event === 'spawn') return true
    if (event === 'error' && isOfSpawning(args[0])) {
      this.#conclude(notStarted(args[0]))
      return true
    }
    if (event !== 'exit' || this.#failure === null) return false
    this.#exit = args as unknown as Exit
    if (this.#report !== null) this.#conclude(outcomeOf(this.#report, this.#exit))
    return true
  }

  #conclude(failure: AppcError | null | undefined): void {
    if (failure === undefined || this.#failure !== undefined) return
    this.#failure = failure
    // Who does not ask is told by the event.
    if (!this.#isAsked) this.#started.catch(() => {})
    this.#settle(failure)
    const isKilled = this.#exit !== null && this.#exit[1] !== null
    if (failure === null) this.emit('spawn')
    else if (!isKilled && (!this.#isAsked || this.#child.listenerCount('error') > 0)) this.emit('error', failure)
    if (this.#exit !== null && (failure === null || isKilled)) this.emit('exit', ...this.#exit)
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
