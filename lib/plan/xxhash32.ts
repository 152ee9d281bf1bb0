/** XXH32 with the seed 0 (doc/xxhash_spec.md of xxHash 0.8), as native/core/xxhash32.cpp has it, which says why. */
export function xxHash32(bytes: Buffer): number {
  let at = 0
  let hash = PRIME5
  if (bytes.length >= 16) {
    const lanes = new Uint32Array([PRIME1 + PRIME2, PRIME2, 0, -PRIME1])
    for (; at + 16 <= bytes.length; at += 16) {
      for (let lane = 0; lane < 4; lane++) {
        const word = bytes.readUInt32LE(at + 4 * lane)
        lanes[lane] = Math.imul(rotate((lanes[lane] as number) + Math.imul(word, PRIME2), 13), PRIME1)
      }
    }
    const [first = 0, second = 0, third = 0, fourth = 0] = lanes
    hash = rotate(first, 1) + rotate(second, 7) + rotate(third, 12) + rotate(fourth, 18)
  }
  hash = (hash + bytes.length) | 0
  for (; at + 4 <= bytes.length; at += 4) {
    hash = Math.imul(rotate(hash + Math.imul(bytes.readUInt32LE(at), PRIME3), 17), PRIME4)
  }
  for (; at < bytes.length; at++) hash = Math.imul(rotate(hash + Math.imul(bytes.readUInt8(at), PRIME5), 11), PRIME1)
  hash = Math.imul(hash ^ (hash >>> 15), PRIME2)
  hash = Math.imul(hash ^ (hash >>> 13), PRIME3)
  return (hash ^ (hash >>> 16)) >>> 0
}

const PRIME1 = 0x9e3779b1
const PRIME2 = 0x85ebca77
const PRIME3 = 0xc2b2ae3d
const PRIME4 = 0x27d4eb2f
const PRIME5 = 0x165667b1

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
