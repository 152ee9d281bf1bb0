import { AppcError } from '../errors.js'
import { publish } from '../store/generations.js'
import { objectPath } from '../store/objects.js'
import { checkName, listRefs } from '../store/refs.js'
import { type Store, withLock } from '../store/store.js'
import { Writer } from '../store/writer.js'
import { changeContainer, commitGeneration } from './change.js'
import { isExecutable, readContainer, readDocuments, readManifest } from './containers.js'
import type { GenerationDocument } from './generation.js'
import { isSecret } from './settings.js'

/** What a rollback came to. */
export interface RolledBack {
  /** The newest generation now. */
  readonly number: number
  /** The one that it is the same as. */
  readonly same: number
}

/**
 * Returns to a generation by making a new one that is the same, so that numbers only grow. `to`: its number; null: the one before,
 * and of one that was returned to itself the one before that, so that doing it twice goes back two. Throws GENERATION_UNKNOWN.
 */
export function rollBack(store: Store, name: string, to: number | null): RolledBack {
  let same = 0
  const number = Writer.use(store, writer =>
    changeContainer(store, writer, name, current => {
      const target = findTarget(name, readDocuments(store, name), to)
      // One that is damaged is nothing to return to.
      readManifest(store, target.container)
      same = target.number
      if (isSameState(target, current)) return null
      return { by: 'rollback', same, container: target.container, settings: target.settings }
    }),
  )
  return { number, same }
}

function findTarget(name: string, all: readonly GenerationDocument[], to: number | null): GenerationDocument {
  const current = all.at(-1) as GenerationDocument
  const before = current.by === 'rollback' ? (current.same ?? 0) : current.number
  // One that is itself a return is the one that it returned to.
  const found = all.findLast(({ number }) => (to === null ? number < before : number === to))
  const target = (to === null && all.find(({ number }) => number === found?.same)) || found
  if (target !== undefined) return target
  throw new AppcError(
    'GENERATION_UNKNOWN',
    `${name} has no ${to === null ? 'earlier generation' : `generation ${to}`}`,
    {
      hint: `there are ${all.map(({ number }) => number).join(', ')}: appc generations ${name} tells what they are`,
    },
  )
}

export function isSameState(a: GenerationDocument, b: GenerationDocument): boolean {
  return a.container === b.container && JSON.stringify(a.settings) === JSON.stringify(b.settings)
}

/** Generations of one container, by their numbers. Throws GENERATION_UNKNOWN. */
export function requireGeneration(store: Store, name: string, number: number): GenerationDocument {
  return findTarget(name, readDocuments(store, name), number)
}

/**
 * Makes another container of what one has, with its settings as they are, which from then on are the new one's own. `from` may be of the
 * system's: then its files are copied, and its secrets, which are not the caller's to read, are left out; returns their paths.
 */
export function copyContainer(from: Store, source: string, store: Store, name: string): readonly string[] {
  checkName(name)
  const isOwn = from.home === store.home
  // Of what is read under no lock the collector could take the files before the copy's ref leads to them.
  const copy = () => Writer.use(store, writer => copyBy(writer, from, source, store, name))
  // His own before the system's, as who plans.
  return isOwn ? copy() : withLock(store, 'shared', () => withLock(from, 'shared', copy))
}

function copyBy(writer: Writer, from: Store, source: string, store: Store, name: string): readonly string[] {
  const { manifest, digest, settings } = readContainer(from, source)
  const isOwn = from.home === store.home
  const left = isOwn ? [] : settings.files.filter(isSecret)
  const open = settings.files.flatMap(file => (isSecret(file) ? [] : [file]))
  if (!isOwn) {
    const files = manifest.files.flatMap(file => (file.type === 'file' ? [file] : []))
    for (const { sha256, mode } of [...files, ...open]) copyObject(from, writer, sha256, isExecutable(mode))
    copyObject(from, writer, digest, false)
  }
  // State is what programs have written: it is the other one's.
  const kept = { ...settings, files: isOwn ? settings.files : open }
  const first = commitGeneration(writer, name, 1, { by: 'copy', container: digest, settings: kept })
  if (!publish(store, name, first)) throw taken(store, name)
  return left.map(({ path }) => path)
}

function copyObject(from: Store, writer: Writer, sha256: string, executable: boolean): void {
  const path = objectPath(from, sha256, executable)
  const copied = writer.copy(path, executable)
  if (copied.sha256 === sha256) return
  throw new AppcError('STORE_CORRUPT', `the store's object ${path} is damaged`, {
    because: 'its bytes do not have the digest that it is named by',
    hint: 'as its owner: appc repair',
  })
}

function taken(store: Store, name: string): AppcError {
  return new AppcError('CONTAINER_EXISTS', `there is a container ${name} already`, {
    because: `${store.home} has ${listRefs(store).length} containers, and one is called so`,
    hint: 'choose another name',
  })
}
