import { randomInt } from 'node:crypto'
import { users } from '../native/fixture.js'
import { runCorruptions } from './corruption.js'
import { WHOLE } from './corruption-store.js'

/** The command behind scripts/check-corruption. Exits 1 when damage was not seen, not mended, or run. */
const [count = 10_000, seed = randomInt(2 ** 31)] = process.argv.slice(2).map(Number)
if (![count, seed].every(Number.isInteger)) throw new Error('usage: check-corruption [COUNT] [SEED]')
console.log(`${count} corruptions, seed ${seed}`)
/** Of ten, how many are done to root's store where there are two. */
const shares = users.length === 1 ? [10] : [8, 2]
for (const [index, [who, user]] of users.entries()) {
  const began = Date.now()
  const share = Math.ceil((count * (shares[index] as number)) / 10)
  const { tally, kinds, findings } = await runCorruptions(
    user,
    share,
    seed + index * 1_000_000,
    count > 500 ? WHOLE : { packed: 4, setUp: 2 },
  )
  console.log(
    `${who}: ${Object.entries(tally)
      .map(([what, number]) => `${what} ${number}`)
      .join(', ')}`,
  )
  console.log(
    `  bytes read from sources: ${(tally.bytesRead / tally.damagedBytes).toFixed(3)} of those damaged; ${Math.round((Date.now() - began) / 1000)} s`,
  )
  for (const [kind, number] of [...kinds].sort()) console.log(`  ${number} ${kind}`)
  for (const finding of findings) console.log(`  FINDING: ${finding}`)
  if (findings.length > 0) process.exitCode = 1
}
