import { rollBack } from '../container/history.js'
import { AppcError } from '../errors.js'
import { openStores } from '../launch/open-store.js'
import { requireOwn } from '../store/stores.js'
import { visible } from './report.js'

/** `appc rollback NAME [N]`: always 0, or an error. What runs goes on with what it has. */
export function runRollback(name: string, to: string | undefined, { json }: { readonly json: boolean }): number {
  const stores = openStores(process.env)
  requireOwn(stores, name)
  const done = rollBack(stores.own, name, to === undefined ? null : parseGeneration(to))
  const text = `${name} is as in generation ${done.same} again: this is generation ${done.number}`
  process.stdout.write(`${json ? JSON.stringify({ schema: 'appc.rollback/1', name, ...done }) : visible(text)}\n`)
  return 0
}

/** Throws USAGE. */
export function parseGeneration(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text)
  throw new AppcError('USAGE', `${JSON.stringify(text)} is no generation`, { hint: 'generations are numbers from 1' })
}
