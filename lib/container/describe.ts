import { readSymbols } from '../elf/symbols.js'
import { AppcError } from '../errors.js'
import type { FileStat, OpenFile } from '../loader/types.js'
import { REPLACEMENT } from '../loader/unreadable.js'
import type { StoredObject } from '../store/writer.js'
import { isExecutable } from './containers.js'
import type { Gathered } from './gather.js'
import { loadable } from './libraries.js'
import { roleTeller } from './roles.js'
import type { PackedElf, PackedFile, PackedPackage } from './types.js'

/** Takes a file's bytes; gives their digest and number. */
export type Copy = (source: OpenFile, executable: boolean) => StoredObject

/** Copies every gathered file and says what it is, sorted by path. */
export function describeFiles(gathered: Gathered, copy: Copy): readonly PackedFile[] {
  const { harvest, linkage } = gathered
  const roleOf = roleTeller(harvest.tree, linkage.loader, linkage.reached, gathered.programs)
  const describeElf = (path: string, file: OpenFile): PackedElf | undefined => {
    const facts = loadable(harvest.tree, path, gathered.machine)
    if (facts === null) return undefined
    const resolved = [...(linkage.resolved.get(path) ?? [])].sort(([a], [b]) => compareText(a, b))
    const dlopened = [...(linkage.dlopened.get(path) ?? [])].sort(([a], [b]) => compareText(a, b))
    return {
      ...facts,
      symbols: readSymbols(file),
      role: roleOf(path, facts),
      resolved: Object.fromEntries(resolved),
      ...(dlopened.length > 0 ? { dlopened: Object.fromEntries(dlopened) } : {}),
    }
  }
  return [...harvest.paths.keys()].sort(compareText).flatMap(path => {
    const described = describeFile(gathered, path, describeElf, copy)
    return described === null ? [] : [described]
  })
}

function describeFile(
  { harvest }: Gathered,
  path: string,
  describeElf: (path: string, file: OpenFile) => PackedElf | undefined,
  copy: Copy,
): PackedFile | null {
  const { tree } = harvest
  const stat = tree.fs.lstat(path)
  if (stat === null) throw changed(path)
  const base = { path, package: harvest.paths.get(path)?.name ?? null }
  if (stat.kind === 'symlink') {
    const { end } = tree.chain(path)
    const target = tree.fs.readlink(path)
    if (end === null && target.includes(REPLACEMENT)) throw unwritable(path)
    return { type: 'symlink', ...base, target, ...(end === null || end.path === '/' ? {} : { end: end.path }) }
  }
  if (stat.kind === 'directory')
    return isTheirs(harvest.packages, tree.database?.ownersOf(path) ?? [])
      ? { type: 'directory', ...base, mode: stat.mode & 0o777 }
      : null
  if (stat.kind !== 'file') return null
  const file = tree.open(path)
  try {
    // setuid and setgid are not kept: nobody vouches for who may become whom on another machine.
    const mode = stat.mode & 0o777
    const elf = describeElf(path, file)
    const { sha256, size } = copy(file, isExecutable(mode))
    if (!isSame(stat, tree.fs.lstat(path)) || size !== stat.size) throw changed(path)
    const recorded = harvest.recorded.has(path) ? { recorded: true as const } : {}
    return { type: 'file', ...base, mode, size, sha256, ...recorded, ...(elf === undefined ? {} : { elf }) }
  } finally {
    file.close()
  }
}

/** Directories that packages outside the container ship too (/usr/lib) are the host's affair. */
function isTheirs<T>(taken: ReadonlyMap<T, unknown>, owners: readonly T[]): boolean {
  return owners.every(owner => taken.has(owner))
}

export function describePackages({ harvest }: Gathered): readonly PackedPackage[] {
  return [...harvest.packages]
    .map(([pkg, own]) => ({ ...pkg, own }))
    .sort((a, b) => compareText(a.name, b.name) || compareText(a.architecture, b.architecture))
}

function isSame(a: FileStat, b: FileStat | null): boolean {
  return b !== null && a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs
}

/** A manifest is UTF-8: in the container the link would lead elsewhere. */
function unwritable(path: string): AppcError {
  return new AppcError('FILE_UNREADABLE', `${path} cannot be packed`, {
    because: 'what it links to is not UTF-8',
    hint: 'rename what it links to, and make the link anew',
  })
}

function changed(path: string): AppcError {
  return new AppcError('FILE_UNREADABLE', `${path} changed while it was packed`, {
    hint: 'pack again when the tree is at rest',
  })
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
