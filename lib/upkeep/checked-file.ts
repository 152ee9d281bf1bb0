import { readRegular } from '../store/regular.js'
import type { StoreSystem } from '../store/store.js'
import { replaceIfPossible } from '../store/writing.js'

/** A derived file of the store's: `u32 magic · u32 XXH32 of all that follows · …`, in the machine's byte order. */
export interface CheckedFile {
  readonly path: string
  /** Another one for each format. */
  readonly magic: number
  readonly maxBytes: number
}

const HEADER = 8

/** What follows the header; null where the file is absent, damaged or of another format: then nothing is known. */
export function readChecked({ path, magic, maxBytes }: CheckedFile, system: StoreSystem): Buffer | null {
  let bytes: Buffer
  try {
    bytes = readRegular(path, maxBytes, 'remove it')
  } catch {
    return null
  }
  if (bytes.length < HEADER || bytes.readUInt32LE(0) !== magic) return null
  const body = bytes.subarray(HEADER)
  return system.xxHash32(body) === bytes.readUInt32LE(4) ? body : null
}

/** Where that can be done: it only saves time. What is too long to be read again is not written. */
export function writeChecked({ path, magic, maxBytes }: CheckedFile, body: Buffer, system: StoreSystem): void {
  if (body.length + HEADER > maxBytes) return
  const header = Buffer.alloc(HEADER)
  header.writeUInt32LE(magic, 0)
  header.writeUInt32LE(system.xxHash32(body), 4)
  replaceIfPossible(path, Buffer.concat([header, body]))
}
