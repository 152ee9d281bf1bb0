import { type Container, readContainer } from '../container/containers.js'
import { openStores } from '../launch/open-store.js'
import { isUnknownContainer } from '../store/refs.js'
import { listNames } from '../store/stores.js'
import { totalsOf } from './pack.js'
import { human, reportError } from './report.js'
import { table } from './table.js'

/** `appc list`: one damaged container does not hide the others; then the status is that of its error. One removed meanwhile is none. */
export function runList({ json }: { readonly json: boolean }): number {
  let status = 0
  const containers: Container[] = []
  for (const { name, store } of listNames(openStores(process.env))) {
    try {
      containers.push(readContainer(store, name))
    } catch (error) {
      if (!isUnknownContainer(error)) status = reportError('appc', error, json)
    }
  }
  const lines = json ? containers.map(asJson) : table(containers.map(asRow))
  process.stdout.write(lines.map(line => `${line}\n`).join(''))
  return status
}

function asJson({ name, store, digest, manifest }: Container): string {
  const { source, entries } = manifest
  return JSON.stringify({
    schema: 'appc.list/1',
    name,
    store,
    digest,
    source: source.os?.name ?? null,
    entries,
    ...totalsOf(manifest),
  })
}

function asRow({ name, store, digest, manifest }: Container): readonly string[] {
  const entries = manifest.entries.map(({ name }) => name).join(', ')
  return [name, digest.slice(0, 12), entries, human(totalsOf(manifest).bytes), manifest.source.os?.name ?? '-', store]
}
