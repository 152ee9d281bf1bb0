import { type BigIntStats, closeSync, constants, openSync, readdirSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { HOST_BELOW } from '../container/excluded.js'
import { parent } from '../loader/file-system.js'
import { hashDescriptor, objectMode, objectPath } from '../store/objects.js'
import { secretPath } from '../store/secrets.js'
import { untilSettled } from '../store/settled.js'
import type { Store } from '../store/store.js'
import { hasCode } from '../store/writing.js'
import { hasOpenSecrets } from '../upkeep/secret-check.js'
import { VIEW_LIST } from '../upkeep/users.js'
import { guardOf, look, unlessUnseen } from './guards.js'
import type { Attributes } from './overlays.js'
import type { AbsentGuard, IdentityGuard } from './types.js'
import { type ListedLayer, type ListedNode, readViewList } from './view-list.js'

/**
 * What of a view is not as its list says. `missing`: nothing is there; `extra`: nothing should be; `kind`: something else is, as a file
 * for a link; `bytes`: a file that is neither the object nor a copy of it; `link`: another text; `mode`: other permission bits.
 */
export interface Difference {
  readonly problem: 'missing' | 'extra' | 'kind' | 'bytes' | 'link' | 'mode'
  /** On this machine. What is no UTF-8 (which only an extra name can be) reads otherwise here than in `name`. */
  readonly path: string
  /** The same as it is given to the kernel. */
  readonly name: Buffer
  /** What belongs there: null for an extra. */
  readonly expected: ListedNode | ({ readonly kind: 'directory' } & Attributes) | null
}

/** A view as it was found, with guards that hold as long as it stays so. */
export interface Checked {
  readonly differences: readonly Difference[]
  readonly guards: readonly (IdentityGuard | AbsentGuard)[]
}

/** Compares a view, the directory views/C/V, with its list. STORE_CORRUPT for a damaged list. */
export function differencesOf(store: Pick<Store, 'home'>, view: string): readonly Difference[] {
  return checkView(store, view, readViewList(view)).differences
}

/**
 * Whether a view is as it should be. Guarded are its directories, which change with each name that comes, goes or is replaced, and copies;
 * all other files are objects of the store, which have guards of their own (GuardedObjects). Identities are noted before what they stand
 * for is looked at.
 */
export function checkView(store: Pick<Store, 'home'>, view: string, layers: readonly ListedLayer[]): Checked {
  const found = new Findings(store)
  const places = layers.map((layer, index) => ({ ...layer, directory: join(view, String(index)) }))
  for (const { directory, directories } of places)
    for (const path of withMark(directories).keys()) found.guard(join(directory, path))
  untilSettled(found.guards.filter(guard => guard.kind === 'identity'))
  checkNames(found, view, new Set([VIEW_LIST, ...places.map(({ directory }) => basename(directory))]))
  for (const layer of places) checkLayer(found, layer)
  checkCopies(found)
  return found
}

/** The mark that an overlay needs is a directory like the others. */
function withMark(directories: ListedLayer['directories']): ListedLayer['directories'] {
  return new Map([...directories, [HOST_BELOW, { mode: 0o755, owner: null }]])
}

function checkLayer(
  found: Findings,
  { directory, directories, nodes }: ListedLayer & { readonly directory: string },
): void {
  const all = withMark(directories)
  const names = namesByDirectory([...all.keys(), ...nodes.keys()])
  // Below what is no directory, which may be a link out of the view, nothing is looked at.
  const there = new Set<string>()
  const isThere = (path: string) => path === '' || there.has(directoryOf(path))
  for (const [path, attributes] of all) {
    if (!checkDirectory(found, join(directory, path), attributes, isThere(path))) continue
    there.add(path)
    checkNames(found, join(directory, path), names.get(path) ?? new Set())
  }
  for (const [path, node] of nodes) {
    if (isThere(path)) checkNode(found, join(directory, path), node)
    else found.add('missing', join(directory, path), node)
  }
}

/** '' for the layer's top. */
function directoryOf(path: string): string {
  return path.includes('/') ? parent(path) : ''
}

function namesByDirectory(paths: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>()
  for (const path of paths) {
    if (path === '') continue
    const directory = directoryOf(path)
    const known = names.get(directory)
    if (known === undefined) names.set(directory, new Set([basename(path)]))
    else known.add(basename(path))
  }
  return names
}

/** Whether it is a directory. */
function checkDirectory(found: Findings, path: string, attributes: Attributes, canBe: boolean): boolean {
  const expected = { kind: 'directory', ...attributes } as const
  const stat = canBe ? look(path) : null
  if (stat === null) found.add('missing', path, expected)
  else if (!stat.isDirectory()) found.add('kind', path, expected)
  else if (!hasMode(stat, attributes.mode)) found.add('mode', path, expected)
  return stat?.isDirectory() === true
}

/** Without the setgid bit, which chmod(2) does not give to everybody. The owner must be able to change what is in it. */
function hasMode(stat: BigIntStats, mode: number): boolean {
  return (Number(stat.mode) & 0o5777) === ((mode & 0o5777) | 0o700)
}

/** Everything else in the directory is too much. */
function checkNames(found: Findings, directory: string, expected: ReadonlySet<string>): void {
  for (const name of unlessUnseen(() => readdirSync(directory, { encoding: 'buffer' })) ?? []) {
    const text = name.toString()
    if (expected.has(text) && name.equals(Buffer.from(text))) continue
    found.add('extra', join(directory, text), null, Buffer.concat([Buffer.from(`${directory}/`), name]))
  }
}

function checkNode(found: Findings, path: string, node: ListedNode): void {
  const stat = look(path)
  if (stat === null) found.add('missing', path, node)
  else if (!isOfKind(stat, node)) found.add('kind', path, node)
  else if (node.kind === 'symlink' && readlinkSync(path) !== node.target) found.add('link', path, node)
  else if (node.kind === 'secret' && !found.isSecret(node, stat)) found.add('bytes', path, node)
  else if (node.kind === 'closed' && (stat.size > 0n || hasPermissions(stat))) found.add('bytes', path, node)
  else if (node.kind === 'file' && !found.isObject(node, stat)) found.addCopy(path, node)
}

function hasPermissions({ mode }: BigIntStats): boolean {
  return (Number(mode) & 0o7777) !== 0
}

function isOfKind(stat: BigIntStats, { kind }: ListedNode): boolean {
  if (kind === 'file' || kind === 'secret' || kind === 'closed') return stat.isFile()
  return kind === 'symlink' ? stat.isSymbolicLink() : stat.isCharacterDevice() && stat.rdev === 0n
}

/** Files with an inode of their own: see linkObject. */
function checkCopies(found: Findings): void {
  const guards = found.copies.map(({ path }) => found.guard(path))
  untilSettled(guards.filter(guard => guard.kind === 'identity'))
  for (const { path, node } of found.copies) {
    const stat = look(path)
    if (stat === null) found.add('missing', path, node)
    else if ((Number(stat.mode) & 0o7777) !== objectMode(node.executable) || stat.uid !== found.owner)
      found.add('mode', path, node)
    else if (hashOf(path) !== node.sha256) found.add('bytes', path, node)
  }
}

/** null for what cannot be read: it is as bad as other bytes. */
function hashOf(path: string): string | null {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP', 'EACCES', 'EIO')) return null
    throw error
  }
  try {
    return hashDescriptor(fd)
  } catch (error) {
    if (hasCode(error, 'EIO')) return null
    throw error
  } finally {
    closeSync(fd)
  }
}

type ListedFile = Extract<ListedNode, { readonly kind: 'file' }>

class Findings implements Checked {
  readonly differences: Difference[] = []
  readonly guards: (IdentityGuard | AbsentGuard)[] = []
  readonly copies: { readonly path: string; readonly node: ListedFile }[] = []
  readonly #objects = new Map<string, BigIntStats | null>()
  #hasOpenSecrets: boolean | null = null

  constructor(private readonly store: Pick<Store, 'home'>) {}

  /** Whose the store's files are. */
  get owner(): bigint | undefined {
    return look(this.store.home)?.uid
  }

  add(problem: Difference['problem'], path: string, expected: Difference['expected'], name = Buffer.from(path)): void {
    this.differences.push({ problem, path, name, expected })
  }

  addCopy(path: string, node: ListedFile): void {
    this.copies.push({ path, node })
  }

  guard(path: string): IdentityGuard | AbsentGuard {
    const guard = guardOf(path, null)
    this.guards.push(guard)
    return guard
  }

  isObject({ sha256, executable }: ListedFile, stat: BigIntStats): boolean {
    return this.#isAt(objectPath(this.store, sha256, executable), stat)
  }

  /** A secret is never copied: its owner and mode are its own. Whoever may not see it cannot tell, as of the system's. */
  isSecret({ id }: Extract<ListedNode, { readonly kind: 'secret' }>, stat: BigIntStats): boolean {
    this.#hasOpenSecrets ??= hasOpenSecrets(this.store)
    return !this.#hasOpenSecrets || this.#isAt(secretPath(this.store, id), stat)
  }

  #isAt(path: string, stat: BigIntStats): boolean {
    let object = this.#objects.get(path)
    if (object === undefined) {
      object = look(path)
      this.#objects.set(path, object)
    }
    return object !== null && object.ino === stat.ino && object.dev === stat.dev
  }
}
