import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { FactsFile } from '../store/facts-memory.js'
import type { Store } from '../store/store.js'
import { addon } from './addon.js'
import { openStore } from './open-store.js'

/** What earlier runs of this user found out about ELF files; null where there is no place for it, and then all is read anew. */
export function rememberedFacts(environment: NodeJS.ProcessEnv): FactsFile | null {
  try {
    return factsOf(openStore(environment))
  } catch (error) {
    if (error instanceof AppcError && error.code === 'STORE_UNWRITABLE') return null
    throw error
  }
}

/** What earlier runs found out about ELF files, as this store keeps it. */
export function factsOf({ home }: Pick<Store, 'home'>): FactsFile {
  return new FactsFile(join(home, 'cache', 'facts'), addon().xxHash32)
}
