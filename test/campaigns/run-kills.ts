import { randomInt } from 'node:crypto'
import { Random } from '../fuzz/random.js'
import { users } from '../native/fixture.js'
import { coldContainer } from './cold.js'
import { type Kill, killOne, killOneCold, timed } from './kills.js'
import { compiled, stages } from './stage.js'

/** The command behind scripts/check-kills. Exits 1 when something was left behind. */
const [count = 2000, seed = randomInt(2 ** 31)] = process.argv.slice(2).map(Number)
if (![count, seed].every(Number.isInteger)) throw new Error('usage: check-kills [COUNT] [SEED]')
const random = new Random(seed)
const tools = { killer: compiled('killer', '/tmp'), crowd: compiled('crowd', '/tmp') }

function tell(name: string, lasts: number, kills: readonly Kill[]): void {
  const ran = kills.filter(kill => kill.ran).length
  console.log(`${name}: it lasts ${lasts.toFixed(1)} ms; ${kills.length} kills, ${ran} of them of the program`)
  for (const { after, finding } of kills) {
    if (finding === null) continue
    console.log(`  FINDING: after ${after.toFixed(3)} ms: ${finding}`)
    process.exitCode = 1
  }
}

console.log(`${count} kills, seed ${seed}`)
for (const [who, user] of users) {
  const scenes = stages(user).flatMap(({ all }) => all)
  // One in ten has to plan.
  const each = Math.ceil((count * 0.9) / users.length / scenes.length)
  for (const scene of scenes) {
    const launch = timed(tools.crowd, scene, 21)
    const kills: Kill[] = []
    while (kills.length < each) kills.push(await killOne(tools.killer, launch, random))
    tell(`${who}, ${scene.name}`, launch.lasts, kills)
  }
  const container = coldContainer(user)
  const first = timed(tools.crowd, container, 3, container.forget)
  const whole = container.files()
  const kills: Kill[] = []
  while (kills.length < Math.ceil(count / 10 / users.length)) kills.push(await killOneCold(tools, first, whole, random))
  tell(`${who}, without a plan`, first.lasts, kills)
}
