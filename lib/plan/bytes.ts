import { AppcError } from '../errors.js'
import { HEADER, MAGIC, MAX_COUNT, MAX_LENGTH, MAX_SIZE, RECORD, type TableName, VERSION } from './layout.js'
import { xxHash32 } from './xxhash32.js'

/** Header, tables and strings as they grow; strings that are alike are written once. */
export class Encoder {
  readonly header = Buffer.alloc(HEADER.end)
  readonly #tables: Buffer[] = []
  readonly #strings: Buffer[] = []
  readonly #offsets = new Map<string, number>()
  #tablesEnd = HEADER.end as number
  #stringsSize = 0

  /** String offsets are counted from the strings' begin until finish() knows where that is. */
  readonly #references: { readonly buffer: Buffer; readonly at: number }[] = []

  string(buffer: Buffer, at: number, value: string | null, maxLength: number): void {
    if (value === null) return
    const bytes = Buffer.from(`${value}\0`)
    if (bytes.indexOf(0) !== bytes.length - 1) throw invalid(`${JSON.stringify(value)} contains a NUL`)
    if (bytes.length - 1 > maxLength)
      throw invalid(`${JSON.stringify(value.slice(0, 100))}… is longer than ${maxLength} bytes`)
    this.#refer(buffer, at, bytes)
  }

  /** One after the other, each with its NUL. */
  strings(buffer: Buffer, at: number, values: readonly string[]): void {
    if (values.length === 0) throw invalid('a guard of no names')
    const stray = values.find(value => value.includes('\0') || Buffer.byteLength(value) > MAX_LENGTH.path)
    if (stray !== undefined) throw invalid(`${JSON.stringify(stray.slice(0, 100))} is too long or contains a NUL`)
    this.#refer(buffer, at, Buffer.from(values.map(value => `${value}\0`).join('')))
  }

  #refer(buffer: Buffer, at: number, bytes: Buffer): void {
    const key = bytes.toString('latin1')
    let offset = this.#offsets.get(key)
    if (offset === undefined) {
      offset = this.#stringsSize
      this.#offsets.set(key, offset)
      this.#strings.push(bytes)
      this.#stringsSize += bytes.length
    }
    buffer.writeUInt32LE(offset, at)
    buffer.writeUInt32LE(bytes.length - 1, at + 4)
    this.#references.push({ buffer, at })
  }

  path(buffer: Buffer, at: number, value: string | null): void {
    if (value !== null && !value.startsWith('/')) throw invalid(`${JSON.stringify(value)} is not an absolute path`)
    this.string(buffer, at, value, MAX_LENGTH.path)
  }

  table<Value>(name: TableName, values: readonly Value[], encode: (record: Buffer, value: Value) => void): void {
    if (values.length > MAX_COUNT[name]) {
      throw invalid(`${values.length} ${name} are more than the ${MAX_COUNT[name]} that the launcher takes`)
    }
    const size = RECORD[name]
    const table = Buffer.alloc(values.length * size)
    for (const [index, value] of values.entries()) encode(table.subarray(index * size, (index + 1) * size), value)
    this.header.writeUInt32LE(this.#tablesEnd, HEADER[name])
    this.header.writeUInt32LE(values.length, HEADER[name] + 4)
    this.#tables.push(table)
    this.#tablesEnd += table.length
  }

  finish(): Buffer {
    for (const { buffer, at } of this.#references) buffer.writeUInt32LE(buffer.readUInt32LE(at) + this.#tablesEnd, at)
    const size = this.#tablesEnd + this.#stringsSize
    if (size > MAX_SIZE) throw invalid(`it takes ${size} bytes; ${MAX_SIZE} is the limit`)
    this.header.write(MAGIC, 'latin1')
    this.header.writeUInt32LE(VERSION, HEADER.version)
    this.header.writeUInt32LE(size, HEADER.size)
    const bytes = Buffer.concat([this.header, ...this.#tables, ...this.#strings])
    bytes.writeUInt32LE(xxHash32(bytes.subarray(HEADER.size)), HEADER.checksum)
    return bytes
  }
}

/** The file's bytes; every offset is checked where it is followed. */
export class Decoder {
  readonly bytes: Buffer

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (bytes.length < HEADER.end || bytes.length > MAX_SIZE) throw invalid(`${bytes.length} bytes cannot be a plan`)
    if (this.bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) throw invalid('it does not begin as a plan does')
    const version = this.bytes.readUInt32LE(HEADER.version)
    if (version !== VERSION) throw invalid(`it has version ${version}; this appc reads version ${VERSION}`)
    if (this.bytes.readUInt32LE(HEADER.size) !== bytes.length)
      throw invalid('it is cut short or has bytes after its end')
    if (this.bytes.readUInt32LE(HEADER.checksum) !== xxHash32(this.bytes.subarray(HEADER.size)))
      throw invalid('its checksum is wrong')
  }

  table<Value>(name: TableName, decode: (at: number) => Value): Value[] {
    const offset = this.bytes.readUInt32LE(HEADER[name])
    const count = this.bytes.readUInt32LE(HEADER[name] + 4)
    const size = RECORD[name]
    const fits = offset % 8 === 0 && offset >= HEADER.end && offset + count * size <= this.bytes.length
    if (!fits || count > MAX_COUNT[name]) throw invalid(`its table of ${name} runs past its end`)
    return Array.from({ length: count }, (_, index) => decode(offset + index * size))
  }

  /** The part of another table's values that a record says by its first and their count. */
  run(at: number, values: readonly string[]): readonly string[] {
    const first = this.bytes.readUInt32LE(at)
    const end = first + this.bytes.readUInt32LE(at + 4)
    if (end > values.length) throw invalid('a record refers to more than there is')
    return values.slice(first, end)
  }

  string(at: number, maxLength: number): string {
    const offset = this.bytes.readUInt32LE(at)
    const length = this.bytes.readUInt32LE(at + 4)
    const fits = offset >= HEADER.end && offset + length < this.bytes.length && length <= maxLength
    if (!fits || this.bytes.indexOf(0, offset) !== offset + length) throw invalid('a string runs past its end')
    return this.bytes.toString('utf8', offset, offset + length)
  }

  /** One after the other, each with its NUL. */
  strings(at: number): readonly string[] {
    const offset = this.bytes.readUInt32LE(at)
    const end = offset + this.bytes.readUInt32LE(at + 4)
    const fits = offset >= HEADER.end && end < this.bytes.length && this.bytes.readUInt8(end) === 0
    if (!fits) throw invalid('strings run past its end')
    return this.bytes.toString('utf8', offset, end).split('\0')
  }

  path(at: number): string {
    const path = this.string(at, MAX_LENGTH.path)
    if (!path.startsWith('/')) throw invalid('a path is not absolute')
    return path
  }

  /** Null where the offset is 0. */
  nullable(at: number, maxLength: number): string | null {
    return this.bytes.readBigUInt64LE(at) === 0n ? null : this.string(at, maxLength)
  }
}

export function invalid(because: string): AppcError {
  return new AppcError('PLAN_INVALID', 'the plan file is not valid', { because })
}
