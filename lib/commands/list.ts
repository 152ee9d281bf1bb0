import { type Container, readContainer } from '../container/containers.js'
import { openStores } from '../launch/open-store.js'
import { listNames } from '../store/stores.js'
import { totalsOf } from './pack.js'
import { human, reportError, visible } from './report.js'

/** `appc list`: one damaged container does not hide the others; then the status is that of its error. */
export function runList({ json }: { readonly json: boolean }): number {
  let status = 0
  const containers: Container[] = []
  for (const { name, store } of listNames(openStores(process.env))) {
    try {
      containers.push(readContainer(store, name))
    } catch (error) {
      status = reportError('appc', error, json)
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

/** Columns as wide as their widest cell; the last one is not padded. */
function table(rows: readonly (readonly string[])[]): readonly string[] {
  const cells = rows.map(row => row.map(visible))
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  return cells.map(row =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '),
  )
}
