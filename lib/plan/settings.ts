import { NEVER_COVERED } from '../container/excluded.js'
import { isSecret, refusalOf, type SettingFile, type Settings } from '../container/settings.js'
import { hostDirectory, hostPath, within } from '../decide/host-paths.js'
import type { Decision, Host, PlacedNode } from '../decide/types.js'
import { AppcError } from '../errors.js'
import { isOutOfReach, parent, resolvePath } from '../loader/file-system.js'

/** What lies over the host: what was decided, and the settings. */
export type LaidNode =
  | PlacedNode
  /** A file of the store's closed area, with its own mode. */
  | { readonly kind: 'secret'; readonly id: string }
  /** A secret that the caller may not read, of a container of the system's: a file that nobody can open, as it would be for him on the host. */
  | { readonly kind: 'closed' }

export type LaidNodes = ReadonlyMap<string, LaidNode>

/**
 * Lays settings over what was decided. They come after deciding and are no part of it: none may lie where something is loaded before a
 * program begins. Throws SETTING_INVALID for one that has no place on this host.
 */
export function laySettings(
  { placement, startUp }: Pick<Decision, 'placement' | 'startUp'>,
  { files }: Settings,
  host: Pick<Host, 'fs'>,
  areSecretsOurs: boolean,
): LaidNodes {
  const laid = new Map<string, LaidNode>(placement)
  const known = new Map<string, string>()
  for (const file of files) {
    const path = hostPath(host.fs, file.path)
    const other = known.get(path)
    const because = startUp.has(path)
      ? 'programs of the container load it when they start'
      : other === undefined
        ? refusal(laid, host, path)
        : `the setting ${other} is the same file here`
    if (because !== null) throw misplaced(file, because)
    known.set(path, file.path)
    laid.set(path, nodeOf(file, areSecretsOurs))
  }
  return laid
}

/** Where the directories of state are to be mounted on this host, by the paths that they were given. */
export type StatePlaces = ReadonlyMap<string, string>

/**
 * Each is mounted on the directory that the host or the container has there; where there is none, one is laid there for it. Throws
 * SETTING_INVALID where that cannot be.
 */
export function placeState(
  laid: LaidNodes,
  { startUp }: Pick<Decision, 'startUp'>,
  { state, files }: Settings,
  { fs }: Pick<Host, 'fs'>,
): { laid: LaidNodes; places: StatePlaces } {
  const all = new Map(laid)
  const places = new Map<string, string>()
  for (const path of state) {
    const target = hostDirectory(fs, path)
    const nowhere = ledNowhere(target, 'state') ?? nestedIn(target, places, files, fs)
    if (nowhere !== null) throw misplacedState(path, nowhere, 'choose another directory')
    places.set(path, target)
    // What lies in it is the program's to change, and nobody verifies it.
    if ([...startUp].some(file => within(file, target)))
      throw misplacedState(
        path,
        'programs of the container load what lies there when they start',
        `choose a directory of data: appc state NAME drop ${path}`,
      )
    const there = all.get(target)?.kind ?? fs.lstat(target)?.kind
    if (there === 'directory') continue
    const because = there === undefined ? stateRefusal(laid, target, fs) : 'something else than a directory is there'
    if (because !== null) throw misplacedState(path, because)
    all.set(target, { kind: 'directory', mode: 0o755 })
  }
  return { laid: all, places }
}

/** Settings have been looked at for it by the paths that were given: links of this host make others of them. */
function nestedIn(target: string, places: StatePlaces, files: Settings['files'], fs: Host['fs']): string | null {
  const other = [...places].find(([, place]) => within(target, place) || within(place, target))
  if (other !== undefined) return `of it and ${other[0]} one lies in the other here`
  const file = files.find(({ path }) => within(hostPath(fs, path), target))
  return file === undefined ? null : `the setting ${file.path} lies in it here`
}

/** The links of this host by which settings and state lie where they do: once one leads elsewhere, so do they. */
export function linksOnTheWay({ files, state }: Settings, { fs }: Pick<Host, 'fs'>): readonly string[] {
  const directories = [...files.map(({ path }) => parent(path)), ...state]
  return [...new Set(directories.flatMap(directory => linksTo(fs, directory)))]
}

function linksTo(fs: Host['fs'], directory: string): readonly string[] {
  try {
    return resolvePath(fs, directory).links
  } catch (error) {
    // It is refused, or laid where it was given.
    if (isOutOfReach(error)) return []
    throw error
  }
}

function stateRefusal(laid: LaidNodes, path: string, fs: Host['fs']): string | null {
  const covered = NEVER_COVERED.find(directory => within(path, directory))
  if (covered !== undefined) return `this host has no such directory, and ${covered} is its own and never laid over`
  if (fs.lstat(path.split('/', 2).join('/'))?.kind !== 'directory') return 'this host has no directory above it'
  return blockedAbove(laid, fs, path)
}

function misplacedState(
  path: string,
  because: string,
  hint = `make an empty directory there: mkdir -p ${path}`,
): AppcError {
  return new AppcError('SETTING_INVALID', `the state ${path} has no place on this host`, { because, hint })
}

function nodeOf(file: SettingFile, areSecretsOurs: boolean): LaidNode {
  if (!isSecret(file)) {
    const { path, size, mode, sha256 } = file
    return { kind: 'file', file: { type: 'file', package: null, path, size, mode, sha256 } }
  }
  return areSecretsOurs ? { kind: 'secret', id: file.secret } : { kind: 'closed' }
}

/** Why nothing can be laid there; null where it can. */
function refusal(laid: LaidNodes, { fs }: Pick<Host, 'fs'>, path: string): string | null {
  const nowhere = ledNowhere(path, 'file')
  if (nowhere !== null) return nowhere
  const there = laid.get(path)
  const isDirectory = there === undefined ? fs.lstat(path)?.kind === 'directory' : there.kind === 'directory'
  if (isDirectory) return 'there is a directory'
  const blocked = blockedAbove(laid, fs, path)
  if (blocked !== null) return blocked
  const top = path.split('/', 2).join('/')
  return fs.lstat(top)?.kind === 'directory' ? null : `this host has no ${top} that could be laid over`
}

/** The path was looked at when it was set: of one that is refused now a link on this host has made another. */
function ledNowhere(path: string, kind: 'file' | 'state'): string | null {
  const because = refusalOf(path, kind)
  return because === null ? null : `a link of this host leads to ${path}, and ${because}`
}

function blockedAbove(laid: LaidNodes, fs: Host['fs'], path: string): string | null {
  for (let up = parent(path); up !== '/'; up = parent(up)) {
    const above = laid.get(up)
    if (above !== undefined && above.kind !== 'directory') return `${up} is no directory in the container`
    if (above === undefined && ![undefined, 'directory'].includes(fs.lstat(up)?.kind))
      return `${up} is no directory here`
  }
  return null
}

function misplaced({ path }: SettingFile, because: string): AppcError {
  return new AppcError('SETTING_INVALID', `the setting ${path} cannot be laid over this host`, {
    because,
    hint: 'set the file at another path, or take it away with appc settings NAME unset PATH',
  })
}
