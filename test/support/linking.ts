import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { LOCKS, Store } from '../../lib/store/store.js'

/** Of what is in the shell's words: is done; and when somebody waits for the lock, the other is. */
const SCRIPT = `
  eval "$1" && echo ready
  lock=$(stat -c %i "$0")
  until grep -q -e "-> FLOCK .*:$lock " /proc/locks; do sleep 0.01; done
  eval "$2"`

/**
 * A process that holds a lock of the store, and has done a half of what it does under it. The other half it does as soon as somebody waits
 * for the lock, of which it then lets go.
 */
export async function halfDone(
  store: Pick<Store, 'home'>,
  first: string,
  second: string,
  name: (typeof LOCKS)[number] = 'links',
): Promise<ChildProcess> {
  const lock = join(store.home, name)
  const child = spawn('flock', [lock, 'sh', '-c', SCRIPT, lock, first, second], {
    cwd: store.home,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  return child
}

/** Also where nobody has waited. */
export function endHalfDone({ pid }: ChildProcess): void {
  try {
    process.kill(-(pid as number), 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
