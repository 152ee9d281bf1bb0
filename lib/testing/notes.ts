import { Bytes } from './bytes.js'
import type { ElfDescription, Note } from './types.js'

const NT_GNU_ABI_TAG = 1
const NT_GNU_BUILD_ID = 3
const FDO_PACKAGING_METADATA = 0xcafe_1a7e
const FDO_DLOPEN = 0x407c_0c0a

export interface NamedNote extends Note {
  /** The section that it is usually in. */
  readonly section: string
}

export function notesOf(description: ElfDescription, little: boolean): NamedNote[] {
  const { buildId, abiTag, dlopen = [], packageMetadata, notes = [] } = description
  const found: NamedNote[] = []
  const add = (section: string, owner: string, type: number, descriptor: Uint8Array) =>
    found.push({ section, owner, type, descriptor })
  if (buildId != null) add('.note.gnu.build-id', 'GNU', NT_GNU_BUILD_ID, Buffer.from(buildId, 'hex'))
  if (abiTag != null) {
    add('.note.ABI-tag', 'GNU', NT_GNU_ABI_TAG, new Bytes(little, false).u32(abiTag.os, ...abiTag.kernel).done())
  }
  if (packageMetadata != null) add('.note.package', 'FDO', FDO_PACKAGING_METADATA, json(packageMetadata))
  if (dlopen.length > 0) add('.note.dlopen', 'FDO', FDO_DLOPEN, json(dlopen))
  return [...found, ...notes.map(note => ({ ...note, section: '.note' }))]
}

/** Both specifications want the JSON to end in NUL. What is null is not said. */
function json(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, (_, part) => part ?? undefined)}\0`)
}

export function noteBytes({ owner, type, descriptor }: Note, little: boolean): Buffer {
  const name = Buffer.from(`${owner}\0`)
  return new Bytes(little, false)
    .u32(name.length, descriptor.length, type)
    .raw(name)
    .align(4)
    .raw(descriptor)
    .align(4)
    .done()
}
