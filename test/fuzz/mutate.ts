import type { Random } from './random.js'

const BYTES = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff]

/** Changes bytes of `bytes` in place: a few words, a run, or a piece that is copied elsewhere. Most weight is on the first page. */
export function mutate(random: Random, bytes: Buffer): void {
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(random.once(3) ? bytes.length : Math.min(bytes.length, 1024))
    const length = Math.min(bytes.length - at, random.pick([1, 1, 2, 4, 4, 8, 8, 64]))
    switch (random.below(4)) {
      case 0:
        bytes.fill(random.pick(BYTES), at, at + length)
        break
      case 1:
        for (let i = at; i < at + length; i++) bytes[i] = random.u32()
        break
      case 2:
        copyFrom(bytes, random.below(bytes.length), length, at)
        break
      default:
        bytes[at] = (bytes[at] as number) ^ (1 << random.below(8))
    }
  }
}

function copyFrom(bytes: Buffer, from: number, length: number, to: number): void {
  bytes.copyWithin(to, from, from + length)
}
