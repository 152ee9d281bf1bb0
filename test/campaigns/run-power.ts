import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { temporaryDirectory } from '../support/fixtures.js'
import { type Operation, operations } from './operations.js'
import { makeTree, Place } from './place.js'
import { isNoticed, type Loss, losses, type Recorded, record, wrongsOfLoss } from './power.js'
import { fileSystems, losePower } from './real-power.js'

/** The command behind scripts/check-power. Exits 1 when something was lost, or a sync could be left out. */

const given = process.argv.slice(2)
const option = (name: string, otherwise: number): number => {
  const [, value] = given.map(word => word.split('=')).find(([before]) => before === `--${name}`) ?? []
  return value === undefined ? otherwise : Number(value)
}
const seed = option('seed', randomInt(2 ** 31))
const byChance = option('by-chance', 12)
const every = option('every', 1)
const names = given.filter(word => !word.startsWith('--'))
const unknown = names.filter(name => !operations.some(operation => operation.name === name))
if (unknown.length > 0 || ![seed, byChance, every].every(Number.isInteger))
  throw new Error(
    `usage: check-power [--seed=N] [--by-chance=N] [--real] [--every=N] [OPERATION…]: ${operations.map(({ name }) => name).join(', ')}`,
  )

const base = temporaryDirectory()
const tree = join(base, 'tree')
makeTree(tree)
const places = ['one', 'two'].map(name => new Place(join(base, name), tree))

interface Finding {
  readonly loss: Loss
  readonly wrongs: readonly string[]
}

/** Every loss, as many at a time as there are places. */
async function sweep(
  operation: Operation,
  recorded: Recorded,
): Promise<{ readonly count: number; readonly findings: readonly Finding[] }> {
  const findings: Finding[] = []
  let count = 0
  const next = losses(recorded, byChance, seed)[Symbol.iterator]()
  await Promise.all(
    places.map(async place => {
      for (let item = next.next(); item.done !== true; item = next.next()) {
        count++
        const wrongs = await wrongsOfLoss(place, operation, item.value, recorded)
        if (wrongs.length > 0) findings.push({ loss: item.value, wrongs })
      }
    }),
  )
  return { count, findings }
}

/** Which syncs a disk may ignore without that being noticed: none, where each is there for something that the judge can see. */
async function unnoticed(place: Place, operation: Operation, recorded: Recorded): Promise<readonly number[]> {
  const result: number[] = []
  for (let sync = 0; sync < recorded.syncs; sync++)
    if (!(await isNoticed(place, operation, recorded, losses(recorded, byChance, seed, sync)))) result.push(sync + 1)
  return result
}

function tell({ loss, wrongs }: Finding): void {
  const where = `behind the change ${loss.behind}, ${loss.choice}`
  console.log([`  FINDING: ${where}:`, ...wrongs.slice(0, 8)].join('\n    '))
}

async function loseByModel(operation: Operation): Promise<void> {
  const begin = performance.now()
  const place = new Place(join(base, 'recorded'), tree)
  const recorded = await record(place, operation)
  const { count, findings } = await sweep(operation, recorded)
  const seconds = Math.round((performance.now() - begin) / 1000)
  const figures = [`${recorded.changes.length + 1} moments`, `${recorded.syncs} syncs`, `${count} disks`]
  console.log(`${operation.name}: ${figures.join(', ')}, ${findings.length} failures (${seconds} s)`)
  const idle = await unnoticed(place, operation, recorded)
  console.log(`  syncs that could be left out: ${idle.join(', ') || 'none'}`)
  for (const finding of findings.slice(0, 20)) tell(finding)
  if (findings.length > 0) process.exitCode = 1
}

async function loseReally(operation: Operation): Promise<void> {
  for (const type of fileSystems) {
    const begin = performance.now()
    const { count, findings } = await losePower(type, base, tree, operation, every)
    const seconds = Math.round((performance.now() - begin) / 1000)
    console.log(`${operation.name}, ${type}: power lost ${count} times, ${findings.length} failures (${seconds} s)`)
    for (const finding of findings) console.log(`  FINDING: ${finding}`)
    if (findings.length > 0) process.exitCode = 1
  }
}

console.log(`seed ${seed}, ${byChance} by chance at each moment`)
for (const operation of operations) {
  if (names.length > 0 && !names.includes(operation.name)) continue
  await (given.includes('--real') ? loseReally(operation) : loseByModel(operation))
}
