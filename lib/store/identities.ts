import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { type CheckedFile, readChecked, writeChecked } from './checked-file.js'
import { ctimeIn, type IdentityWords, isSameContent, isSameIdentity, Looks, mtimeIn } from './looks.js'
import { objectPath } from './objects.js'
import { type Store, withLinks } from './store.js'

/*
 * Which objects were found sound, in cache/identities. Behind the header of a checked file are rows of 20 words each: the digest (8),
 * the identity (10: looks.ts), when it was last read whole from the disk (in seconds, 0: never), and 1 for an executable one.
 */
const MAGIC = 0x31746964
const ROW = 20
const [IDENTITY, READ_AT, EXECUTABLE] = [8, 18, 19]
const MAX_BYTES = 1 << 28
/** File times are those of a timer's tick, on some file systems of a second or two: what changed just now may change again unseen. */
const SETTLING_MS = 2000

/** DIGEST, or DIGEST.x where it is executable. */
export type ObjectKey = string

export function objectKey(digest: string, executable: boolean): ObjectKey {
  return executable ? `${digest}.x` : digest
}

export function digestIn(key: ObjectKey): string {
  return key.slice(0, 64)
}

export function isExecutableKey(key: ObjectKey): boolean {
  return key.length > 64
}

export function pathOf(store: Pick<Store, 'home'>, key: ObjectKey): string {
  return objectPath(store, digestIn(key), isExecutableKey(key))
}

interface Known {
  readonly identity: IdentityWords
  readonly readAt: number
}

/**
 * The identities with which objects were last found to have the bytes that they are named by. The file may be deleted at any time, is
 * never believed when damaged, and failing to write it is no failure.
 */
export class Identities {
  readonly #store: Store
  #known: Map<ObjectKey, Known>
  /** Since the last save; null: no longer known. */
  readonly #changes = new Map<ObjectKey, Known | null>()

  private constructor(store: Store, known: Map<ObjectKey, Known>) {
    this.#store = store
    this.#known = known
  }

  static open(store: Store): Identities {
    return new Identities(store, read(store))
  }

  /** Whether it was found sound as it is now. */
  isKnown(key: ObjectKey, identity: IdentityWords): boolean {
    const known = this.#known.get(key)
    return known !== undefined && isSameIdentity(known.identity, identity)
  }

  /** When it was last read whole from the disk, as it is now: in seconds, 0 for never. */
  readAt(key: ObjectKey, identity: IdentityWords): number {
    return this.isKnown(key, identity) ? (this.#known.get(key) as Known).readAt : 0
  }

  /**
   * It was found sound: `identity` is from before it was read. Not kept where its times are of just now. Without `readAt`, what is known
   * of that stays true as long as it is the same file.
   */
  record(key: ObjectKey, identity: IdentityWords, readAt?: number): void {
    if (Date.now() - Math.max(mtimeIn(identity), ctimeIn(identity)) < SETTLING_MS) return
    this.#record(key, identity, readAt)
  }

  #record(key: ObjectKey, identity: IdentityWords, readAt?: number): void {
    const before = this.#known.get(key)
    const kept = before !== undefined && isSameContent(before.identity, identity) ? before.readAt : 0
    // A copy: the row is a part of what thousands share.
    this.#set(key, { identity: identity.slice(), readAt: readAt ?? kept })
  }

  forget(key: ObjectKey): void {
    if (this.#known.has(key)) this.#set(key, null)
  }

  /** What there is no more. */
  keepOnly(keys: ReadonlySet<ObjectKey>): void {
    for (const key of this.#known.keys()) if (!keys.has(key)) this.forget(key)
  }

  /**
   * Runs `fn`, which links or unlinks these objects under the lock `links`: their change times are others then, and nothing else. What
   * was known before is known after it. That a change time is of just now is no matter here: whoever writes to the file changes the
   * other time, too.
   */
  whileLinking<T>(keys: readonly ObjectKey[], fn: () => T): T {
    const paths = keys.map(key => pathOf(this.#store, key))
    const before = Looks.at(this.#store.system, paths)
    const result = fn()
    const after = Looks.at(this.#store.system, paths)
    for (const [index, key] of keys.entries()) {
      const [was, is] = [before.identity(index), after.identity(index)]
      if (this.isKnown(key, was) && isSameContent(was, is)) this.#record(key, is)
    }
    return result
  }

  #set(key: ObjectKey, known: Known | null): void {
    this.#changes.set(key, known)
    apply(this.#known, key, known)
  }

  /** Adds what was found out since to what others have saved meanwhile. */
  save(): void {
    if (this.#changes.size === 0 || !isWritable(this.#store)) return
    withLinks(this.#store, () => {
      const known = read(this.#store)
      for (const [key, change] of this.#changes) apply(known, key, change)
      write(this.#store, known)
      this.#known = known
      this.#changes.clear()
    })
  }
}

/** The system's store is verified by its users, too. */
function isWritable(store: Store): boolean {
  try {
    accessSync(store.home, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function apply(known: Map<ObjectKey, Known>, key: ObjectKey, change: Known | null): void {
  if (change === null) known.delete(key)
  else known.set(key, change)
}

function fileOf(store: Store): CheckedFile {
  return { path: join(store.home, 'cache', 'identities'), magic: MAGIC, maxBytes: MAX_BYTES }
}

function read(store: Store): Map<ObjectKey, Known> {
  const known = new Map<ObjectKey, Known>()
  const body = readChecked(fileOf(store), store.system)
  if (body === null || body.length % (ROW * 4) !== 0) return known
  // A copy: a Buffer may begin anywhere, words may not.
  const words = new Uint32Array(Uint8Array.prototype.slice.call(body).buffer)
  for (let at = 0; at < words.length; at += ROW) {
    const digest = body.toString('hex', at * 4, at * 4 + 32)
    known.set(objectKey(digest, words[at + EXECUTABLE] === 1), {
      identity: words.subarray(at + IDENTITY, at + READ_AT),
      readAt: words[at + READ_AT] as number,
    })
  }
  return known
}

function write(store: Store, known: ReadonlyMap<ObjectKey, Known>): void {
  const body = Buffer.alloc(known.size * ROW * 4)
  const words = new Uint32Array(body.buffer, body.byteOffset, body.length / 4)
  let at = 0
  for (const [key, { identity, readAt }] of known) {
    body.write(digestIn(key), at * 4, 'hex')
    words.set(identity, at + IDENTITY)
    words[at + READ_AT] = readAt
    words[at + EXECUTABLE] = isExecutableKey(key) ? 1 : 0
    at += ROW
  }
  writeChecked(fileOf(store), body, store.system)
}
