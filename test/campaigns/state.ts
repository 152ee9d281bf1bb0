import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

/** What a launch must leave as it was. To be looked at in namespaces of one's own (scripts/lib/isolated). */
export interface State {
  readonly processes: readonly string[]
  readonly mounts: readonly string[]
  readonly files: readonly string[]
  readonly descriptors: readonly string[]
}

/** Files are those below /tmp; descriptors this process's own. */
export function stateNow(): State {
  return {
    processes: processes(),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n'),
    files: files('/tmp'),
    descriptors: descriptors(),
  }
}

/** What is there, or not there any more, against as much as `before` says: null when all is as it was, at once or after `limit` milliseconds. */
export async function changesSince(before: Partial<State>, limit = 1000): Promise<string | null> {
  const end = performance.now() + limit
  for (;;) {
    const now = stateNow()
    const changes = (Object.keys(before) as (keyof State)[]).flatMap(what =>
      differences(what, before[what] ?? [], now[what]),
    )
    if (changes.length === 0) return null
    if (performance.now() > end) return changes.join(', ')
    await setTimeout(2)
  }
}

export function differences(what: string, before: readonly string[], now: readonly string[]): readonly string[] {
  return [
    ...now.filter(one => !before.includes(one)).map(one => `${what}: + ${one}`),
    ...before.filter(one => !now.includes(one)).map(one => `${what}: - ${one}`),
  ]
}

/** Ends what was left behind, so that the next launch is judged by its own. */
export function killAllBut(kept: State['processes']): void {
  for (const process_ of processes().filter(one => !kept.includes(one))) {
    try {
      process.kill(Number(process_.split(' ')[0]), 'SIGKILL')
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }
}

function processes(): readonly string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => unlessGone(() => `${pid} ${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()}`))
}

/** With times of change, but for directories: what came and went again is no trace. */
function files(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return [path, ...files(path)]
    return unlessGone(() => `${path} ${lstatSync(path, { bigint: true }).ctimeNs}`)
  })
}

/** Of files with position and flags: both are shared with whom a descriptor was passed to. */
function descriptors(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap(fd =>
    unlessGone(() => {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      return target.startsWith('/')
        ? `${fd} ${target} ${readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')}`
        : `${fd} ${target}`
    }),
  )
}

/** Processes end and descriptors are closed while they are listed. */
function unlessGone(look: () => string): readonly string[] {
  try {
    return [look()]
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ENOENT', 'ESRCH', 'ENOTDIR'].includes(String(error.code))
}
