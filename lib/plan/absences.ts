import { type BigIntStats, lstatSync, statfsSync, statSync } from 'node:fs'
import { base, parent } from '../loader/file-system.js'
import { remember } from '../loader/remember.js'
import { hasCode } from '../store/writing.js'
import type { AbsencesGuard, AbsentGuard, Guard } from './types.js'

/**
 * Guards of absent names that lie in one directory, together: a name that comes into it changes its times, so as long as these are the
 * same the launcher looks at nothing else. A package of five hundred libraries that the host lacks costs as much as one.
 */
export function gathered(guards: readonly Guard[]): readonly Guard[] {
  const byDirectory = new Map<string, AbsentGuard[]>()
  // What is looked at through the mounts too is looked at by its name.
  const isGathered = (guard: Guard) => guard.kind === 'absent' && guard.seenAs === null
  for (const guard of guards)
    if (guard.kind === 'absent' && isGathered(guard)) remember(byDirectory, parent(guard.path), () => []).push(guard)
  const others = guards.filter(guard => !isGathered(guard))
  return [...others, ...[...byDirectory].flatMap(([directory, absent]) => together(directory, absent))]
}

function together(directory: string, absent: readonly AbsentGuard[]): readonly Guard[] {
  // Where a directory may not be searched names seem absent, and may be seen without that it changes.
  const missing = absent.filter(({ path }) => isMissing(path))
  const names = missing.map(({ path }) => base(path))
  const guard = missing.length < 2 ? null : absencesIn(directory, names)
  return guard === null ? absent : [guard, ...absent.filter(each => !missing.includes(each))]
}

/** null where nothing can be told by the directory: it is none, or its file system does not keep its times so. */
export function absencesIn(directory: string, names: readonly string[]): AbsencesGuard | null {
  const stat = statSync(directory, { bigint: true, throwIfNoEntry: false })
  if (!stat?.isDirectory() || !TELLING.has(statfsSync(directory).type)) return null
  const { dev, ino } = stat
  return { kind: 'absences', path: directory, names, dev, ino, ...timesOf(stat) }
}

/** Local ones, on which nothing comes to be in a directory but by a call that changes it. */
const TELLING = new Set([
  0xef53, // ext2 to ext4
  0x58465342, // XFS
  0x9123683e, // btrfs
  0x01021994, // tmpfs
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
  0x794c7630, // overlay
  0x73717368, // squashfs
  0xe0f5e1e2, // EROFS
])

/** A second change within the same unit of time would not be seen; the coarsest of these keep seconds. */
const COARSEST_NS = 2_000_000_000n

/** Zeros where the last change is too fresh: then the names are looked up. */
function timesOf({ mtimeNs, ctimeNs }: BigIntStats): Pick<AbsencesGuard, 'mtimeNs' | 'ctimeNs'> {
  const isSettled = ctimeNs < BigInt(Date.now()) * 1_000_000n - COARSEST_NS
  return isSettled ? { mtimeNs, ctimeNs } : { mtimeNs: 0n, ctimeNs: 0n }
}

export function isMissing(path: string): boolean {
  try {
    lstatSync(path)
    return false
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true
    if (hasCode(error, 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return false
    throw error
  }
}
