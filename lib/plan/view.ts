import { existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HOST_BELOW } from '../container/excluded.js'
import { AppcError } from '../errors.js'
import { objectPath } from '../store/objects.js'
import { readRegular } from '../store/regular.js'
import { isSoundSecret } from '../store/secrets.js'
import { type Store, withLinks } from '../store/store.js'
import { whileSyncing } from '../store/syncing.js'
import { hasCode, syncDirectory, writeDurably, writing } from '../store/writing.js'
import { VIEW_LIST } from '../upkeep/users.js'
import type { Layer } from './overlays.js'
import type { AbsentGuard, IdentityGuard } from './types.js'
import { checkView, type Difference } from './view-check.js'
import { type ListedLayer, listedLayers, listOf, MAX_LIST, nameOfView, readViewList } from './view-list.js'
import { makeDirectory, makeNode, replaceNode, unlessThere, type ViewSystem } from './view-nodes.js'

/** Where a layer of a built view is. */
export interface BuiltLayer {
  readonly target: string
  readonly directory: string
}

export interface BuiltView {
  readonly layers: readonly BuiltLayer[]
  /** As long as they hold the view is as its list says, but for the bytes of the objects in it. */
  readonly guards: readonly (IdentityGuard | AbsentGuard)[]
}

/**
 * The directory trees of private files, hard-linked from the store, one for each overlay, and found again by what they hold: the same
 * decision has the same view. `views` is the directory of one container's, or one program's.
 *
 * A view is built in its place, so that whoever is killed leaves nothing but a part of it, which the next one completes. Nobody uses it
 * before its plan is written. It is whole when its last layer has HOST_BELOW, which is made when all else is on the disk; but that is
 * said of the day on which it was built, and what became of it since is looked for, and mended.
 */
export function buildView(store: Store, system: ViewSystem, views: string, layers: readonly Layer[]): BuiltView {
  const list = listOf(layers)
  const view = join(store.home, 'views', views, nameOfView(list))
  const built = layers.map(({ target }, index) => ({ target, directory: join(view, String(index)) }))
  const last = built.at(-1)
  if (last === undefined) return { layers: [], guards: [] }
  const listed = listedLayers(layers)
  return writing(store.home, () => {
    const mark = join(last.directory, HOST_BELOW)
    if (!existsSync(mark)) build(store, system, { view, list, listed, mark })
    else if (!hasList(view, list)) writeList(store, view, list)
    return { layers: built, guards: mend(store, system, view, listed) }
  })
}

/**
 * Makes a view what its list says: files that are no links of their objects, links, whiteouts and directories are replaced, and what is
 * too much is removed. What was right is not touched, nor what the store itself has no right file for: here may be the last one. Under
 * the shared lock. STORE_CORRUPT for a damaged list.
 */
export function mendView(store: Store, system: ViewSystem, view: string): void {
  const listed = readViewList(view)
  writing(store.home, () => mend(store, system, view, listed, ({ expected }) => canBeMade(store, expected)))
}

function canBeMade(store: Store, expected: Difference['expected']): boolean {
  if (expected?.kind === 'secret') return isSound(store, expected.id)
  if (expected?.kind !== 'file') return true
  const stat = lstatSync(objectPath(store, expected.sha256, expected.executable), { throwIfNoEntry: false })
  return stat?.isFile() === true
}

function isSound(store: Store, secret: string): boolean {
  try {
    return isSoundSecret(store, secret)
  } catch (error) {
    if (error instanceof AppcError) return false
    throw error
  }
}

interface Begun {
  readonly view: string
  readonly list: string
  readonly listed: readonly ListedLayer[]
  readonly mark: string
}

const PLAIN = { mode: 0o755, owner: null }

function build(store: Store, system: ViewSystem, { view, list, listed, mark }: Begun): void {
  try {
    whileSyncing(store, store.home, sync => {
      withLinks(store, () => {
        makeDirectory(dirname(view), PLAIN)
        makeDirectory(view, PLAIN)
        for (const [index, layer] of listed.entries()) {
          const directory = join(view, String(index))
          buildLayer(store, system, directory, layer)
          if (join(directory, HOST_BELOW) !== mark) makeDirectory(join(directory, HOST_BELOW), PLAIN)
        }
      })
      writeList(store, view, list)
      // One that lost a name, or the bytes of what is a copy, is mended when it is found.
      sync([])
    })
    withLinks(store, () => makeDirectory(mark, PLAIN))
    syncDirectory(dirname(mark))
  } catch (error) {
    withLinks(store, () => {
      // Another process may have completed it meanwhile.
      if (!existsSync(mark)) rmSync(view, { recursive: true, force: true })
    })
    throw error
  }
}

function buildLayer(store: Store, system: ViewSystem, directory: string, layer: ListedLayer): void {
  for (const path of layer.directories.keys()) unlessThere(() => mkdirSync(join(directory, path), { mode: 0o700 }))
  for (const [name, node] of layer.nodes) unlessThere(() => makeNode(store, system, node, join(directory, name)))
  for (const [path, attributes] of layer.directories) makeDirectory(join(directory, path), attributes)
}

function hasList(view: string, list: string): boolean {
  try {
    return readRegular(join(view, VIEW_LIST), MAX_LIST, '').equals(Buffer.from(list))
  } catch (error) {
    if (error instanceof AppcError || hasCode(error, 'ENOENT', 'EACCES', 'EIO')) return false
    throw error
  }
}

function writeList(store: Store, view: string, list: string): void {
  const path = join(view, VIEW_LIST)
  // rename(2) replaces whatever has the name, but for a directory.
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) rmSync(path, { recursive: true, force: true })
  writeDurably(store, path, list, 0o644)
}

/** Others may mend it at the same time. */
const ROUNDS = 4

function mend(
  store: Store,
  system: ViewSystem,
  view: string,
  layers: readonly ListedLayer[],
  isMended: (difference: Difference) => boolean = () => true,
): readonly (IdentityGuard | AbsentGuard)[] {
  for (let round = 1; ; round++) {
    const { guards, differences: all } = checkView(store, view, layers)
    const differences = all.filter(isMended)
    const [first] = differences
    if (first === undefined) return guards
    if (round === ROUNDS) throw unmendable(view, first)
    whileSyncing(store, view, sync => {
      withLinks(store, () => {
        for (const difference of differences) mendOne(store, system, difference)
      })
      sync([])
    })
  }
}

/** Those above come before those below. */
function mendOne(store: Store, system: ViewSystem, { problem, path, name, expected }: Difference): void {
  if (expected === null) rmSync(name, { recursive: true, force: true })
  else if (expected.kind !== 'directory') replaceNode(store, system, expected, path)
  else {
    if (problem === 'kind') rmSync(path, { force: true })
    makeDirectory(path, expected)
  }
}

function unmendable(view: string, { problem, path }: Difference): AppcError {
  return new AppcError('STORE_CORRUPT', `the store's view ${view} does not become what it should be`, {
    because: `${path}: ${problem}`,
    hint: 'see whether something else writes there, or whether its file system is damaged',
  })
}
