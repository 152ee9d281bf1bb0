import { removeContainer } from '../container/containers.js'
import { AppcError } from '../errors.js'
import { openStore } from '../launch/open-store.js'
import type { Freed } from '../store/collect.js'
import { requireRef } from '../store/refs.js'
import { human, visibleLines } from './report.js'

/** `appc remove`: all names are looked at before the first is removed, so that a misspelt one costs nothing. */
export function runRemove(names: readonly string[], { json }: { readonly json: boolean }): number {
  const store = openStore(process.env)
  for (const name of new Set(names)) {
    try {
      requireRef(store, name)
    } catch (error) {
      // A container whose ref is damaged can be removed.
      if (!(error instanceof AppcError && error.code === 'STORE_CORRUPT')) throw error
    }
  }
  for (const name of new Set(names)) {
    const freed = removeContainer(store, name)
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
