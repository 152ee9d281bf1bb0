import { createHash } from 'node:crypto'
import { closeSync, linkSync, lstatSync, openSync, readSync, rmSync, type Stats, writeSync } from 'node:fs'
import { join } from 'node:path'
import { eachPiece } from '../store/objects.js'
import { OPEN_OWN } from '../store/regular.js'
import { writing } from '../store/writing.js'
import { digestIn } from './identities.js'
import { type Candidate, readable, type Source, type Wanted } from './sources.js'

/** What files that were read are, by what identifies them; '' for what could not be read. */
export type FilesRead = Map<string, string>

/** What is of no known size is a document: no more is copied for it, whatever lies under its name in a tree of somebody else's. */
const MAX_DOCUMENT = 1 << 28

/** A file in tmp/ with the bytes of an object. */
export interface Fetched {
  readonly path: string
  readonly candidate: Candidate
}

/**
 * Finds the bytes of objects and copies them into a directory while hashing them. Each source is read once: what it turns out to be is
 * known from then on, and when it is another of those that are wanted, it is kept for that.
 */
export class Fetcher {
  readonly #home: string
  readonly #directory: string
  readonly #wanted: ReadonlySet<string>
  /** By digest. */
  readonly #fetched = new Map<string, Fetched>()
  readonly #taken = new Set<Fetched>()
  readonly #read: FilesRead
  #bytesRead = 0
  #counter = 0

  /** `wanted`: all that is going to be asked for. */
  constructor(home: string, directory: string, wanted: readonly Wanted[], read: FilesRead = new Map()) {
    this.#home = home
    this.#directory = directory
    this.#wanted = new Set(wanted.map(({ key }) => digestIn(key)))
    this.#read = read
  }

  /** Of sources. */
  get bytesRead(): number {
    return this.#bytesRead
  }

  /** null where none of the sources has it. */
  fetch(wanted: Wanted, sources: readonly Source[]): Fetched | null {
    const digest = digestIn(wanted.key)
    for (const source of sources)
      for (const candidate of this.#fetched.has(digest) ? [] : source(wanted)) {
        this.#try(candidate, wanted)
        if (this.#fetched.has(digest)) break
      }
    const fetched = this.#fetched.get(digest)
    return fetched === undefined ? null : this.#take(fetched, digest)
  }

  /** The same bytes with another mode are another file. */
  #take(fetched: Fetched, digest: string): Fetched | null {
    if (!this.#taken.has(fetched)) {
      this.#taken.add(fetched)
      return fetched
    }
    const path = this.#nextPath()
    return this.#copy(fetched.path, path)?.digest === digest ? { ...fetched, path } : null
  }

  #try(candidate: Candidate, { size }: Wanted): void {
    const stat = readable(() => lstatSync(candidate.path))
    if (!stat?.isFile() || (size === null ? stat.size > MAX_DOCUMENT : stat.size !== size)) return
    const identity = identityOf(stat, candidate)
    const known = this.#read.get(identity)
    if (known !== undefined && (!this.#wanted.has(known) || this.#fetched.has(known))) return
    const path = this.#nextPath()
    const copied =
      (candidate.isObject === true ? this.#link(candidate.path, path) : null) ?? this.#copy(candidate.path, path)
    this.#bytesRead += copied?.size ?? 0
    this.#read.set(identity, copied?.digest ?? '')
    if (copied === null || !this.#wanted.has(copied.digest) || this.#fetched.has(copied.digest))
      rmSync(path, { force: true })
    else this.#fetched.set(copied.digest, { path, candidate })
  }

  /** null where it cannot have another name. */
  #link(source: string, path: string): Copied | null {
    const linked = attempt(() => {
      linkSync(source, path)
      return 0
    })
    return linked === null ? null : readWhole(path, () => {})
  }

  /** null where the source cannot be read; a disk that cannot be written is an error. */
  #copy(source: string, path: string): Copied | null {
    return writing(this.#home, () => {
      const fd = openSync(path, 'wx', 0o600)
      try {
        return readWhole(source, piece => {
          for (let written = 0; written < piece.length; ) written += writeSync(fd, piece, written)
        })
      } finally {
        closeSync(fd)
      }
    })
  }

  #nextPath(): string {
    return join(this.#directory, String(this.#counter++))
  }
}

/** What is linked here changes its change time by that. */
function identityOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats, { isObject }: Candidate): string {
  return [dev, ino, size, mtimeMs, isObject === true ? 'linked' : ctimeMs].join(':')
}

interface Copied {
  readonly digest: string
  readonly size: number
}

/** null for what cannot be opened or read to its end. What `use` throws is thrown on. */
function readWhole(path: string, use: (piece: Buffer) => void): Copied | null {
  const fd = attempt(() => openSync(path, OPEN_OWN))
  if (fd === null) return null
  const hash = createHash('sha256')
  let isRead = true
  try {
    const size = eachPiece(
      (buffer, position) => {
        const count = attempt(() => readSync(fd, buffer, 0, buffer.length, position))
        isRead &&= count !== null
        return count ?? 0
      },
      piece => {
        hash.update(piece)
        use(piece)
      },
    )
    return isRead ? { digest: hash.digest('hex'), size } : null
  } finally {
    closeSync(fd)
  }
}

/** null where the system call failed. */
function attempt(call: () => number): number | null {
  try {
    return call()
  } catch (error) {
    if (error instanceof Error && 'errno' in error) return null
    throw error
  }
}
