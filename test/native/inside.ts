import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compile } from '../support/fixtures.js'
import type { RunOptions, Sandbox } from './fixture.js'

const attempts = fileURLToPath(new URL('../../../test/native/attempts.c', import.meta.url))

/** Programs that look at a confinement from inside, in a directory that any confinement is told to show. */
export class Inside {
  readonly #sandbox: Sandbox
  readonly directory: string

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox
    this.directory = sandbox.path('inside')
    sandbox.install(sandbox.plan('inside', {}))
    this.compile('attempts', readFileSync(attempts, 'utf8'))
  }

  compile(name: string, source: string, ...flags: readonly string[]): string {
    return compile(this.directory, name, source, ['-Wall', '-Werror', ...flags])
  }

  /** The words of a command line that has a shell run `script`; `$1` and the rest are `args`. */
  command(options: readonly string[], script: string, ...args: readonly string[]): readonly string[] {
    return [...options, '--ro', this.directory, 'inside', '-c', script, 'sh', ...args]
  }

  run(options: readonly string[], script: string, args: readonly string[] = [], how: RunOptions = {}) {
    return this.#sandbox.run(this.command(options, script, ...args), how)
  }

  /** What each attempt came to: "ok", or an errno's name. */
  attempt(options: readonly string[], ...names: readonly string[]): Readonly<Record<string, string>> {
    const { status, stdout, stderr } = this.run(options, 'exec "$@"', [`${this.directory}/attempts`, ...names])
    if (status !== 0) throw new Error(`${options.join(' ')}: ${status} ${stderr}`)
    return Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map(line => line.split(' ')),
    )
  }
}
