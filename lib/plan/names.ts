import { type BigIntStats, readlinkSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { base, parent } from '../loader/file-system.js'
import { remember } from '../loader/remember.js'
import { hasCode } from '../store/writing.js'
import { guardOf, unlessUnseen } from './guards.js'
import type { AbsentGuard, Guard, GuardedName, IdentityGuard, NamesGuard } from './types.js'

/**
 * Guards of absent names and of links that lie in one directory, together: neither does a name come into it, nor a link become another,
 * but its times change; so as long as these are the same the launcher looks at nothing else. A package of five hundred libraries that
 * the host lacks costs as much as one.
 */
export function gathered(guards: readonly Guard[]): readonly Guard[] {
  const byDirectory = new Map<string, Gatherable[]>()
  const others: Guard[] = []
  for (const guard of guards) {
    if (isGatherable(guard)) remember(byDirectory, parent(guard.path), () => []).push(guard)
    else others.push(guard)
  }
  return [...others, ...[...byDirectory].flatMap(([directory, found]) => together(directory, found))]
}

type Gatherable = AbsentGuard | IdentityGuard

const S_IFMT = 0o170000
const S_IFLNK = 0o120000

/** What is looked at through the mounts too is looked at by its name. */
function isGatherable(guard: Guard): guard is Gatherable {
  if (guard.kind === 'names' || guard.seenAs !== null) return false
  return guard.kind === 'absent' || (guard.mode & S_IFMT) === S_IFLNK
}

function together(directory: string, guards: readonly Gatherable[]): readonly Guard[] {
  const guard = namesIn(directory, [])
  if (guard === null) return guards
  // Of a directory that has just changed each link keeps its own guard, whose time says whether it had changed since the decision began.
  const found = guards
    .filter(({ kind }) => kind === 'absent' || guard.ctimeNs !== 0n)
    .map(each => ({ each, ...look(each) }))
  const taken = found.filter(({ holds }) => holds)
  if (taken.length < 2) return guards
  const names = taken.map(({ each, link }) => ({ name: base(each.path), link }))
  return [{ ...guard, names }, ...guards.filter(guard => !taken.some(({ each }) => each === guard))]
}

/** Where a directory may not be searched names seem absent, and may be seen without that it changes. */
function look({ kind, path }: Gatherable): { readonly link: string | null; readonly holds: boolean } {
  const link = linkAt(path)
  return { link: link ?? null, holds: kind === 'absent' ? link === null : typeof link === 'string' }
}

/** null where nothing can be told by the directory: it is none, or its file system does not keep its times so. */
export function namesIn(directory: string, names: readonly GuardedName[]): NamesGuard | null {
  const stat = unlessUnseen(() => statSync(directory, { bigint: true }))
  if (!stat?.isDirectory() || !TELLING.has(statfsSync(directory).type)) return null
  const { dev, ino } = stat
  return { kind: 'names', path: directory, names, dev, ino, ...timesOf(stat) }
}

/** Those of which something else is true now. */
export function changedNames({ path, names }: NamesGuard): readonly string[] {
  return names.flatMap(({ name, link }) => {
    const at = join(path, name)
    const holds = link === null ? guardOf(at, null).kind === 'absent' : linkAt(at) === link
    return holds ? [] : [at]
  })
}

/**
 * Local ones, on which nothing comes to be in a directory but by a call that changes it. Not overlayfs, whose lower directories may be
 * others when it is mounted again, nor images (squashfs, EROFS), which may be made with the same times each time.
 */
const TELLING = new Set([
  0xef53, // ext2 to ext4
  0x58465342, // XFS
  0x9123683e, // btrfs
  0x01021994, // tmpfs
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
])

/** A second change within the same unit of time would not be seen; the coarsest of these keep seconds. */
const COARSEST_NS = 2_000_000_000n

/** Zeros where the last change is too fresh: then the names are looked up. */
function timesOf({ mtimeNs, ctimeNs }: BigIntStats): Pick<NamesGuard, 'mtimeNs' | 'ctimeNs'> {
  const isSettled = ctimeNs < BigInt(Date.now()) * 1_000_000n - COARSEST_NS
  return isSettled ? { mtimeNs, ctimeNs } : { mtimeNs: 0n, ctimeNs: 0n }
}

/** The text of a link, null where nothing is, undefined for anything else. */
function linkAt(path: string): string | null | undefined {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null
    if (hasCode(error, 'EINVAL', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return undefined
    throw error
  }
}
