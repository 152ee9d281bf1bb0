import { AppcError } from '../errors.js'
import { openStore } from '../launch/open-store.js'
import { findRunning, requireRunning } from '../launch/running.js'
import { PATIENCE, stop } from '../launch/stop.js'

export interface StopOptions {
  /** As it was typed. */
  readonly timeout?: string
  readonly json: boolean
}

/** `appc stop`: all that run of a container, or the one that is said. */
export async function runStop(designation: string, { timeout, json }: StopOptions): Promise<number> {
  const patience = timeout === undefined ? PATIENCE : Number(timeout) * 1000
  if (timeout !== undefined && (!/^\d+(\.\d+)?$/.test(timeout) || patience > MOST)) {
    throw new AppcError('USAGE', `${JSON.stringify(timeout)} is no number of seconds`, {
      hint: 'for example --timeout 30',
    })
  }
  const store = openStore(process.env)
  const chosen = requireRunning(findRunning(store), designation)
  const killed = await stop(store, chosen, patience)
  for (const { name, leader } of chosen) {
    const line = { schema: 'appc.stop/1', name, pid: leader.pid, killed: killed.has(leader) }
    const text = `stopped ${name}:${leader.pid}${line.killed ? ', by force' : ''}`
    process.stdout.write(`${json ? JSON.stringify(line) : text}\n`)
  }
  return 0
}

/** A day. */
const MOST = 86_400_000
