import { join } from 'node:path'
import { temporaryDirectory } from '../support/fixtures.js'
import { befalls, disturb, type Fate, fates, type Kind, type Outcome, type Undisturbed, undisturbed } from './crash.js'
import { type Operation, operations } from './operations.js'
import { makeTree, Place } from './place.js'
import { type Step, stepsOf } from './store-calls.js'

/** The command behind scripts/check-crashes. Exits 1 when something was lost, left, half done or told wrongly. */

const given = process.argv.slice(2)
const every = Number(given[0]?.match(/^--every=([1-9][0-9]*)$/)?.[1] ?? 1)
const chosen = given.filter(word => !word.startsWith('--every='))
const unknown = chosen.filter(name => !operations.some(operation => operation.name === name))
if (unknown.length > 0)
  throw new Error(`no operation ${unknown.join(', ')}; there are: ${operations.map(({ name }) => name).join(', ')}`)

const base = temporaryDirectory()
const tree = join(base, 'tree')
makeTree(tree)
/** As many at a time as there are processors. */
const places = ['one', 'two'].map(name => new Place(join(base, name), tree))

async function sweep(operation: Operation): Promise<readonly Outcome[]> {
  // The paths of places differ, and a plan's name or a manifest may tell of them: each has its own.
  const rights = new Map<Place, Undisturbed>()
  for (const place of places) rights.set(place, await undisturbed(place, operation))
  const [first] = rights.values()
  const tasks: readonly (readonly [Step, Fate])[] = stepsOf(first?.calls ?? [])
    .flatMap(step => fates.filter(fate => befalls(fate, step)).map(fate => [step, fate] as const))
    .filter((_, index) => index % every === 0)
  const outcomes: Outcome[] = []
  const next = tasks.values()
  await Promise.all(
    [...rights].map(async ([place, right]) => {
      for (const [step, fate] of next) outcomes.push(await disturb(place, operation, right, step, fate))
    }),
  )
  return outcomes
}

function tell(operation: Operation, outcomes: readonly Outcome[], seconds: number): void {
  const of = (kind: Kind) => outcomes.filter(outcome => outcome.kind === kind)
  const steps = new Set(outcomes.map(({ step }) => `${step.name} ${step.nth}`)).size
  const wrong = outcomes.filter(({ findings }) => findings.length > 0)
  const errors = outcomes.filter(({ fate }) => fate !== 'SIGKILL').length
  const figures = [
    `${steps} calls`,
    `${outcomes.length - errors} kills`,
    `${errors} errors`,
    `${wrong.length} failures`,
  ]
  console.log(`${operation.name}: ${figures.join(', ')} (${Math.round(seconds)} s)`)
  const kinds = [`${of('killed').length} killed`, `${of('failed').length} failed with one clear error`]
  console.log(`  ${[...kinds, `${of('went on').length} went on${names(of('went on'))}`].join(', ')}`)
  if (of('not met').length > 0) console.log(`  ${of('not met').length} were not met${names(of('not met'))}`)
  for (const { step, fate, kind, findings } of wrong)
    console.log([`  FINDING: ${fate} at ${step.name} ${step.nth} (${kind}):`, ...findings.slice(0, 8)].join('\n    '))
  if (wrong.length > 0) process.exitCode = 1
}

function names(outcomes: readonly Outcome[]): string {
  const all = new Set(outcomes.map(({ step }) => step.name))
  return all.size === 0 ? '' : ` (${[...all].join(' ')})`
}

for (const operation of operations) {
  if (chosen.length > 0 && !chosen.includes(operation.name)) continue
  const begin = performance.now()
  const outcomes = await sweep(operation)
  tell(operation, outcomes, (performance.now() - begin) / 1000)
}
