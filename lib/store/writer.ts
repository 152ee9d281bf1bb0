import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { OpenFile } from '../loader/types.js'
import { eachPiece, hashDescriptor, isSound, objectMode, objectPath } from './objects.js'
import {
  type Access,
  isSecretOf,
  newSecretId,
  secretFactsPath,
  secretPath,
  stagedSecret,
  stageSecret,
} from './secrets.js'
import { whileStaging } from './staging.js'
import { clearTemporary, ifAlone, type Store, withLock } from './store.js'
import type { Sync } from './syncing.js'
import { hasCode, writing } from './writing.js'

export interface StoredObject {
  readonly sha256: string
  readonly size: number
}

/**
 * Puts files into the store so that a crash at any point leaves only whole objects. Files gather in a directory of their own
 * below tmp/; `commit` makes them durable and visible together. See docs/formats.md, "Store", for the order and why.
 */
export class Writer {
  readonly #store: Store
  readonly #directory: string
  readonly #sync: Sync
  readonly #staged = new Map<string, StoredObject & { readonly path: string; readonly executable: boolean }>()
  readonly #secrets: string[] = []
  #counter = 0

  private constructor(store: Store, directory: string, sync: Sync) {
    this.#store = store
    this.#directory = directory
    this.#sync = sync
  }

  /** Runs `fn` with a writer under the shared lock. Whatever `fn` did not commit is gone when it returns or throws. */
  static use<T>(store: Store, fn: (writer: Writer) => T): T {
    ifAlone(store, () => clearTemporary(store))
    return withLock(store, 'shared', () =>
      whileStaging(store, 'write', (directory, sync) => fn(new Writer(store, directory, sync))),
    )
  }

  /** Copies the bytes into tmp/ while hashing them, so that the digest is that of the copy, whatever the source becomes. */
  add(source: OpenFile, executable: boolean): StoredObject {
    const path = this.#nextPath()
    const object = writing(this.#store.home, () => copyHashed(source, path))
    return this.#stage(object, path, executable)
  }

  /** The same for a file of this machine; where the file system can, the two share their blocks: ioctl_ficlonerange(2). */
  copy(source: string, executable: boolean): StoredObject {
    const path = this.#nextPath()
    const object = writing(this.#store.home, () => {
      copyFileSync(source, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
      return describe(path)
    })
    return this.#stage(object, path, executable)
  }

  /** Takes the bytes of a file that not everybody may read; returns the name of the secret. */
  addSecret(bytes: Buffer, access: Access): string {
    const id = newSecretId()
    writing(this.#store.home, () => stageSecret(this.#directory, id, bytes, access))
    this.#secrets.push(id)
    return id
  }

  /** Whether the store has just this already, by this name. */
  hasSecret(id: string, bytes: Buffer, access: Access): boolean {
    return isSecretOf(this.#store, id, bytes, access)
  }

  #nextPath(): string {
    return join(this.#directory, String(this.#counter++))
  }

  #stage(object: StoredObject, path: string, executable: boolean): StoredObject {
    const destination = objectPath(this.#store, object.sha256, executable)
    // The same bytes a second time.
    if (this.#staged.has(destination)) writing(this.#store.home, () => unlinkSync(path))
    else this.#staged.set(destination, { ...object, path, executable })
    return object
  }

  /** Whether it has anything that is not committed. */
  get holds(): boolean {
    return this.#staged.size > 0 || this.#secrets.length > 0
  }

  /**
   * Makes everything added durable and visible, in this order: the bytes reach the disk (one syncfs for all); then they get
   * their names; then the names reach the disk. Only after that may a ref mention them.
   */
  commit(): void {
    writing(this.#store.home, () => {
      const objects = [...this.#staged.values()].map(({ path }) => path)
      protect(this.#store, objects)
      for (const { path, executable } of this.#staged.values()) chmodSync(path, objectMode(executable))
      this.#sync([...objects, ...this.#secrets.flatMap(id => stagedSecret(this.#directory, id))])
      for (const [destination, object] of this.#staged) this.#place(object, destination)
      for (const id of this.#secrets) this.#placeSecret(id)
      const destinations = [...this.#staged.keys(), ...this.#secrets.map(id => secretPath(this.#store, id))]
      this.#sync(new Set([join(this.#store.home, 'objects'), ...destinations.map(dirname)]))
      this.#staged.clear()
      this.#secrets.length = 0
    })
  }

  #place(object: StoredObject & { path: string; executable: boolean }, destination: string): void {
    makeFanOut(dirname(destination))
    try {
      // link(2), not rename(2): an object that is there keeps its inode, which views share and plans watch.
      linkSync(object.path, destination)
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
      // Names in the store are claims until proven: never reuse what was not hashed again (ostree #2889).
      if (isSound(destination, object.sha256, object.size, objectMode(object.executable))) return
      renameSync(object.path, destination)
    }
  }

  #placeSecret(id: string): void {
    const [bytes, facts] = stagedSecret(this.#directory, id)
    linkSync(bytes, secretPath(this.#store, id))
    linkSync(facts, secretFactsPath(this.#store, id))
  }
}

/**
 * Has the kernel verify what is read of them, where the file system can (fs-verity): damage is then an error of read(2), whoever reads, and
 * nobody can write to them. Before they lose the permission to be written to, which it asks for. That one cannot be is so for all.
 */
export function protect({ system }: Store, paths: readonly string[]): void {
  paths.every(path => {
    const fd = openSync(path, 'r')
    try {
      return system.enableVerity(fd)
    } finally {
      closeSync(fd)
    }
  })
}

export function makeFanOut(directory: string): void {
  try {
    mkdirSync(directory, 0o755)
    // Once more by chmod, since mkdir's mode is cut by the umask.
    chmodSync(directory, 0o755)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
}

function describe(path: string): StoredObject {
  const fd = openSync(path, 'r')
  try {
    return { sha256: hashDescriptor(fd), size: fstatSync(fd).size }
  } finally {
    closeSync(fd)
  }
}

function copyHashed(source: OpenFile, path: string): StoredObject {
  const fd = openSync(path, 'wx', 0o600)
  try {
    const hash = createHash('sha256')
    const size = eachPiece(
      (buffer, position) => source.read(buffer, position),
      piece => {
        hash.update(piece)
        for (let written = 0; written < piece.length; ) written += writeSync(fd, piece, written)
      },
    )
    return { sha256: hash.digest('hex'), size }
  } finally {
    closeSync(fd)
  }
}
