import { isSecret, type SettingFile, type Settings } from '../container/settings.js'
import { hostPath } from '../decide/host-paths.js'
import type { Decision, Host, PlacedNode, Placement } from '../decide/types.js'
import { AppcError } from '../errors.js'
import { parent } from '../loader/file-system.js'

/** What lies over the host: what was decided, and the settings. */
export type LaidNode =
  | PlacedNode
  /** A file of the store's closed area, with its own mode. */
  | { readonly kind: 'secret'; readonly id: string }
  /** A secret that the caller may not read, of a container of the system's: a file that nobody can open, as it would be for him on the host. */
  | { readonly kind: 'closed' }

export type Laid = ReadonlyMap<string, LaidNode>

/**
 * Lays settings over what was decided. They come after deciding and are no part of it: none may lie where something is loaded before a
 * program begins. Throws SETTING_INVALID for one that has no place on this host.
 */
export function laySettings(
  { placement, startUp }: Pick<Decision, 'placement' | 'startUp'>,
  { files }: Settings,
  host: Pick<Host, 'fs'>,
  areSecretsOurs: boolean,
): Laid {
  const laid = new Map<string, LaidNode>(placement)
  for (const file of files) {
    const path = hostPath(host.fs, file.path)
    const because = startUp.has(path)
      ? 'programs of the container load it when they start'
      : refusal(placement, host, path)
    if (because !== null) throw misplaced(file, because)
    laid.set(path, nodeOf(file, areSecretsOurs))
  }
  return laid
}

function nodeOf(file: SettingFile, areSecretsOurs: boolean): LaidNode {
  if (!isSecret(file)) {
    const { path, size, mode, sha256 } = file
    return { kind: 'file', file: { type: 'file', package: null, path, size, mode, sha256 } }
  }
  return areSecretsOurs ? { kind: 'secret', id: file.secret } : { kind: 'closed' }
}

/** Why nothing can be laid there; null where it can. */
function refusal(placement: Placement, { fs }: Pick<Host, 'fs'>, path: string): string | null {
  const there = placement.get(path)
  const isDirectory = there === undefined ? fs.lstat(path)?.kind === 'directory' : there.kind === 'directory'
  if (isDirectory) return 'there is a directory'
  for (let up = parent(path); up !== '/'; up = parent(up)) {
    const above = placement.get(up)
    if (above !== undefined && above.kind !== 'directory') return `${up} is no directory in the container`
    if (above === undefined && ![undefined, 'directory'].includes(fs.lstat(up)?.kind))
      return `${up} is no directory here`
  }
  const top = path.split('/', 2).join('/')
  return fs.lstat(top)?.kind === 'directory' ? null : `this host has no ${top} that could be laid over`
}

function misplaced({ path }: SettingFile, because: string): AppcError {
  return new AppcError('SETTING_INVALID', `the setting ${path} cannot be laid over this host`, {
    because,
    hint: 'set the file at another path, or take it away with appc settings NAME unset PATH',
  })
}
