import type { Inventory } from '../host/inventory.js'
import { describeHost } from '../launch/describe-host.js'
import { openStore } from '../launch/open-store.js'
import { takeStockOf } from '../launch/stock.js'
import { visibleLines } from './report.js'

interface InventoryOptions {
  readonly root: string
  readonly json: boolean
  readonly complete: boolean
}

/** `appc inventory`. */
export function runInventory({ root, json, complete }: InventoryOptions): number {
  const store = openStore(process.env)
  if (complete) {
    process.stdout.write(`${JSON.stringify(describeHost(store, root))}\n`)
    return 0
  }
  const inventory = takeStockOf(store, root)
  process.stdout.write(`${json ? JSON.stringify(inventory) : asText(inventory)}\n`)
  return 0
}

function asText({ digest, os, kernel, cpu, loader, libraries }: Inventory): string {
  const features = Object.entries(kernel.features).map(
    ([name, error]) => `${name} ${error === null ? 'yes' : `no (${error})`}`,
  )
  const lines = [
    `host       ${digest.slice(0, 12)}`,
    `system     ${os?.name ?? 'unknown'}`,
    `kernel     ${kernel.release}: ${features.join(', ')}`,
    `cpu        machine ${cpu.machine}${cpu.level > 0 ? `, x86-64-v${cpu.level}` : ''}`,
    `loader     ${loader === null ? 'none' : `${loader.realPath} (${loader.kind} ${loader.version.join('.')})`}`,
    `searches   ${loader?.systemDirectories.join(', ') ?? ''}`,
    `libraries  ${libraries.length}`,
    ...libraries.map(
      ({ soname, path, versions }) => `  ${soname}  ${path}${versions.length > 0 ? `  ${versions.at(-1)}` : ''}`,
    ),
  ]
  return visibleLines(lines)
}
