import { randomInt } from 'node:crypto'
import { campaign, told } from './campaign.js'

/** The command behind scripts/check-deciding. Exits 1 with the smallest world that was found to be decided wrongly. */
const [count = 20_000, seed = randomInt(2 ** 31)] = process.argv.slice(2).map(Number)
if (![count, seed].every(Number.isInteger)) throw new Error('usage: check-deciding [COUNT] [SEED]')
console.log(`${count} worlds, seed ${seed}`)
const begin = performance.now()
const result = campaign(count, seed)
for (const line of told(result)) console.log(line)
console.log(`${Math.round((performance.now() - begin) / 1000)} s`)
if (result.failure !== null) process.exitCode = 1
