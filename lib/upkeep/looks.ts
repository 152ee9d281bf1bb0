import type { BigIntStats } from 'node:fs'
import type { Identity } from '../store/memory.js'
import type { StoreSystem } from '../store/store.js'

/** A row as native/addon/look.cpp has it: errno, dev, ino, size, mtime, ctime, mode, uid, gid. */
const COLUMNS = 9
const WORDS = COLUMNS * 2
/** Of these, dev to ctime are what a file is known by. */
const [IDENTITY, MODE, UID] = [1, 6, 7]
export const IDENTITY_WORDS = 10
/** Of the words of an identity. */
const [INODE, SIZE, MTIME, CTIME] = [2, 4, 6, 8]

/**
 * What a file is known by without reading it: device, inode, size, mtime and ctime, in 32-bit halves in the machine's order. Ten
 * thousand of them are compared in a millisecond; as bigints it would be ten.
 */
export type IdentityWords = Uint32Array

export function identityWords({ dev, ino, size, mtimeNs, ctimeNs }: Identity | BigIntStats): IdentityWords {
  return new Uint32Array(BigUint64Array.of(dev, ino, BigInt(size), mtimeNs, ctimeNs).buffer)
}

/** What lstat(2) or fstat(2) told of many files. */
export class Looks {
  readonly #words: Uint32Array

  constructor(rows: BigUint64Array) {
    this.#words = new Uint32Array(rows.buffer, rows.byteOffset, rows.length * 2)
  }

  static at(system: Pick<StoreSystem, 'lstatMany'>, paths: readonly string[]): Looks {
    return new Looks(system.lstatMany(paths))
  }

  get length(): number {
    return this.#words.length / WORDS
  }

  /** 0, or why nothing is known of it. */
  errno(index: number): number {
    return this.#words[index * WORDS] as number
  }

  identity(index: number): IdentityWords {
    const start = index * WORDS + IDENTITY * 2
    return this.#words.subarray(start, start + IDENTITY_WORDS)
  }

  /** Whether it is the file with this identity, which begins at `at` in `words`. */
  isSame(index: number, words: Uint32Array, at: number): boolean {
    const start = index * WORDS + IDENTITY * 2
    for (let word = 0; word < IDENTITY_WORDS; word++) if (this.#words[start + word] !== words[at + word]) return false
    return true
  }

  size(index: number): number {
    return join64(this.#words, index * WORDS + IDENTITY * 2 + SIZE)
  }

  /** Type and permission bits. */
  mode(index: number): number {
    return this.#words[index * WORDS + MODE * 2] as number
  }

  uid(index: number): number {
    return this.#words[index * WORDS + UID * 2] as number
  }
}

export function inodeIn(identity: IdentityWords): number {
  return join64(identity, INODE)
}

export function sizeIn(identity: IdentityWords): number {
  return join64(identity, SIZE)
}

/** In milliseconds. */
export function mtimeIn(identity: IdentityWords): number {
  return join64(identity, MTIME) / 1e6
}

export function ctimeIn(identity: IdentityWords): number {
  return join64(identity, CTIME) / 1e6
}

export function isSameIdentity(a: IdentityWords, b: IdentityWords): boolean {
  for (let at = 0; at < IDENTITY_WORDS; at++) if (a[at] !== b[at]) return false
  return true
}

/** But for the change time: another link came to it, or went. */
export function isSameContent(a: IdentityWords, b: IdentityWords): boolean {
  for (let at = 0; at < CTIME; at++) if (a[at] !== b[at]) return false
  return true
}

/** All processors that appc knows the system calls of have the lower half first. */
function join64(words: Uint32Array, at: number): number {
  return (words[at + 1] as number) * 2 ** 32 + (words[at] as number)
}
