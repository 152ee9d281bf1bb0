import { randomInt } from 'node:crypto'
import { temporaryDirectory } from '../support/fixtures.js'
import { runHistories } from './collector.js'
import { compiled } from './stage.js'

/** The command behind scripts/check-collector. Exits 1 when something was collected that could be reached, or something was left. */
const [count = 10_000, seed = randomInt(2 ** 31)] = process.argv.slice(2).map(Number)
if (![count, seed].every(Number.isInteger)) throw new Error('usage: check-collector [COUNT] [SEED]')
console.log(`${count} histories, seed ${seed}`)
const began = Date.now()
const { finding, ...tally } = await runHistories(count, seed, {
  holder: compiled('holder', temporaryDirectory()),
  realOnceIn: 50,
})
console.log(
  `${Object.entries(tally)
    .map(([what, number]) => `${what} ${number}`)
    .join(', ')}; ${Math.round((Date.now() - began) / 1000)} s`,
)
console.log(finding === null ? 'nothing found' : `FINDING: ${finding}`)
process.exitCode = finding === null ? 0 : 1
