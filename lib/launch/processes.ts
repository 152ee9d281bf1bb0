import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs'
import { hasCode } from '../store/writing.js'

/** A process, as all may see it. */
export interface Process {
  readonly pid: number
  readonly parent: number
  /** In ticks since the machine's start: with the id, the process and none after it. */
  readonly started: bigint
}

/** All that there are, oldest first. Those that have ended, but were not waited for, are left out. */
export function listProcesses(): readonly Process[] {
  const ids = readdirSync('/proc').filter(name => /^[0-9]+$/.test(name))
  const processes = ids.map(Number).map(readProcess)
  return processes.filter(process => process !== null).sort((a, b) => compare(a.started, b.started) || a.pid - b.pid)
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** A thread of a process, as /proc has it: it may have namespaces of its own, and go on when the first one has ended. */
export type Thread = `${number}/task/${number}`

/** null when there is none (any more). */
export function readProcess(pid: number): Process | null {
  return look(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name, in parentheses, may hold anything.
    const [state = '', parent = '', ...others] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const started = others[17]
    return /[ZX]/.test(state) || started === undefined
      ? null
      : { pid, parent: Number(parent), started: BigInt(started) }
  })
}

/** Ids of a process: real, effective, saved, of files; and in each PID namespace from this one down. */
export interface Ids {
  readonly uids: readonly number[]
  readonly pids: readonly number[]
}

export function readIds(pid: number): Ids | null {
  return look(() => {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const numbers = (name: string) =>
      (new RegExp(`^${name}:\\t(.*)$`, 'm').exec(status)?.[1] ?? '').split(/\s+/).map(Number)
    return { uids: numbers('Uid'), pids: numbers('NSpid') }
  })
}

/** null too where it has more than so many bytes. */
export function readMountinfo(pid: number, most: number): string | null {
  return look(() => readMounts(pid, most))
}

/** The same, where it matters why it cannot be read; null only where it is too long. */
export function readMounts(pid: number | Thread, most: number): string | null {
  const file = openSync(`/proc/${pid}/mountinfo`, 'r')
  try {
    const parts: Buffer[] = []
    for (let length = 0; length <= most; length += parts.at(-1)?.length ?? 0) {
      const buffer = Buffer.allocUnsafe(64 << 10)
      const count = readSync(file, buffer)
      if (count === 0) return Buffer.concat(parts).toString()
      parts.push(buffer.subarray(0, count))
    }
    return null
  } finally {
    closeSync(file)
  }
}

export type NamespaceKind = 'cgroup' | 'ipc' | 'mnt' | 'net' | 'pid' | 'user' | 'uts'

/** Such as `mnt:[4026531841]`; null too where the caller may not look into the process. */
export function namespaceOf(pid: number | 'self' | Thread, kind: NamespaceKind): string | null {
  return look(() => readlinkSync(`/proc/${pid}/ns/${kind}`))
}

/** What is known of a process by others may be gone at any time, or be nobody's business. A zombie's mounts are EINVAL. */
export function look<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'EINVAL')) return null
    throw error
  }
}
