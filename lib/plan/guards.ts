import { type BigIntStats, lstatSync } from 'node:fs'
import { parent } from '../loader/file-system.js'
import { TICK_NS } from '../store/settled.js'
import { hasCode } from '../store/writing.js'
import { MAX_LENGTH } from './layout.js'
import type { AbsentGuard, Guard, IdentityGuard } from './types.js'

/**
 * Turns what a decision rests on into guards: a path that is there must stay the same file, one that is not must stay absent.
 * `evidence` are paths as seen from inside, `root` is put before them ('' for this machine's own root). What the host has below an
 * overlaid directory (`isSeenInside`) is looked at once more through the mounted view, just before the program starts: it could have
 * been replaced since the first look, a link led elsewhere, or a name appeared; and what was looked up there stays as it was, for the
 * program's own look.
 */
export function guardsOf(
  root: string,
  evidence: readonly string[],
  isSeenInside: (path: string, evidence: string) => boolean,
): readonly Guard[] {
  const absent = new Map<string, string | null>()
  const guards: Guard[] = []
  for (const path of evidence) {
    // Nothing is ever at a path that is longer than the kernel's PATH_MAX.
    if (Buffer.byteLength(root + path) > MAX_LENGTH.path) continue
    const guard = guardOf(root + path, isSeenInside(path, path) ? path : null)
    if (guard.kind === 'identity') guards.push(guard)
    else {
      const missing = nearestMissing(root, path)
      absent.set(root + missing, isSeenInside(missing, path) ? missing : null)
    }
  }
  const sorted = [...absent].sort(([a], [b]) => (a < b ? -1 : 1))
  return [...guards, ...sorted.map(([path, seenAs]) => ({ kind: 'absent' as const, path, seenAs }))]
}

/** The guard of one path on the machine. */
export function guardOf(path: string, seenAs: string | null): IdentityGuard | AbsentGuard {
  const stat = look(path)
  if (stat === null) return { kind: 'absent', path, seenAs }
  return {
    kind: 'identity',
    path,
    dev: stat.dev,
    ino: stat.ino,
    size: Number(stat.size),
    mode: Number(stat.mode),
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    // A directory that is covered is another one inside.
    seenAs: stat.isDirectory() ? null : seenAs,
  }
}

/**
 * Whether a file that a plan rests on, or a directory whose links it does, changed since it began to be decided, or so shortly before
 * that a change since would not show in its times: the guards would bless what was never looked at.
 */
export function haveYoung(guards: readonly Guard[], beganNs: bigint): boolean {
  const isYoung = ({ ctimeNs }: { readonly ctimeNs: bigint }) => ctimeNs > beganNs - TICK_NS
  return guards.some(guard => {
    if (guard.kind === 'names') return guard.names.some(({ link }) => link !== null) && isYoung(guard)
    return guard.kind === 'identity' && isYoung(guard)
  })
}

/** The uppermost part of the path that is not there: many names in a directory that does not exist are one guard. */
function nearestMissing(root: string, path: string): string {
  const exists = (name: string) => look(root + name) !== null
  let missing = path
  while (missing !== '/' && !exists(parent(missing))) missing = parent(missing)
  return missing
}

/** What lstat(2) says; null where nothing can be seen. */
export function look(path: string): BigIntStats | null {
  return unlessUnseen(() => lstatSync(path, { bigint: true }))
}

/** What is found at a path; null where neither we nor a loader can see anything (native/core/guards.cpp, `isAbsent`). */
export function unlessUnseen<Found>(find: () => Found): Found | null {
  try {
    return find()
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return null
    throw error
  }
}
