import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type Inventory, type InventoryLibrary, takeStock } from '../host/inventory.js'
import { rootFileSystem } from '../loader/root-file-system.js'
import { Memory } from '../store/memory.js'
import type { Store } from '../store/store.js'
import { addon } from './addon.js'
import { kernel } from './machine.js'

/** The inventory of a root on this machine; what was read before is remembered in the store. */
export function takeStockOf(store: Store, root: string): Inventory {
  const fs = rootFileSystem(root)
  const { dev, ino } = statSync(root, { bigint: true })
  const path = join(store.home, 'cache', `inventory-${dev.toString(16)}-${ino.toString(16)}`)
  const memory = new Memory(path, 'appc.inventory-memory/1', isRemembered)
  const inventory = takeStock(fs, { kernel: kernel(), cpuLevel: addon().cpuLevel() }, memory)
  memory.save()
  return inventory
}

type Remembered = Omit<InventoryLibrary, 'path'> | null

function isRemembered(value: unknown): value is Remembered {
  if (value === null) return true
  if (typeof value !== 'object' || !('soname' in value) || !('versions' in value) || !('buildId' in value)) return false
  const { soname, versions, buildId } = value
  const strings = Array.isArray(versions) && versions.every(version => typeof version === 'string')
  return typeof soname === 'string' && strings && (buildId === null || typeof buildId === 'string')
}
