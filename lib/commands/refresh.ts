import { openStores } from '../launch/open-store.js'
import { type Renewed, renew } from '../launch/renew.js'
import { findRunning, requireRunning } from '../launch/running.js'

/** `appc refresh`: 1 when one of them has to be started anew to see the host as it is. */
export function runRefresh(designation: string, { json }: { readonly json: boolean }): number {
  const stores = openStores(process.env)
  const renewed = renew(stores, requireRunning(findRunning(stores.own), designation))
  process.stdout.write(renewed.map(one => `${json ? asJson(one) : asText(one)}\n`).join(''))
  return renewed.every(({ because }) => because === null) ? 0 : 1
}

function asJson({ container, because }: Renewed): string {
  const { name, leader } = container
  return JSON.stringify({ schema: 'appc.refresh/1', name, pid: leader.pid, refreshed: because === null, because })
}

function asText({ container, because }: Renewed): string {
  const { name, leader } = container
  if (because === null) return `refreshed ${name}:${leader.pid}`
  return `${name}:${leader.pid} needs a restart: ${because} (appc-run --replace ${name})`
}
