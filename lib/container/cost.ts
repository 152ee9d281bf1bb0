import { join } from 'node:path'
import { objectPath } from '../store/objects.js'
import { secretFactsPath, secretPath } from '../store/secrets.js'
import type { Store } from '../store/store.js'
import { diskBelow } from '../store/usage.js'
import { isExecutable, readDocuments, readManifest } from './containers.js'
import { isSecret } from './settings.js'

/** What the store holds for a container, in all its generations: paths of files. */
export interface Holding {
  readonly name: string
  readonly generations: number
  /** Files and manifests. */
  readonly files: ReadonlySet<string>
  readonly settings: ReadonlySet<string>
}

/** Throws STORE_CORRUPT, MANIFEST_INVALID. */
export function holdingOf(store: Store, name: string): Holding {
  const documents = readDocuments(store, name)
  const [files, settings] = [new Set<string>(), new Set<string>()]
  for (const digest of new Set(documents.map(({ container }) => container))) {
    files.add(objectPath(store, digest, false))
    for (const file of readManifest(store, digest).files)
      if (file.type === 'file') files.add(objectPath(store, file.sha256, isExecutable(file.mode)))
  }
  for (const file of documents.flatMap(document => document.settings.files))
    for (const path of isSecret(file)
      ? [secretPath(store, file.secret), secretFactsPath(store, file.secret)]
      : [objectPath(store, file.sha256, isExecutable(file.mode))])
      if (!files.has(path)) settings.add(path)
  return { name, generations: documents.length, files, settings }
}

/** Bytes on the disk. */
export interface Cost {
  /** Of files that no other container of the store has. */
  readonly alone: number
  readonly shared: number
  readonly settings: number
  /** What its programs have written. */
  readonly state: number
}

/** `all`: of every container in the same store. */
export function costOf({ home }: Store, of: Holding, all: readonly Holding[]): Cost {
  const others = all.filter(({ name }) => name !== of.name)
  const isShared = (path: string) => others.some(({ files, settings }) => files.has(path) || settings.has(path))
  const [shared, alone] = [[...of.files].filter(isShared), [...of.files].filter(path => !isShared(path))]
  return {
    alone: diskOfAll(alone),
    shared: diskOfAll(shared),
    settings: diskOfAll(of.settings),
    state: diskBelow(join(home, 'state', of.name)),
  }
}

/** What is not there takes nothing; that it is missing is for others to tell. */
function diskOfAll(paths: Iterable<string>): number {
  let bytes = 0
  for (const path of paths) bytes += diskBelow(path)
  return bytes
}
