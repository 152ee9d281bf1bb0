import { removeContainer } from '../container/containers.js'
import { openStores } from '../launch/open-store.js'
import { requireOwn } from '../store/stores.js'
import type { Freed } from '../upkeep/collect.js'
import { human, visibleLines } from './report.js'

/** `appc remove`: all names are looked at before the first is removed, so that a misspelt one costs nothing. */
export function runRemove(names: readonly string[], { json }: { readonly json: boolean }): number {
  const stores = openStores(process.env)
  for (const name of new Set(names)) requireOwn(stores, name, `as root: appc remove ${name}`)
  for (const name of new Set(names)) {
    const freed = removeContainer(stores.own, name)
    const line = json ? JSON.stringify({ schema: 'appc.remove/1', name, ...freed }) : visibleLines(asText(name, freed))
    process.stdout.write(`${line}\n`)
  }
  return 0
}

function asText(name: string, { objects, bytes, unreadable }: Freed): readonly string[] {
  if (unreadable.length === 0)
    return [`removed ${name}: ${objects} ${objects === 1 ? 'object' : 'objects'}, ${human(bytes)} freed`]
  const others = unreadable.join(', ')
  return [
    `removed ${name}: nothing freed yet, since it cannot be told what is needed by ${others}`,
    'what nobody needs is freed by the next removal after these are packed again or removed',
  ]
}
