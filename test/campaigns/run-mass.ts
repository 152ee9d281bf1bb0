import { users } from '../native/fixture.js'
import { coldContainer } from './cold.js'
import { launchAtOnce, launchAtOnceCold, launchInARow, type Mass } from './mass.js'
import { compiled, stages } from './stage.js'

/** The command behind scripts/check-mass. Exits 1 when a launch failed, or something grew. */
const [atOnce = 1000, inARow = 20_000, cold = 100] = process.argv.slice(2).map(Number)
if (![atOnce, inARow, cold].every(Number.isInteger)) throw new Error('usage: check-mass [AT_ONCE] [IN_A_ROW] [COLD]')

function tell(name: string, { told, growth, finding }: Mass): void {
  console.log(`${name}: ${told}`)
  if (growth.size > 0) console.log(`  growth: ${[...growth].map(([what, more]) => `${what} ${more}`).join(', ')}`)
  if (finding === null) return
  console.log(`  FINDING: ${finding}`)
  process.exitCode = 1
}

const crowd = compiled('crowd', '/tmp')
for (const [who, user] of users) {
  for (const { plain, all } of stages(user)) {
    for (const scene of all) tell(`${who}, ${scene.name}, ${atOnce} at once`, await launchAtOnce(crowd, atOnce, scene))
    tell(`${who}, ${plain.name}, ${inARow} in a row`, await launchInARow(crowd, inARow, plain))
  }
  tell(`${who}, ${cold} at once without a plan`, await launchAtOnceCold(crowd, cold, coldContainer(user)))
}
