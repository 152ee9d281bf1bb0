import type { ChildProcess } from 'node:child_process'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Random } from '../fuzz/random.js'
import { users } from '../native/fixture.js'
import { finished, type Ran, Site } from '../support/site.js'
import { SystemStore } from '../support/system-store.js'
import { judgeQuiet } from './together-judge.js'
import {
  type Names,
  OPERATIONS,
  type Operation,
  pickOperation,
  type Sources,
  wrongWith,
} from './together-operations.js'
import { makeVersion } from './together-tree.js'

export interface Together {
  /** By operation: how often, how often with an error that is a right answer, and the longest in milliseconds. */
  readonly counts: ReadonlyMap<string, { done: number; refused: number; longest: number }>
  readonly findings: readonly string[]
}

export interface TogetherOptions {
  readonly seconds: number
  readonly workers: number
  readonly seed: number
}

/** What takes as long hangs. */
const HANGS_MS = 180_000
const ENOUGH = 20

const SYSTEM_NAMES = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta']
const OWN_NAMES = ['one', 'two', 'three']

/**
 * Has many processes work on one store at once: the owner of the system's store, and a user who has one of his own and finds the system's
 * containers. No answer but those that are right when somebody else was faster.
 */
export async function workTogether({ seconds, workers, seed }: TogetherOptions): Promise<Together> {
  const user = users.at(-1)?.[1]
  if (user === undefined) throw new Error('nobody is there')
  const site = new Site(user)
  const system = await SystemStore.open(site)
  try {
    const crowd = new Crowd(site, system, makeSources(site), Date.now() + seconds * 1000)
    await Promise.all(
      Array.from({ length: workers }, (_, index) => crowd.work(new Random(seed + index), index % 5 < 3)),
    )
    if (!crowd.hangs) await judgeQuiet(site, system, text => crowd.findings.push(text))
    return crowd
  } finally {
    system.close()
    site.remove()
  }
}

function makeSources(site: Site): Sources {
  const trees = ['v1', 'v2', 'v3'].map(version => {
    const tree = join(site.directory, version)
    makeVersion(tree, version)
    return tree
  })
  const files = ['open', 'closed'].map(word => {
    const path = join(site.directory, word)
    writeFileSync(path, word)
    chmodSync(path, word === 'open' ? 0o644 : 0o640)
    return path
  })
  return { trees, files }
}

class Crowd implements Together {
  readonly counts = new Map(OPERATIONS.map(name => [name, { done: 0, refused: 0, longest: 0 }]))
  readonly findings: string[] = []
  hangs = false

  constructor(
    private readonly site: Site,
    private readonly system: SystemStore,
    private readonly sources: Sources,
    private readonly end: number,
  ) {}

  /** One worker: one command after the other. */
  async work(random: Random, isOwner: boolean): Promise<void> {
    const names: Names = isOwner
      ? { own: SYSTEM_NAMES, all: SYSTEM_NAMES }
      : { own: OWN_NAMES, all: [...SYSTEM_NAMES, ...OWN_NAMES] }
    while (Date.now() < this.end && this.findings.length < ENOUGH && !this.hangs) {
      const operation = pickOperation(
        random,
        names,
        isOwner ? this.sources : { ...this.sources, files: this.sources.files.slice(0, 1) },
      )
      const began = performance.now()
      const ran = await this.#run(operation, isOwner)
      const count = this.counts.get(operation.name)
      if (count === undefined) throw new Error(operation.name)
      count.done++
      count.longest = Math.max(count.longest, Math.round(performance.now() - began))
      const { text, code } = wrongWith(operation, ran)
      if (text === null && code !== null) count.refused++
      if (text !== null) this.findings.push(`${isOwner ? 'owner' : 'user'}: ${operation.words.join(' ')}: ${text}`)
    }
  }

  async #run(operation: Operation, isOwner: boolean): Promise<Ran> {
    const child = this.#start(operation, isOwner)
    const hangs = new AbortController()
    const watch = wait(HANGS_MS, null, { signal: hangs.signal }).then(
      () => this.#tellHang(operation, child),
      () => {},
    )
    const { input } = operation
    const ended = finishedLater(child, input?.text ?? '', input?.after ?? 0)
    const ran = await ended
    hangs.abort()
    await watch
    return ran
  }

  #start({ program, words }: Operation, isOwner: boolean): ChildProcess {
    const command =
      program === 'appc'
        ? [process.execPath, this.site.cli, ...words]
        : ['/bin/sh', '-c', 'exec "$0" --error-fd 3 "$@" 3>&2', this.site.launcher, ...words]
    const [first = '', ...others] = command
    return isOwner ? this.system.startAsOwner(first, others) : this.system.start(first, others)
  }

  /** With what it waits for; then it is killed, and all end. */
  #tellHang({ words }: Operation, child: ChildProcess): void {
    this.hangs = true
    const waiting = readdirSync('/proc')
      .filter(name => /^[0-9]+$/.test(name))
      .map(pid =>
        attempt(
          () =>
            `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 150)}: ${readFileSync(`/proc/${pid}/wchan`, 'utf8')}`,
        ),
      )
      .filter(line => line?.includes(this.site.directory))
    this.findings.push(`hangs: ${words.join(' ')}\n${waiting.join('\n')}\n${readFileSync('/proc/locks', 'utf8')}`)
    child.kill('SIGKILL')
  }
}

async function finishedLater(child: ChildProcess, input: string, after: number): Promise<Ran> {
  if (after === 0) return finished(child, input)
  const stdin = child.stdin
  if (stdin === null) throw new Error('started without pipes')
  const timer = setTimeout(() => stdin.end(input), after)
  try {
    return await finished(child, null)
  } finally {
    clearTimeout(timer)
  }
}

function attempt<T>(read: () => T): T | null {
  try {
    return read()
  } catch {
    return null
  }
}
