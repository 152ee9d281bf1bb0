import { copyContainer } from '../container/history.js'
import { openStores } from '../launch/open-store.js'
import { storeOf } from '../store/stores.js'
import { visibleLines } from './report.js'

/** `appc copy NAME NEW`: always 0, or an error. */
export function runCopy(source: string, name: string, { json }: { readonly json: boolean }): number {
  const stores = openStores(process.env)
  const left = copyContainer(storeOf(stores, source), source, stores.own, name)
  const lines = [
    `${name} is a copy of ${source}, with settings of its own`,
    ...left.map(path => `left out, as it is secret: ${path}`),
  ]
  const answer = { schema: 'appc.copy/1', name, of: source, left }
  process.stdout.write(`${json ? JSON.stringify(answer) : visibleLines(lines)}\n`)
  return 0
}
