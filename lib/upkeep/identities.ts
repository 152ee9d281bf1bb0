import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { objectPath } from '../store/objects.js'
import { type Store, withLinks } from '../store/store.js'
import { type CheckedFile, readChecked, writeChecked } from './checked-file.js'
import { ctimeIn, type IdentityWords, isSameContent, isSameIdentity, Looks, mtimeIn } from './looks.js'

/*
 * Which objects were found sound, in cache/identities. Behind the header of a checked file is the seal (32 bytes, 0 where there is none);
 * then all digests, 32 bytes each; and then in the same order rows of 12 words: the identity (10: looks.ts), when it was last read whole
 * from the disk (in seconds, 0: never), and 1 for an executable one.
 */
const MAGIC = 0x33746964
const SEAL = 32
const DIGEST = 32
const ROW = 12
const [READ_AT, EXECUTABLE] = [10, 11]
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

/** The same of many: normalising the path of each would take longer than all else that is done for it. */
export function pathsOf(store: Pick<Store, 'home'>, keys: readonly ObjectKey[]): readonly string[] {
  const objects = join(store.home, 'objects')
  return keys.map(key => `${objects}/${key.slice(0, 2)}/${key.slice(2)}`)
}

interface Known {
  readonly identity: IdentityWords
  readonly readAt: number
}

/** What a file of identities says: words are looked at when they are asked for. */
interface Rows {
  /** Where each one's row begins. */
  readonly places: ReadonlyMap<ObjectKey, number>
  readonly words: Uint32Array
}

interface File {
  readonly seal: string | null
  readonly rows: Rows
}

/**
 * The identities with which objects were last found to have the bytes that they are named by. The file may be deleted at any time, is
 * never believed when damaged, and failing to write it is no failure.
 */
export class Identities {
  readonly #store: Store
  #file: File
  /** Since the last save; null: no longer known. */
  readonly #changes = new Map<ObjectKey, Known | null>()

  private constructor(store: Store, file: File) {
    this.#store = store
    this.#file = file
  }

  static open(store: Store): Identities {
    return new Identities(store, read(store))
  }

  /**
   * Sums up a store in which nothing was found wrong: a sha256 in hexadecimal of whatever whoever set it takes for all that counts. With
   * whatever else is recorded it is gone.
   */
  get seal(): string | null {
    return this.#file.seal
  }

  /** Whether it was found sound as it is now. */
  isKnown(key: ObjectKey, identity: IdentityWords): boolean {
    const known = this.#get(key)
    return known !== null && isSameIdentity(known.identity, identity)
  }

  /** The same for one of many that were looked at together. */
  isKnownAs(key: ObjectKey, looks: Looks, index: number): boolean {
    if (this.#changes.has(key)) return this.isKnown(key, looks.identity(index))
    const { places, words } = this.#file.rows
    const place = places.get(key)
    return place !== undefined && looks.isSame(index, words, place)
  }

  #get(key: ObjectKey): Known | null {
    const change = this.#changes.get(key)
    if (change !== undefined) return change
    const { places, words } = this.#file.rows
    const place = places.get(key)
    if (place === undefined) return null
    return { identity: words.subarray(place, place + READ_AT), readAt: words[place + READ_AT] as number }
  }

  /** When it was last read whole from the disk, as it is now: in seconds, 0 for never. */
  readAt(key: ObjectKey, identity: IdentityWords): number {
    return this.isKnown(key, identity) ? (this.#get(key) as Known).readAt : 0
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
    const before = this.#get(key)
    const kept = before !== null && isSameContent(before.identity, identity) ? before.readAt : 0
    // A copy: the row is a part of what thousands share.
    this.#changes.set(key, { identity: identity.slice(), readAt: readAt ?? kept })
  }

  forget(key: ObjectKey): void {
    if (this.#get(key) !== null) this.#changes.set(key, null)
  }

  /** What there is no more. */
  keepOnly(keys: ReadonlySet<ObjectKey>): void {
    for (const key of this.#file.rows.places.keys()) if (!keys.has(key)) this.forget(key)
  }

  /** Adds what was found out since to what others have saved meanwhile. */
  save(seal: string | null = null): void {
    if ((this.#changes.size === 0 && (seal === null || seal === this.seal)) || !isWritable(this.#store)) return
    withLinks(this.#store, () => {
      this.#file = write(this.#store, seal, read(this.#store).rows, this.#changes)
      this.#changes.clear()
    })
  }
}

/** About how many objects were known when it was saved last. */
export function countKnown(store: Store): number {
  const looks = Looks.at(store.system, [fileOf(store).path])
  return looks.errno(0) === 0 ? Math.floor(looks.size(0) / (DIGEST + ROW * 4)) : 0
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

function fileOf(store: Store): CheckedFile {
  return { path: join(store.home, 'cache', 'identities'), magic: MAGIC, maxBytes: MAX_BYTES }
}

function read(store: Store): File {
  const body = readChecked(fileOf(store), store.system)
  return body === null || (body.length - SEAL) % (DIGEST + ROW * 4) !== 0 ? NOTHING : decode(body)
}

const NOTHING: File = { seal: null, rows: { places: new Map(), words: new Uint32Array() } }

function decode(body: Buffer): File {
  const sealed = body.toString('hex', 0, SEAL)
  let rows: Rows | null = null
  return {
    seal: /[^0]/.test(sealed) ? sealed : null,
    get rows() {
      rows ??= decodeRows(body.subarray(SEAL))
      return rows
    },
  }
}

function decodeRows(body: Buffer): Rows {
  const count = body.length / (DIGEST + ROW * 4)
  const digests = body.toString('hex', 0, count * DIGEST)
  // A copy: a Buffer may begin anywhere, words may not.
  const words = new Uint32Array(Uint8Array.prototype.slice.call(body, count * DIGEST).buffer)
  const places = new Map<ObjectKey, number>()
  for (let index = 0; index < count; index++) {
    const digest = digests.slice(index * DIGEST * 2, (index + 1) * DIGEST * 2)
    places.set(objectKey(digest, words[index * ROW + EXECUTABLE] === 1), index * ROW)
  }
  return { places, words }
}

/** Returns what is written: the changes upon the rows. */
function write(store: Store, seal: string | null, rows: Rows, changes: ReadonlyMap<ObjectKey, Known | null>): File {
  const kept = [...rows.places].filter(([key]) => !changes.has(key))
  const changed = [...changes].flatMap(([key, known]) => (known === null ? [] : [[key, known] as const]))
  const words = new Uint32Array((kept.length + changed.length) * ROW)
  for (const [index, [, place]] of kept.entries()) words.set(rows.words.subarray(place, place + ROW), index * ROW)
  for (const [index, [key, { identity, readAt }]] of changed.entries()) {
    const place = (kept.length + index) * ROW
    words.set(identity, place)
    words[place + READ_AT] = readAt
    words[place + EXECUTABLE] = isExecutableKey(key) ? 1 : 0
  }
  const keys = [...kept, ...changed].map(([key]) => key)
  const digests = Buffer.from((seal ?? '0'.repeat(SEAL * 2)) + keys.map(digestIn).join(''), 'hex')
  writeChecked(fileOf(store), Buffer.concat([digests, Buffer.from(words.buffer)]), store.system)
  return { seal, rows: { places: new Map(keys.map((key, index) => [key, index * ROW])), words } }
}
