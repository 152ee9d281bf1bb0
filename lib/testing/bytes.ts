/** Bytes being written, in a file's own byte order and word size: the counterpart of elf/header.ts's Fields. */
export class Bytes {
  #buffer = Buffer.alloc(64)
  #length = 0

  constructor(
    readonly little: boolean,
    readonly wide: boolean,
  ) {}

  get length(): number {
    return this.#length
  }

  u8(...values: readonly number[]): this {
    for (const value of values) this.#buffer.writeUInt8(value, this.#grow(1))
    return this
  }

  u16(...values: readonly number[]): this {
    for (const value of values) {
      const at = this.#grow(2)
      if (this.little) this.#buffer.writeUInt16LE(value, at)
      else this.#buffer.writeUInt16BE(value, at)
    }
    return this
  }

  u32(...values: readonly number[]): this {
    for (const value of values) {
      const at = this.#grow(4)
      if (this.little) this.#buffer.writeUInt32LE(value, at)
      else this.#buffer.writeUInt32BE(value, at)
    }
    return this
  }

  u64(...values: readonly (number | bigint)[]): this {
    for (const value of values) {
      const at = this.#grow(8)
      if (this.little) this.#buffer.writeBigUInt64LE(BigInt(value), at)
      else this.#buffer.writeBigUInt64BE(BigInt(value), at)
    }
    return this
  }

  word(...values: readonly number[]): this {
    return this.wide ? this.u64(...values) : this.u32(...values)
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }

  /** Zeros up to an offset. */
  padTo(offset: number): this {
    this.#grow(offset - this.#length)
    return this
  }

  align(to: number): this {
    return this.padTo(alignUp(this.#length, to))
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** The offset before it grew. */
  #grow(by: number): number {
    const at = this.#length
    this.#length += by
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(this.#length, 2 * this.#buffer.length))
      larger.set(this.#buffer)
      this.#buffer = larger
    }
    return at
  }
}

export function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to
}

/** NUL-ended strings, each once, by their offsets; the first is the empty one. */
export class StringTable {
  readonly #offsets = new Map([['', 0]])
  readonly #parts: Buffer[] = [Buffer.alloc(1)]
  #length = 1

  add(text: string): number {
    const known = this.#offsets.get(text)
    if (known !== undefined) return known
    const offset = this.#length
    const bytes = Buffer.from(`${text}\0`)
    this.#parts.push(bytes)
    this.#offsets.set(text, offset)
    this.#length += bytes.length
    return offset
  }

  done(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
