import { randomInt } from 'node:crypto'
import { workTogether } from './together.js'

/** The command behind scripts/check-together. Exits 1 when an answer was wrong, something hung, or a store was not what it should be. */
const [seconds = 300, seed = randomInt(2 ** 31), workers = 50] = process.argv.slice(2).map(Number)
if (![seconds, seed, workers].every(Number.isInteger))
  throw new Error('usage: check-together [SECONDS] [SEED] [WORKERS]')
console.log(`${workers} at once for ${seconds} s, seed ${seed}`)
const { counts, findings } = await workTogether({ seconds, workers, seed })
for (const [name, { done, refused, longest }] of counts)
  console.log(
    `${name}: ${done}, of which ${refused} came too late for something, the longest ${(longest / 1000).toFixed(1)} s`,
  )
console.log(`${[...counts.values()].reduce((sum, { done }) => sum + done, 0)} in all, ${findings.length} findings`)
for (const finding of findings) console.log(`FINDING: ${finding}`)
process.exitCode = findings.length > 0 ? 1 : 0
