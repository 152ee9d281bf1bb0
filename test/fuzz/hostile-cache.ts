import type { Random } from './random.js'

const HOSTILE = [0, 1, 2, 47, 48, 0xfff, 0x1000, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fff0, 0xffff_ffff]
const NAMES = [
  'liba.so.1',
  'liba.so.10',
  'liba.so.2',
  'libb.so',
  'x86-64-v2',
  'x86-64-v3',
  '/lib/liba.so.1',
  '0'.repeat(300),
]
const FLAGS = [1, 3, 0x303, 0x303, 0x303, 0x403, 0x903, 0]

/** A made-up cache of any format and byte order: sorted or not, its numbers true or hostile. */
export function hostileCache(random: Random, scratch: Buffer): Buffer {
  const bytes = scratch.subarray(0, random.pick([48, 64, 256, 1024, 4096, 4096, 8192])).fill(0)
  const little = !random.once(4)
  const malice = random.pick([0, 10, 10, 50])
  const u32 = (at: number, value: number) => {
    if (at + 4 > bytes.length) return
    if (little) bytes.writeUInt32LE(value >>> 0, at)
    else bytes.writeUInt32BE(value >>> 0, at)
  }
  const number = (value: number) =>
    malice > 0 && random.once(malice) ? random.pick([...HOSTILE, bytes.length, bytes.length - 1, value + 1]) : value
  const count = random.below(12)
  const oldCount = random.pick([0, 0, 1, 2, 5])
  const old = random.once(3)
  const header = old ? Math.ceil((16 + oldCount * 12) / 8) * 8 : 0
  const strings = header + 48 + count * 24

  // The strings first, to refer to.
  const starts: number[] = []
  let end = strings
  for (let i = 0; i < 10; i++) {
    const text = random.pick(NAMES)
    starts.push(end - header)
    bytes.write(text, Math.min(end, bytes.length), 'latin1')
    end += text.length + (random.once(30) ? 0 : 1)
  }
  const string = () => number(random.pick(starts))

  if (old) {
    bytes.write('ld.so-1.7.0', 'latin1')
    u32(12, number(oldCount))
    for (let index = 0; index < oldCount; index++) {
      for (const [field, value] of [random.pick(FLAGS), string(), string()].entries())
        u32(16 + index * 12 + field * 4, value)
    }
  }
  if (!old || !random.once(4)) {
    bytes.write('glibc-ld.so.cache1.1', Math.min(header, bytes.length), 'latin1')
    u32(header + 20, number(count))
    u32(header + 24, number(end - strings))
    if (header + 28 < bytes.length) bytes[header + 28] = number(random.pick([0, little ? 2 : 3]))
    for (let index = 0; index < count; index++) {
      const at = header + 48 + index * 24
      const variant = random.once(2)
      const hwcap = [number(variant ? random.below(4) : 0), number(variant ? (1 << 30) | random.below(4) : 0)]
      const fields = [random.pick(FLAGS), string(), string(), 0, ...(little ? hwcap : hwcap.reverse())]
      for (const [field, value] of fields.entries()) u32(at + field * 4, value)
    }
    const extension = Math.ceil(end / 4) * 4
    u32(header + 32, number(extension))
    const names = random.below(4)
    const words = [3_936_625_012, 1, 1, 0, extension + 24, names * 4]
    for (const [index, word] of words.entries()) u32(extension + index * 4, number(word))
    for (let index = 0; index < names; index++) u32(extension + 24 + index * 4, header + string())
  }
  return bytes
}
