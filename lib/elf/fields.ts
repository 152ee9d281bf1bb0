/** A file's byte order and word size. */
export interface Order {
  readonly little: boolean
  readonly wide: boolean
}

/**
 * Integers at offsets into a range of a file, in the file's own byte order and word size. Reads are not checked against the range:
 * check sizes before. Thousands of files have hundreds each, so a range is no copy and no view of its own.
 */
export class Fields {
  readonly little: boolean
  readonly wide: boolean

  /** The range begins at `base` of the view. */
  constructor(
    private readonly view: DataView,
    private readonly base: number,
    readonly length: number,
    { little, wide }: Order,
  ) {
    this.little = little
    this.wide = wide
  }

  u8(offset: number): number {
    return this.view.getUint8(this.base + offset)
  }

  u16(offset: number): number {
    return this.view.getUint16(this.base + offset, this.little)
  }

  u32(offset: number): number {
    return this.view.getUint32(this.base + offset, this.little)
  }

  /** Four letters as one number, the same in either order. */
  letters(offset: number): number {
    return this.view.getUint32(this.base + offset)
  }

  /** Addresses above 2^53 lose their low bits; no check on a range can then pass, for no file is that large. */
  u64(offset: number): number {
    const at = this.base + offset
    const low = this.view.getUint32(at + (this.little ? 0 : 4), this.little)
    const high = this.view.getUint32(at + (this.little ? 4 : 0), this.little)
    // The usual number stays a small integer, which is no object.
    return high === 0 ? low : high * 0x1_0000_0000 + low
  }

  word(offset: number): number {
    return this.wide ? this.u64(offset) : this.u32(offset)
  }
}
