import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

/** A line of `appc watch --json`. */
export type Line = Readonly<Record<string, unknown>>

/** `appc watch --json` that is under way. */
export class Watching {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #stderr: Promise<string>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
    this.#stderr = text(child.stderr as NodeJS.ReadableStream)
  }

  /** Of a child with pipes. */
  static of(child: ChildProcess): Watching {
    return new Watching(child)
  }

  static start([program = '', ...args]: readonly string[], env: Readonly<Record<string, string>>): Watching {
    return new Watching(spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }))
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** What it tells next; null when it has ended. */
  async next(): Promise<Line | null> {
    const { done, value } = await this.#lines.next()
    return done ? null : JSON.parse(value)
  }

  /** Ends it; returns what it has told besides. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ readonly rest: readonly Line[] } & Ended> {
    this.#child.kill(signal)
    const rest: Line[] = []
    for (let line = await this.next(); line !== null; line = await this.next()) rest.push(line)
    return { rest, ...(await this.ended()) }
  }

  async ended(): Promise<Ended> {
    const { exitCode, signalCode } = this.#child
    if (exitCode === null && signalCode === null) await once(this.#child, 'exit')
    return { status: this.#child.exitCode, stderr: await this.#stderr }
  }
}

export interface Ended {
  readonly status: number | null
  readonly stderr: string
}
