import { existsSync, readFileSync } from 'node:fs'
import { damageCache } from './damage-cache.js'
import { hostileCache } from './hostile-cache.js'
import { HostileElf } from './hostile-elf.js'
import { hostileLoader } from './hostile-loader.js'
import { KNOWN } from './known.js'
import { mutate } from './mutate.js'
import type { Random } from './random.js'
import { fuzzCache, fuzzElf, fuzzLoader, fuzzTokens } from './subjects.js'

/** A way to make an input of a random number, and what reads it. */
export interface Kind {
  readonly name: string
  /** How many of a hundred inputs are of this kind. */
  readonly share: number
  /** Throws where a reader breaks its promise. */
  readonly run: (random: Random) => void
}

export function allKinds(samples: readonly Uint8Array[]): Kind[] {
  const scratch = Buffer.alloc(65_536)
  const caches = ['/etc/ld.so.cache'].filter(existsSync).map(path => readFileSync(path))
  const changed = (random: Random) => {
    const sample = random.pick(samples)
    const bytes = scratch.subarray(0, sample.length)
    bytes.set(sample)
    mutate(random, bytes)
    return bytes
  }
  return [
    { name: 'changed-elf', share: 42, run: random => fuzzElf(changed(random)) },
    { name: 'hostile-elf', share: 34, run: random => fuzzElf(new HostileElf(random, scratch, null).bytes) },
    {
      name: 'hole-elf',
      share: 2,
      run(random) {
        const size = random.pick([2 ** 20, 2 ** 28, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER])
        fuzzElf(new HostileElf(random, scratch, size).bytes, size)
      },
    },
    { name: 'damaged-cache', share: 8, run: random => fuzzCache(random, damageCache(random, random.pick(caches))) },
    { name: 'hostile-cache', share: 9, run: random => fuzzCache(random, hostileCache(random, scratch)) },
    { name: 'loader', share: 3, run: random => fuzzLoader(hostileLoader(random, scratch)) },
    { name: 'tokens', share: 2, run: fuzzTokens },
    { name: 'known', share: 0, run: ({ seed }) => runKnown(seed) },
  ]
}

function runKnown(index: number): void {
  const known = KNOWN[index]
  if (known === undefined) throw new Error(`of those that are known, there are ${KNOWN.length}`)
  known.run()
}
