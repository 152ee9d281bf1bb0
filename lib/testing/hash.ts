import { alignUp, Bytes } from './bytes.js'

/** The hash of DT_HASH and of versions (System V ABI, Figure 5-13). */
export function sysvHash(name: string): number {
  let hash = 0
  for (const byte of Buffer.from(name)) {
    hash = ((hash << 4) + byte) >>> 0
    const high = hash & 0xf000_0000
    hash = (hash ^ (high >>> 24)) & ~high
  }
  return hash >>> 0
}

/** The hash of DT_GNU_HASH: Bernstein's, times 33. */
export function gnuHash(name: string): number {
  let hash = 5381
  for (const byte of Buffer.from(name)) hash = (Math.imul(hash, 33) + byte) >>> 0
  return hash
}

/** DT_HASH of all symbols by their names, the first being the null symbol's. */
export function sysvHashTable(names: readonly string[], little: boolean, wideHash: boolean): Buffer {
  const bucketCount = Math.max(1, names.length >> 1)
  const buckets = new Array<number>(bucketCount).fill(0)
  const chains = new Array<number>(names.length).fill(0)
  for (let index = names.length - 1; index > 0; index--) {
    const bucket = sysvHash(names[index] as string) % bucketCount
    chains[index] = buckets[bucket] as number
    buckets[bucket] = index
  }
  return new Bytes(little, wideHash).word(bucketCount, names.length, ...buckets, ...chains).done()
}

/** How many buckets DT_GNU_HASH has for a number of symbols; they must be sorted by `gnuHash(name) % gnuBuckets(count)`. */
export function gnuBuckets(count: number): number {
  return Math.max(1, count >> 1)
}

/** DT_GNU_HASH of the defined symbols, which come last in the symbol table, from `firstIndex` on. */
export function gnuHashTable(names: readonly string[], firstIndex: number, little: boolean, wide: boolean): Buffer {
  const hashes = names.map(gnuHash)
  const bits = wide ? 64 : 32
  const shift = wide ? 6 : 5
  // Some twelve bits of the filter for each symbol, in words of which there must be a power of two.
  const bloomCount = 2 ** Math.ceil(Math.log2(Math.max(1, alignUp(names.length * 12, bits) / bits)))
  const bloom = new Array<bigint>(bloomCount).fill(0n)
  for (const hash of hashes) {
    const word = Math.floor(hash / bits) % bloomCount
    bloom[word] = (bloom[word] as bigint) | (1n << BigInt(hash % bits)) | (1n << BigInt((hash >>> shift) % bits))
  }
  const bucketCount = gnuBuckets(names.length)
  const buckets = new Array<number>(bucketCount).fill(0)
  const chain = hashes.map((hash, index) => {
    const bucket = hash % bucketCount
    if (buckets[bucket] === 0) buckets[bucket] = firstIndex + index
    const next = hashes[index + 1]
    const isLast = next === undefined || next % bucketCount !== bucket
    return ((hash & ~1) | Number(isLast)) >>> 0
  })
  const table = new Bytes(little, wide).u32(bucketCount, firstIndex, bloomCount, shift)
  for (const word of bloom) {
    if (wide) table.u64(word)
    else table.u32(Number(word))
  }
  return table.u32(...buckets, ...chain).done()
}
