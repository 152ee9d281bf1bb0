import { AppcError } from '../errors.js'
import { DT, type Dynamic } from './dynamic.js'
import { type Header, PT_DYNAMIC } from './header.js'

/** Bytes of a file: what a reader is about to ask for, so that many files' can be fetched together. */
export interface Range {
  readonly offset: number
  readonly length: number
}

/** Longer dynamic sections and tables are rare, and are read as they are asked for. */
const MAX_DYNAMIC = 2048
const MAX_TABLES = 65_536
/** The version tables do not say how long they are. */
const USUAL_VERSIONS = 2048

/** Where the dynamic section lies, as far as the file claims; null for a static file. */
export function dynamicRange(header: Header): Range | null {
  const segment = header.segments.findLast(({ type }) => type === PT_DYNAMIC)
  return segment === undefined ? null : { offset: segment.offset, length: Math.min(segment.fileSize, MAX_DYNAMIC) }
}

/** Where strings and versions lie, which linkers put side by side; null where that is nowhere, or too far apart. */
export function tablesRange(dynamic: Dynamic): Range | null {
  try {
    const { start, end } = dynamic.strings()
    const versions = [DT.VERDEF, DT.VERNEED].flatMap(tag => {
      const address = dynamic.value(tag)
      return address === null ? [] : [dynamic.locate(address, 'version table').offset]
    })
    const offset = Math.min(start, ...versions)
    const length = Math.max(end, ...versions.map(at => at + USUAL_VERSIONS)) - offset
    return length <= MAX_TABLES ? { offset, length } : null
  } catch (error) {
    // The reader will say what is wrong with it.
    if (error instanceof AppcError) return null
    throw error
  }
}
