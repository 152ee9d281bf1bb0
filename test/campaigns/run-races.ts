import { randomInt } from 'node:crypto'
import { users } from '../native/fixture.js'
import { withoutOverlays } from './modes.js'
import { type Arena, arenas, compiledRacer, type Race, race, raceLaunches, underAttack } from './races.js'
import { compiled } from './stage.js'

/** The command behind scripts/check-races. Exits 1 when something was mounted elsewhere, or when that could not have been seen. */
const [attempts = 1_000_000, seed = randomInt(2 ** 31)] = process.argv.slice(2).map(Number)
if (![attempts, seed].every(Number.isInteger)) throw new Error('usage: check-races [ATTEMPTS] [SEED]')
const racer = compiledRacer('/tmp')
const attack = { program: compiled('attacker', '/tmp'), seed, attacker: users.at(-1)?.[1] ?? { uid: 0, gid: 0 } }

async function told(name: string, arena: Arena, races: () => Promise<Race>): Promise<Race> {
  const begin = performance.now()
  const [result, exchanges] = await underAttack(attack, arena, races)
  const seconds = Math.round((performance.now() - begin) / 1000)
  console.log(`${name}: ${result.attempts} attempts, ${result.mounted} came to an end, ${result.escapes} escaped`)
  console.log(`  ${exchanges} exchanges, ${seconds} s`)
  return result
}

console.log(`${attempts} attempts, seed ${seed}`)
let naivelyEscaped = 0
for (const [who, user] of users) {
  const all = arenas(user, attack.attacker)
  for (const arena of all) {
    const name = `${who}, ${arena.name}`
    const share = Math.ceil(attempts / users.length / all.length)
    const naive = await told(`${name}, by real path and mount(2)`, arena, () => race(racer, 'naive', share / 4, arena))
    const races = [
      await told(`${name}, as the launcher does`, arena, () => race(racer, 'core', share / 2, arena)),
      await told(`${name}, as it does where overlays are refused`, arena, () =>
        race(racer, 'core', share / 2, arena, withoutOverlays()),
      ),
    ]
    if (arena.command !== null)
      races.push(await told(`${name}, whole launches`, arena, () => raceLaunches(share / 500, arena)))
    naivelyEscaped += naive.escapes
    if (races.every(({ escapes }) => escapes === 0)) continue
    console.log('  FINDING: mounts have escaped')
    process.exitCode = 1
  }
}
if (naivelyEscaped === 0) {
  console.log('FINDING: the attack leads not even mounts by path astray')
  process.exitCode = 1
}
