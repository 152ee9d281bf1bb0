import { Fields, type Header, PT_NOTE } from './header.js'
import type { ElfFacts } from './types.js'
import type { Window } from './window.js'

const NT_GNU_ABI_TAG = 1
const NT_GNU_BUILD_ID = 3
/** Notes are a few dozen bytes; what is longer than this is somebody's data, not for the loader. */
const MAX_SEGMENT = 65_536

/** The GNU notes, found by their owner and type through PT_NOTE: section names may be stripped. */
export function readNotes(window: Window, header: Header): Pick<ElfFacts, 'buildId' | 'abiTag'> {
  let buildId: string | null = null
  let abiTag: ElfFacts['abiTag'] = null
  for (const segment of header.segments) {
    if (segment.type !== PT_NOTE || segment.fileSize > MAX_SEGMENT) continue
    const bytes = window.bytes(segment.offset, segment.fileSize, 'note segment')
    for (const { type, descriptor } of gnuNotes(bytes, header)) {
      if (type === NT_GNU_BUILD_ID) buildId ??= descriptor.toString('hex')
      if (type === NT_GNU_ABI_TAG && descriptor.length >= 16) {
        const words = new Fields(descriptor, header.data === 'little', false)
        abiTag ??= { os: words.u32(0), kernel: [words.u32(4), words.u32(8), words.u32(12)] }
      }
    }
  }
  return { buildId, abiTag }
}

/** A segment that ends within a note ends the notes: the loader stops there too, without an error. */
function* gnuNotes(bytes: Buffer, header: Header): Generator<{ type: number; descriptor: Buffer }> {
  const fields = new Fields(bytes, header.data === 'little', false)
  for (let at = 0; at + 12 <= bytes.length; ) {
    const nameSize = fields.u32(at)
    const start = at + 12 + align4(nameSize)
    const end = start + fields.u32(at + 4)
    if (end > bytes.length) return
    // All GNU notes that are read here have a four-byte owner and are aligned to four, in 64-bit files too.
    if (nameSize === 4 && bytes.toString('latin1', at + 12, at + 16) === 'GNU\0') {
      yield { type: fields.u32(at + 8), descriptor: bytes.subarray(start, end) }
    }
    at = align4(end)
  }
}

function align4(size: number): number {
  return Math.ceil(size / 4) * 4
}
