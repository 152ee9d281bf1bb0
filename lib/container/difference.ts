import { createTwoFilesPatch } from 'diff'
import type { Store } from '../store/store.js'
import { readManifest } from './containers.js'
import type { GenerationDocument } from './generation.js'
import { readSetting } from './setting-files.js'
import { isSecret, type SettingFile } from './settings.js'
import type { Manifest, PackedFile } from './types.js'

/** What differs between two generations. */
export interface Difference {
  /** Versions of packages; null where there is none. */
  readonly packages: readonly { readonly name: string; readonly before: string | null; readonly after: string | null }[]
  /** Packed paths. */
  readonly files: {
    readonly added: readonly string[]
    readonly removed: readonly string[]
    readonly changed: readonly string[]
  }
  readonly settings: readonly SettingDifference[]
  readonly environment: readonly {
    readonly name: string
    readonly before: string | null
    readonly after: string | null
  }[]
  readonly state: { readonly added: readonly string[]; readonly removed: readonly string[] }
}

export interface SettingDifference {
  readonly path: string
  readonly change: 'added' | 'removed' | 'changed'
  /** A unified diff; null of a secret, which is not shown, and of what is no text. */
  readonly text: string | null
}

/** Throws STORE_CORRUPT where what is to be compared is damaged. */
export function differenceOf(store: Store, before: GenerationDocument, after: GenerationDocument): Difference {
  const same = before.container === after.container
  const old = readManifest(store, before.container)
  const now = same ? old : readManifest(store, after.container)
  return {
    packages: compareMaps(versionsOf(old), versionsOf(now)),
    files: compareKeys(filesOf(old), filesOf(now)),
    settings: compareSettings(store, before.settings.files, after.settings.files),
    environment: compareMaps(
      new Map(Object.entries(before.settings.environment)),
      new Map(Object.entries(after.settings.environment)),
    ),
    state: compareKeys(
      new Map(before.settings.state.map(path => [path, ''])),
      new Map(after.settings.state.map(path => [path, ''])),
    ),
  }
}

function versionsOf({ packages }: Manifest): ReadonlyMap<string, string> {
  return new Map(packages.map(({ name, architecture, version }) => [`${name}:${architecture}`, version]))
}

function filesOf({ files }: Manifest): ReadonlyMap<string, string> {
  return new Map(files.map(file => [file.path, spell(file)]))
}

function spell(file: PackedFile): string {
  if (file.type === 'file') return `${file.mode} ${file.sha256}`
  return file.type === 'symlink' ? `-> ${file.target}` : String(file.mode)
}

function compareMaps(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort()
  return names
    .map(name => ({ name, before: before.get(name) ?? null, after: after.get(name) ?? null }))
    .filter(({ before, after }) => before !== after)
}

function compareKeys(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) {
  const all = compareMaps(before, after)
  const names = (wanted: (change: (typeof all)[number]) => boolean) => all.filter(wanted).map(({ name }) => name)
  return {
    added: names(change => change.before === null),
    removed: names(change => change.after === null),
    changed: names(change => change.before !== null && change.after !== null),
  }
}

function compareSettings(
  store: Store,
  before: readonly SettingFile[],
  after: readonly SettingFile[],
): readonly SettingDifference[] {
  const old = new Map(before.map(file => [file.path, file]))
  const now = new Map(after.map(file => [file.path, file]))
  const paths = [...new Set([...old.keys(), ...now.keys()])].sort()
  return paths.flatMap(path => {
    const [from, to] = [old.get(path), now.get(path)]
    if (from !== undefined && to !== undefined && JSON.stringify(from) === JSON.stringify(to)) return []
    const change = from === undefined ? 'added' : to === undefined ? 'removed' : 'changed'
    const closed = [from, to].some(file => file !== undefined && isSecret(file))
    const bytesOf = (file: SettingFile | undefined) => (file === undefined ? null : readSetting(store, file))
    const text = closed ? null : textDiff(path, bytesOf(from), bytesOf(to), ['before', 'after'])
    return [{ path, change, text } as const]
  })
}

/** Two long texts of which no line is the same take time that grows with the square of their lengths. */
const PATIENCE_MS = 2000

/** A unified diff of two texts, null standing for a file that is not there; null where one is no text, they are equal, or too much differs. */
export function textDiff(
  path: string,
  before: Buffer | null,
  after: Buffer | null,
  [old, now]: readonly [string, string],
): string | null {
  const texts = [before, after].map(bytes => (bytes === null ? '' : asText(bytes)))
  const [from, to] = texts
  if (from === null || to === null || from === undefined || to === undefined || from === to) return null
  const nothing = '/dev/null'
  const patch = createTwoFilesPatch(
    before === null ? nothing : path,
    after === null ? nothing : path,
    from,
    to,
    old,
    now,
    { timeout: PATIENCE_MS },
  )
  // The first line is a rule of equals signs.
  return patch === undefined ? null : patch.slice(patch.indexOf('---'))
}

/** null for what is no text in UTF-8. */
function asText(bytes: Buffer): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return text.includes('\0') ? null : text
  } catch {
    return null
  }
}
