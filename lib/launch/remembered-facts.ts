import { join } from 'node:path'
import { AppcError } from '../errors.js'
import { FactsFile } from '../store/facts-memory.js'
import { addon } from './addon.js'
import { openStore } from './open-store.js'

/** What earlier runs of this user found out about ELF files; null where there is no place for it, and then all is read anew. */
export function rememberedFacts(environment: NodeJS.ProcessEnv): FactsFile | null {
  try {
    return new FactsFile(join(openStore(environment).home, 'cache', 'facts'), addon().crc32)
  } catch (error) {
    if (error instanceof AppcError && error.code === 'STORE_UNWRITABLE') return null
    throw error
  }
}
