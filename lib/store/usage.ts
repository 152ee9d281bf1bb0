import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Store } from './store.js'
import { joinBytes } from './walk.js'
import { hasCode } from './writing.js'

/** What the parts of a store take on the disk, in bytes. A file with several names counts once, in the first part that has it. */
export interface Usage {
  readonly objects: number
  readonly secrets: number
  /** Directories and links: the files are other names of objects and secrets. */
  readonly views: number
  readonly plans: number
  readonly quarantine: number
  readonly state: number
  /** Refs, locks, what is being written and what was found out. */
  readonly other: number
  readonly total: number
}

const PARTS = ['objects', 'secrets', 'views', 'plans', 'quarantine', 'state'] as const

export function usageOf({ home }: Pick<Store, 'home'>): Usage {
  const seen = new Set<number>()
  const parts = PARTS.map(part => [part, diskBelow(join(home, part), seen)] as const)
  const other = diskBelow(home, seen, PARTS)
  const total = parts.reduce((sum, [, bytes]) => sum + bytes, other)
  return { ...(Object.fromEntries(parts) as Record<(typeof PARTS)[number], number>), other, total }
}

/** Bytes on the disk of a path and all below it, as du(1) counts them; 0 for what is not there, or not the caller's to see. */
export function diskBelow(path: string, seen = new Set<number>(), except: readonly string[] = []): number {
  return diskAt(Buffer.from(path), seen, except)
}

function diskAt(path: Buffer, seen: Set<number>, except: readonly string[]): number {
  const stat = look(() => lstatSync(path, { throwIfNoEntry: false }))
  if (stat === undefined || stat === null || seen.has(stat.ino)) return 0
  seen.add(stat.ino)
  // Blocks have 512 bytes, whatever those of the file system have (stat(2)).
  const own = stat.blocks * 512
  if (!stat.isDirectory()) return own
  const names = (look(() => readdirSync(path, 'buffer')) ?? []).filter(name => !except.includes(name.toString()))
  return names.reduce((sum, name) => sum + diskAt(joinBytes(path, name), seen, []), own)
}

/** The closed area of the system's store, or a state that its programs have closed, are not everybody's to see. */
function look<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (hasCode(error, 'EACCES', 'ENOENT')) return null
    throw error
  }
}
