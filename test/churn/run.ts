import { randomInt } from 'node:crypto'
import { Random } from '../fuzz/random.js'
import { churnDebian } from './debian.js'
import { churnMadeUpHost } from './made-up.js'
import type { Result } from './tally.js'

/** So many changes of the made-up host there are to one of dpkg's, which takes as long. */
const TO_ONE = 50

/** The command behind scripts/check-churn, which gives the trees. Exits 1 when a launch went wrong. */
const [origin, host, newer, older, ...numbers] = process.argv.slice(2)
const [cycles = 10_000, seed = randomInt(2 ** 31)] = numbers.map(Number)
if (![cycles, seed].every(Number.isInteger) || !origin || !host || !newer || !older)
  throw new Error('usage: check-churn [CYCLES] [SEED]')
console.log(`${cycles} cycles, seed ${seed}`)

function tell(what: string, { cycles, launches, right, gaveUp, overtaken, wrong, planned, seconds }: Result): void {
  console.log(
    `${what}: ${cycles} changes in ${seconds} s, ${launches} launches, planned ${planned} times: ${right} right, ${gaveUp} gave up, ${overtaken} overtaken, ${wrong.length} wrong`,
  )
  for (const text of wrong.slice(0, 10)) console.log(`wrong: ${text}`)
  if (wrong.length > 0) process.exitCode = 1
}

const upgrades = Math.ceil(cycles / TO_ONE)
tell('a made-up host', await churnMadeUpHost(cycles - upgrades, new Random(seed)))
tell('dpkg', await churnDebian(upgrades, new Random(seed), { origin, host, archives: [newer, older] }))
