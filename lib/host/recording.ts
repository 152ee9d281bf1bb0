import { errorCode } from '../loader/file-system.js'
import type { FileSystem, OpenFile } from '../loader/types.js'
import type { DescribedContent, DescribedPart } from './described.js'

interface Piece {
  readonly at: number
  readonly bytes: Buffer
}

/** A file system that notes what is read of its files: who runs a reader on it knows what that reader will ask for. */
export class Recording {
  readonly fs: FileSystem
  /** By path: with which of the system's errors it could not be opened. */
  readonly closed = new Map<string, string>()
  readonly #pieces = new Map<string, Piece[]>()

  constructor(fs: FileSystem) {
    this.fs = {
      ...fs,
      open: path => {
        const file = this.#open(fs, path)
        const pieces = this.#pieces.get(path) ?? []
        this.#pieces.set(path, pieces)
        return {
          size: file.size,
          read(buffer, position) {
            const count = file.read(buffer, position)
            pieces.push({ at: position, bytes: Buffer.from(buffer.subarray(0, count)) })
            return count
          },
          close: () => file.close(),
        }
      },
    }
  }

  #open(fs: FileSystem, path: string): OpenFile {
    try {
      return fs.open(path)
    } catch (error) {
      this.closed.set(path, errorCode(error))
      throw error
    }
  }

  /** By path; what was read of one file more than once stands there once. */
  contents(): readonly DescribedContent[] {
    return [...this.#pieces]
      .map(([path, pieces]) => ({ path, parts: joined(pieces).map(describe) }))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  }
}

/** In order, without overlaps; what adjoins is one. */
function joined(pieces: readonly Piece[]): readonly Piece[] {
  const found: { at: number; parts: Buffer[]; end: number }[] = []
  for (const { at, bytes } of [...pieces].sort((a, b) => a.at - b.at)) {
    const last = found.at(-1)
    if (last === undefined || at > last.end) found.push({ at, parts: [bytes], end: at + bytes.length })
    else if (at + bytes.length > last.end) {
      last.parts.push(bytes.subarray(last.end - at))
      last.end = at + bytes.length
    }
  }
  return found.map(({ at, parts }) => ({ at, bytes: Buffer.concat(parts) }))
}

function describe({ at, bytes }: Piece): DescribedPart {
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? { at, text } : { at, base64: bytes.toString('base64') }
}
