import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compile } from '../container/tree.js'
import { launcher } from '../decide/scenario.js'
import { APPC } from '../support/node.js'
import type { Operation } from './operations.js'

/** A directory with a store and a tree to pack from. The store is always at the same path: plans tell it. */
export class Place {
  readonly home: string
  readonly #prepared: string

  constructor(
    readonly directory: string,
    readonly tree: string,
  ) {
    this.home = join(directory, 'store')
    this.#prepared = join(directory, 'prepared')
    mkdirSync(this.#prepared, { recursive: true })
  }

  /** What commands find around them: nothing of this process's own, which Node would obey. */
  get environment(): Readonly<Record<string, string>> {
    return { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, HOME: this.directory, APPC_HOME: this.home }
  }

  /** Runs appc, undisturbed; throws where it fails. */
  appc(...words: readonly string[]): void {
    this.#must([...APPC, ...words])
  }

  /** The same by the launcher. */
  launch(...words: readonly string[]): void {
    this.#must([launcher, ...words])
  }

  /** Makes the store in which an operation begins. */
  prepare(operation: Operation): void {
    for (const directory of [this.home, this.#prepared]) rmSync(directory, { recursive: true, force: true })
    mkdirSync(this.#prepared)
    operation.prepare(this)
    this.#copy(this.home, this.#prepared)
  }

  /** The store as it was prepared. */
  restore(): void {
    rmSync(this.home, { recursive: true, force: true })
    this.#copy(join(this.#prepared, 'store'), this.directory)
  }

  /** Node's own copy makes two files of two names. An operation may begin without a store. */
  #copy(from: string, to: string): void {
    this.#must(['/bin/sh', '-c', '[ ! -e "$1" ] || exec cp -a "$1" "$2"', 'copy', from, to])
  }

  #must([program = '', ...words]: readonly string[]): void {
    const options = { env: this.environment, cwd: this.directory, encoding: 'utf8' } as const
    const { status, stdout, stderr } = spawnSync(program, words, options)
    if (status !== 0) throw new Error(`${words.join(' ')}: ${status}\n${stdout}${stderr}`)
  }
}

/** As little as may be: programs of some hundred bytes, which end at once, and files that they share. */
export function makeTree(tree: string): void {
  mkdirSync(join(tree, 'bin'), { recursive: true })
  mkdirSync(join(tree, 'share'))
  for (const [index, name] of ['first', 'second', 'third'].entries()) {
    const source = `int number = ${index}; void _start(void) { __asm__ volatile("syscall" :: "a"(60), "D"(0)); }`
    const bytes = compile(source, ['-static', '-nostdlib', '-Wl,-z,noseparate-code', '-s'])
    writeFileSync(join(tree, 'bin', name), bytes, { mode: 0o755 })
  }
  for (const name of ['a', 'b']) writeFileSync(join(tree, 'share', name), name.repeat(5_000))
  writeFileSync(join(tree, 'share/secret'), 'secret', { mode: 0o600 })
}
