/** An ELF file being written: integers of its class and byte order, at places that are given out one after the other. */
export class ElfBytes {
  /** Where the next thing is put. What does not fit is not written. */
  end = 0

  constructor(
    readonly bytes: Buffer,
    readonly wide: boolean,
    readonly little: boolean,
  ) {}

  take(size: number): number {
    const at = Math.min(this.end, this.bytes.length)
    this.end = Math.ceil((at + size) / 8) * 8
    return at
  }

  text(text: string): number {
    const at = this.take(text.length + 1)
    this.bytes.write(text, at, 'latin1')
    return at
  }

  u8(at: number, value: number): void {
    if (at < this.bytes.length) this.bytes[at] = value & 255
  }

  u16(at: number, value: number): void {
    this.u8(at + (this.little ? 0 : 1), value)
    this.u8(at + (this.little ? 1 : 0), value >>> 8)
  }

  u32(at: number, value: number): void {
    const low = value % 2 ** 32
    this.u16(at + (this.little ? 0 : 2), low)
    this.u16(at + (this.little ? 2 : 0), low >>> 16)
  }

  /** Numbers above what fits are the largest that does. */
  word(at: number, value: number): void {
    if (!this.wide) {
      this.u32(at, value)
      return
    }
    const fits = value < 2 ** 64
    this.u32(at + (this.little ? 0 : 4), fits ? value : 0xffff_ffff)
    this.u32(at + (this.little ? 4 : 0), fits ? Math.floor(value / 2 ** 32) : 0xffff_ffff)
  }
}
