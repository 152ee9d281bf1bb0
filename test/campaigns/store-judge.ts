import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { generationsIn, meaningOf, type Setting } from './store-refs.js'

/*
 * What a store holds, as docs/formats.md says it and as its bytes are. Nothing here comes from lib/: a mistake there must not
 * hide itself.
 */

export interface Judgement {
  /** What each ref says, the time aside when it was made. */
  readonly refs: ReadonlyMap<string, string>
  /** The same of their second copies. */
  readonly spares: ReadonlyMap<string, string>
  /** Each thing that is not as it must be at any moment, whatever happened before. */
  readonly wrongs: readonly string[]
}

export function judge(home: string): Judgement {
  const objects = readObjects(home)
  const refs = new Map<string, string>()
  const wrongs = [...objects.wrongs]
  for (const name of namesIn(join(home, 'refs'))) {
    const text = readFileSync(join(home, 'refs', name), 'utf8')
    refs.set(name, meaningOf(text, home))
    wrongs.push(...wrongsOfContainer(home, objects, name, text))
  }
  // It may be another, but not damaged: it is what a damaged ref is mended from.
  const spares = new Map<string, string>()
  for (const name of namesIn(join(home, 'spare'))) {
    const text = readFileSync(join(home, 'spare', name), 'utf8')
    spares.set(name, meaningOf(text, home))
    if (generationsIn(text) === null) wrongs.push(`spare/${name} is no ref`)
  }
  wrongs.push(...wrongsOfViews(home, objects))
  return { refs, spares, wrongs }
}

interface Objects {
  /** By `DIGEST` or `DIGEST.x`. Only sound ones. */
  readonly sound: ReadonlyMap<string, { readonly path: string; readonly size: number }>
  readonly wrongs: readonly string[]
}

/** A name in objects/ is a claim that the next writer may believe: so none may be wrong, whether a ref leads there or not. */
function readObjects(home: string): Objects {
  const sound = new Map<string, { readonly path: string; readonly size: number }>()
  const wrongs: string[] = []
  for (const fanOut of namesIn(join(home, 'objects')))
    for (const rest of namesIn(join(home, 'objects', fanOut))) {
      const path = join(home, 'objects', fanOut, rest)
      const [digest, executable] = [fanOut + rest.replace(/\.x$/, ''), rest.endsWith('.x')]
      const stat = lstatSync(path)
      const wrong = wrongOfObject(path, stat, digest, executable)
      if (wrong === null) sound.set(fanOut + rest, { path, size: stat.size })
      else wrongs.push(`objects/${fanOut}/${rest} ${wrong}`)
    }
  return { sound, wrongs }
}

function wrongOfObject(path: string, stat: Stats, digest: string, executable: boolean): string | null {
  if (!/^[0-9a-f]{64}$/.test(digest)) return 'is not named by a digest'
  if (!stat.isFile()) return 'is not a regular file'
  const mode = stat.mode & 0o7777
  if (mode !== (executable ? 0o555 : 0o444)) return `has the mode ${mode.toString(8)}`
  return digestOf(path) === digest ? null : `has other bytes (${stat.size}) than its name says`
}

function wrongsOfContainer(home: string, objects: Objects, name: string, text: string): readonly string[] {
  const generations = generationsIn(text)
  if (generations === null) return [`refs/${name} is no ref: ${JSON.stringify(text.slice(0, 80))}`]
  return generations.flatMap(({ container, settings }) => [
    ...wrongsOfManifest(objects, name, container),
    ...settings.flatMap(setting => wrongsOfSetting(home, objects, name, setting)),
  ])
}

function wrongsOfSetting(home: string, { sound }: Objects, name: string, setting: Setting): readonly string[] {
  const { path, size, mode, sha256, secret } = setting
  const isThere =
    secret === undefined
      ? sound.get(keyOf(sha256 ?? '', (mode & 0o111) !== 0))?.size === size
      : isSoundSecret(join(home, 'secrets', secret), size, mode)
  return isThere ? [] : [`${name} lacks the setting ${path}`]
}

function isSoundSecret(path: string, size: number, mode: number): boolean {
  const [stat, facts] = [path, `${path}.json`].map(path => lstatSync(path, { throwIfNoEntry: false }))
  if (stat === undefined || facts === undefined || stat.size !== size || (stat.mode & 0o7777) !== mode) return false
  const [line = '', checksum] = readFileSync(`${path}.json`, 'utf8').split('\n')
  if (createHash('sha256').update(`${line}\n`).digest('hex') !== checksum) return false
  const { sha256 } = JSON.parse(line) as { readonly sha256: string }
  return digestOf(path) === sha256
}

interface Listed {
  readonly type: string
  readonly path: string
  readonly mode: number
  readonly size: number
  readonly sha256: string
}

function wrongsOfManifest(objects: Objects, name: string, digest: string): readonly string[] {
  const object = objects.sound.get(digest)
  if (object === undefined) return [`the manifest of ${name} is not there or not sound`]
  const { files } = JSON.parse(readFileSync(object.path, 'utf8')) as { readonly files: readonly Listed[] }
  return files
    .filter(({ type }) => type === 'file')
    .filter(({ sha256, mode, size }) => objects.sound.get(keyOf(sha256, (mode & 0o111) !== 0))?.size !== size)
    .map(({ path }) => `${name} lacks ${path}`)
}

/** A view that counts as whole is believed: each of its files must be what some object is. */
function wrongsOfViews(home: string, { sound }: Objects): readonly string[] {
  const isKnown = (path: string) => {
    const digest = digestOf(path)
    const { mode } = lstatSync(path)
    // A view that is to be collected may outlive a secret; what it is to be is told nowhere then.
    if ((mode & 0o004) === 0) return true
    return sound.has(keyOf(digest, (mode & 0o111) !== 0))
  }
  const views = namesIn(join(home, 'views')).flatMap(container =>
    namesIn(join(home, 'views', container)).map(view => `views/${container}/${view}`),
  )
  return views
    .filter(view => isWhole(join(home, view)))
    .flatMap(view => pathsIn(join(home, view)).map(path => `${view}/${path}`))
    .filter(path => lstatSync(join(home, path)).isFile() && /\/[0-9]+\//.test(path) && !isKnown(join(home, path)))
    .map(path => `${path} is no object's`)
}

/** docs/formats.md: its last layer has the directory `.appc-host`. Layers are numbered. */
function isWhole(view: string): boolean {
  const layers = namesIn(view).filter(name => /^[0-9]+$/.test(name))
  return layers.length > 0 && namesIn(join(view, String(layers.length - 1))).includes('.appc-host')
}

/**
 * Everything in a store that must be the same after the same commands, a line each. Not: what saves time only (cache/), the bytes of
 * plans, which hold inode numbers and times, names by chance, and evidence of damage, which a disk that fails for a moment adds to.
 */
export function stateOf(home: string): readonly string[] {
  const lines = listingOf(home).filter(line => !/^(cache\/|tmp\/ |quarantine\/damaged)/.test(line))
  return [...new Set(lines.map(line => steadyOf(line, home)))]
}

function steadyOf(line: string, home: string): string {
  const [path = ''] = line.split(' ')
  if (/^plans\/./.test(path)) return path
  if (/^(refs|spare)\/./.test(path)) return `${path} ${meaningOf(readFileSync(join(home, path), 'utf8'), home)}`
  // Its checksum is another for another name.
  if (/^secrets\/.*\.json$/.test(path))
    return `secrets/*.json ${readFileSync(join(home, path), 'utf8').replace(/"id":"[0-9a-f]+"|\n.*/gs, '')}`
  return line
    .replace(/ [0-9]+ (?=[0-9a-f]{64}$)/, ' ')
    .replace(/^secrets\/[0-9a-f]+/, 'secrets/*')
    .replace(/^(quarantine\/[a-z]+)-[0-9a-f-]+/, '$1')
}

/** All that there is, a line each. */
export function listingOf(home: string): readonly string[] {
  return pathsIn(home).map(path => {
    const stat = lstatSync(join(home, path))
    const mode = (stat.mode & 0o7777).toString(8)
    if (stat.isDirectory()) return `${path}/ ${mode}`
    if (stat.isSymbolicLink()) return `${path} -> ${readlinkSync(join(home, path))}`
    return `${path} ${mode} ${stat.nlink} ${stat.isFile() ? digestOf(join(home, path)) : 'special'}`
  })
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

function keyOf(digest: string, executable: boolean): string {
  return executable ? `${digest}.x` : digest
}

function pathsIn(directory: string): readonly string[] {
  return isDirectory(directory) ? readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort() : []
}

/** Sorted; none where there is no such directory. */
function namesIn(directory: string): readonly string[] {
  return isDirectory(directory) ? readdirSync(directory).sort() : []
}

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
