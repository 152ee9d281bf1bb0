import type { Random } from './random.js'

const HEADER = 48
const ENTRY = 24
const OLD_HEADER = 16
const OLD_ENTRY = 12
const FLAGS = [0, 1, 3, 0x303, 0x303, 0x803, 0x903, 0xa03, -1]
/** Upper words of hwcap: none, an extension, one with an ISA level, `tls`, and nonsense. */
const HWCAPS_HIGH = [
  0,
  0,
  1 << 30,
  (1 << 30) | 1,
  (1 << 30) | 2,
  (1 << 30) | 3,
  (1 << 30) | 33,
  1 << 31,
  (1 << 30) | 1024,
]
const SIZES = [0, 1, 2, 3, 0x7f, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]

/** A copy of a sound cache, damaged in one to four ways. Most of what it said is still there: else nothing would be found. */
export function damageCache(random: Random, sound: Buffer): Buffer {
  let bytes: Buffer = Buffer.from(sound)
  for (let changes = 1 + random.below(4); changes > 0; changes--) bytes = random.pick(CHANGES)(random, bytes)
  return bytes
}

type Change = (random: Random, bytes: Buffer) => Buffer

/** Where the tables of a cache begin, as far as its own numbers can be believed. */
function tablesOf(bytes: Buffer): { first: number; entry: number; count: number; header: number | null } {
  const header = bytes.indexOf('glibc-ld.so.cache1.1')
  if (header === -1 || header + HEADER > bytes.length) {
    const count = Math.floor(Math.max(0, bytes.length - OLD_HEADER) / OLD_ENTRY)
    const told = bytes.length < OLD_HEADER ? 0 : bytes.readUInt32LE(12)
    return { first: OLD_HEADER, entry: OLD_ENTRY, count: Math.min(count, told), header: null }
  }
  const count = Math.floor((bytes.length - header - HEADER) / ENTRY)
  return {
    first: header + HEADER,
    entry: ENTRY,
    count: Math.min(count, bytes.readUInt32LE(header + 20)),
    header,
  }
}

function inEntry(change: (random: Random, bytes: Buffer, at: number, wide: boolean) => void): Change {
  return (random, bytes) => {
    const { first, entry, count } = tablesOf(bytes)
    if (count > 0) change(random, bytes, first + entry * random.below(count), entry === ENTRY)
    return bytes
  }
}

function inHeader(change: (random: Random, bytes: Buffer, at: number) => void): Change {
  return (random, bytes) => {
    const { header } = tablesOf(bytes)
    if (header !== null) change(random, bytes, header)
    return bytes
  }
}

function near(random: Random, value: number): number {
  return (value + random.below(9) - 4) >>> 0
}

/** The beginning of another entry's string, or a place in it or around the end. */
function someString(random: Random, bytes: Buffer): number {
  const { first, entry, count, header } = tablesOf(bytes)
  if (count === 0 || random.once(8))
    return random.pick([...SIZES, bytes.length, bytes.length - 1, bytes.length - (header ?? 0)]) >>> 0
  const other = bytes.readUInt32LE(first + entry * random.below(count) + random.pick([4, 8]))
  return random.once(3) ? near(random, other) : other
}

const setKey = inEntry((random, bytes, at) => bytes.writeUInt32LE(someString(random, bytes), at + 4))
const setValue = inEntry((random, bytes, at) => bytes.writeUInt32LE(someString(random, bytes), at + 8))
const setFlags = inEntry((random, bytes, at) => bytes.writeInt32LE(random.pick(FLAGS), at))
/** The bits that only some of Intel's CPUs have are left alone. */
const setHwcap = inEntry((random, bytes, at, wide) => {
  if (!wide) return
  bytes.writeUInt32LE(random.pick([0, 0, 1, 2, 2, 3]), at + 16)
  bytes.writeInt32LE(random.pick(HWCAPS_HIGH), at + 20)
})
const setVersion = inEntry((random, bytes, at, wide) => {
  if (wide) bytes.writeUInt32LE(random.below(0x30200), at + 12)
})
const swap: Change = (random, bytes) => {
  const { first, entry, count } = tablesOf(bytes)
  if (count === 0) return bytes
  const [a, b] = [first + entry * random.below(count), first + entry * random.below(count)]
  const kept = Buffer.from(bytes.subarray(a, a + entry))
  bytes.copy(bytes, a, b, b + entry)
  kept.copy(bytes, b)
  return bytes
}
const shuffle: Change = (random, bytes) => {
  for (let i = 0; i < 20; i++) swap(random, bytes)
  return bytes
}
const repeat: Change = (random, bytes) => {
  const { first, entry, count } = tablesOf(bytes)
  if (count < 2) return bytes
  const at = first + entry * random.below(count - 1)
  bytes.copy(bytes, at + entry, at, at + entry)
  return bytes
}
const setCount = inHeader((random, bytes, header) => {
  const count = bytes.readUInt32LE(header + 20)
  bytes.writeUInt32LE(
    random.once(2) ? random.below(count + 2) : random.pick([near(random, count), ...SIZES]),
    header + 20,
  )
})
const setByteOrder = inHeader((random, bytes, header) =>
  bytes.writeUInt8(random.pick([0, 1, 2, 3, 4, 6, 255]), header + 28),
)
const setExtension = inHeader((random, bytes, header) => {
  const told = bytes.readUInt32LE(header + 32)
  bytes.writeUInt32LE(random.pick([near(random, told), told + header, bytes.length - 8, ...SIZES]) >>> 0, header + 32)
})
/** A word of the extension directory and of what it leads to, which stand at the end of the file. */
const setInExtension: Change = (random, bytes) => {
  const at = bytes.indexOf(Buffer.from([0xf4, 0xb3, 0xa4, 0xea]))
  const start = at === -1 ? bytes.length : at
  const words = Math.floor((bytes.length - start) / 4)
  if (words === 0) return bytes
  const word = start + 4 * random.below(words)
  const told = bytes.readUInt32LE(word)
  bytes.writeUInt32LE(
    random.pick([
      near(random, told),
      told ^ 1,
      bytes.length,
      bytes.readUInt32LE(start + 4 * random.below(words)),
      ...SIZES,
    ]) >>> 0,
    word,
  )
  return bytes
}
const setOldCount: Change = (random, bytes) => {
  if (bytes.length >= OLD_HEADER && bytes[0] === 0x6c) {
    const count = bytes.readUInt32LE(12)
    bytes.writeUInt32LE(random.pick([near(random, count), random.below(count + 1), ...SIZES]), 12)
  }
  return bytes
}
/** A character of a name or path: digits, ends, signs. */
const setCharacter: Change = (random, bytes) => {
  const { first, entry, count } = tablesOf(bytes)
  const start = first + entry * count
  if (start < bytes.length)
    bytes[start + random.below(bytes.length - start)] = random.pick([0, 0x2e, 0x30, 0x37, 0x39, 0x6c, 0x80, 0xff])
  return bytes
}
const setByte: Change = (random, bytes) => {
  const { first } = tablesOf(bytes)
  if (bytes.length > 0)
    bytes[random.below(Math.min(first, bytes.length))] = random.pick([0, 1, 0x7f, 0xff, random.below(256)])
  return bytes
}
const cut: Change = (random, bytes) =>
  bytes.subarray(0, random.once(2) ? random.below(bytes.length + 1) : Math.max(0, bytes.length - random.below(64)))
const append: Change = (random, bytes) =>
  Buffer.concat([bytes, Buffer.alloc(random.below(64), random.pick([0, 0x30, 0x61]))])
/** A string that ends with the last page: after it the loader finds no zeros. */
const fillPage: Change = (_, bytes) => Buffer.concat([bytes, Buffer.alloc((4096 - (bytes.length % 4096)) % 4096, 0x61)])

const CHANGES: readonly Change[] = [
  ...[setKey, setKey, setKey, setValue, setValue, setFlags, setFlags, setHwcap, setHwcap, setHwcap, setVersion],
  ...[swap, swap, shuffle, repeat, setCount, setByteOrder, setExtension, setInExtension, setInExtension, setOldCount],
  ...[setCharacter, setCharacter, setByte, cut, append, fillPage],
]
