import { addon } from '../../lib/launch/addon.js'
import type { StoreSystem } from '../../lib/store/store.js'

/** The real system calls: what the commands give to the store. */
export const system: StoreSystem = addon()
