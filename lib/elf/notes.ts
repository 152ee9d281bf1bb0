import { NT_DLOPEN, NT_PACKAGE, parseDlopen, parsePackage, Unreadable } from './freedesktop.js'
import { type Header, PT_NOTE, type Segment } from './header.js'
import type { DlopenNote, ElfFacts, PackageMetadata, UnreadNote } from './types.js'
import type { Window } from './window.js'

/** Owners, NUL included, as one big-endian word. */
const GNU = 0x474e5500
const FDO = 0x46444f00
const NT_GNU_ABI_TAG = 1
const NT_GNU_BUILD_ID = 3

/** A program has three or four; systemd's library, with one for each dlopen, some forty. */
const MAX_NOTES = 1024
/** A SHA-512 has 64 bytes, but `ld --build-id=0x…` takes any number. */
const MAX_BUILD_ID = 512
/** All JSON of one file together: systemd's has less than 8 KiB. */
const MAX_JSON = 65_536
/** Segments are read in pieces: what is large in them is somebody's own data, and passed over. */
const PIECE = 4096

type NoteFacts = Pick<ElfFacts, 'buildId' | 'abiTag' | 'dlopen' | 'packageMetadata' | 'unreadNotes'>

/** The notes of GNU and freedesktop.org, found through PT_NOTE by owner and type: section names may be stripped. */
export function readNotes(window: Window, header: Header): NoteFacts {
  let buildId: string | null = null
  let abiTag: ElfFacts['abiTag'] = null
  let packageMetadata: PackageMetadata | null = null
  const dlopen: DlopenNote[] = []
  const unreadNotes: UnreadNote[] = []
  let json = 0
  for (const note of listNotes(window, header, unreadNotes)) {
    try {
      if (note.owner === GNU && note.type === NT_GNU_BUILD_ID) buildId ??= readBuildId(window, note)
      if (note.owner === GNU && note.type === NT_GNU_ABI_TAG) abiTag ??= readAbiTag(window, header, note)
      if (note.owner !== FDO || (note.type !== NT_DLOPEN && note.type !== NT_PACKAGE)) continue
      json += note.size
      if (json > MAX_JSON) throw new Unreadable(`the notes in JSON have more than ${MAX_JSON} bytes`)
      const payload = window.bytes(note.start, note.size, 'note')
      if (note.type === NT_DLOPEN) dlopen.push(...parseDlopen(payload))
      else packageMetadata ??= parsePackage(payload)
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error
      unreadNotes.push({ offset: note.offset, because: error.message })
    }
  }
  return { buildId, abiTag, dlopen, packageMetadata, unreadNotes }
}

interface Note {
  /** 0 for an owner of another length than four bytes, which none has that is read here. */
  readonly owner: number
  readonly type: number
  /** Where it begins in the file; where its payload does, all of which is inside the segment. */
  readonly offset: number
  readonly start: number
  readonly size: number
}

function* listNotes(window: Window, header: Header, unread: UnreadNote[]): Generator<Note> {
  let count = 0
  for (const segment of header.segments) {
    if (segment.type !== PT_NOTE) continue
    if (segment.offset + segment.fileSize > window.size) {
      unread.push({ offset: segment.offset, because: 'the segment runs past the end of the file' })
      continue
    }
    for (const note of notesOf(window, header, segment)) {
      count++
      if (count <= MAX_NOTES) yield note
      else return void unread.push({ offset: note.offset, because: `the file has more than ${MAX_NOTES} notes` })
    }
  }
}

/** A segment that ends within a note ends its notes, as it does for the loader. */
function* notesOf(window: Window, header: Header, segment: Segment): Generator<Note> {
  const end = segment.offset + segment.fileSize
  // The standard wants 8 in 64-bit files. Only x86's properties have it, in a segment of their own that says so.
  const step = segment.align === 8 ? 8 : 4
  const order = { little: header.data === 'little', wide: false }
  const pieceAt = (at: number) => window.fields(at, Math.min(end - at, PIECE), order, 'note segment')
  let from = segment.offset
  let piece = pieceAt(from)
  for (let at = from; at + 12 <= end; ) {
    if (at + 16 > from + piece.length && at > from) {
      from = at
      piece = pieceAt(from)
    }
    const nameSize = piece.u32(at - from)
    const size = piece.u32(at - from + 4)
    const start = at + padded(12 + nameSize, step)
    if (start + size > end) return
    const owner = nameSize === 4 ? piece.letters(at - from + 12) : 0
    yield { owner, type: piece.u32(at - from + 8), offset: at, start, size }
    at = start + padded(size, step)
  }
}

function padded(size: number, step: number): number {
  return Math.ceil(size / step) * step
}

/** A longer one would be no name for a build, and is not kept in manifests. */
function readBuildId(window: Window, { start, size }: Note): string {
  if (size > MAX_BUILD_ID) throw new Unreadable(`the build-id has more than ${MAX_BUILD_ID} bytes`)
  return window.bytes(start, size, 'build-id').toString('hex')
}

function readAbiTag(window: Window, header: Header, { start, size }: Note): ElfFacts['abiTag'] {
  if (size < 16) throw new Unreadable('the ABI tag has less than 16 bytes')
  const words = window.fields(start, 16, { little: header.data === 'little', wide: false }, 'ABI tag')
  return { os: words.u32(0), kernel: [words.u32(4), words.u32(8), words.u32(12)] }
}
