import { openSync } from 'node:fs'
import { users } from '../native/fixture.js'
import { errors, inject, type Outcome, profileOf, type Wrong } from './injection.js'
import { bubblewrap, type Scene, stages } from './stage.js'

/** The command behind scripts/check-injection. Exits 1 when a launch did not end as it must. */

async function sweep(scene: Scene, tried: readonly string[], names: readonly string[]): Promise<readonly Outcome[]> {
  const passed = openSync('/etc/passwd', 'r')
  const outcomes: Outcome[] = []
  const { calls, watches } = profileOf(scene, passed)
  for (const call of calls.filter(({ name }) => names.length === 0 || names.includes(name))) {
    for (const error of tried) outcomes.push(await inject(scene, watches, call, error, passed))
  }
  return outcomes
}

const wrong: readonly Wrong[] = ['hang', 'crash', 'false success', 'unclear error', 'left behind']

function told(name: string, outcomes: readonly Outcome[], tried: readonly string[]): readonly string[] {
  const count = (kind: Outcome['kind']) => outcomes.filter(outcome => outcome.kind === kind).length
  const slowest = Math.max(...outcomes.map(({ milliseconds }) => milliseconds))
  return [
    `${name}: ${outcomes.length / tried.length} calls, ${outcomes.length} launches, the longest ${Math.round(slowest)} ms`,
    `  ${count('failed')} failed with one clear error, ${count('planned anew')} went to plan anew, ${count('went on')} went on in the right mix, ${count('not met')} were not met`,
    `  went on: ${wentOn(outcomes, tried).join(', ')}`,
    `  ${wrong.map(kind => `${kind} ${count(kind)}`).join(', ')}`,
  ]
}

/** The calls that may fail, with the errors where it is not all of them. */
function wentOn(outcomes: readonly Outcome[], tried: readonly string[]): readonly string[] {
  const went = outcomes.filter(({ kind }) => kind === 'went on')
  return [...new Set(went.map(({ call }) => call.name))].map(name => {
    const these = went.filter(({ call }) => call.name === name)
    const places = new Set(these.map(({ call }) => call.nth)).size
    const list = [...new Set(these.map(({ error }) => error))]
    return `${name}${places > 1 ? ` (${places} times)` : ''}${list.length < tried.length ? ` ${list.join(' ')}` : ''}`
  })
}

function findingsIn(outcomes: readonly Outcome[]): readonly string[] {
  return outcomes.flatMap(({ call, error, kind, finding }) =>
    finding === null ? [] : [`  ${kind}: ${call.name} ${call.nth}, ${error}: ${finding}`],
  )
}

const given = process.argv.slice(2)
const compares = given[0] === '--bwrap'
const words = compares ? given.slice(1) : given
if (words.some(word => !/^(E[A-Z0-9]+|[a-z0-9_]+)$/.test(word)))
  throw new Error('usage: check-injection [--bwrap] [ERROR…] [CALL…]')
const named = words.filter(word => word.startsWith('E'))
const tried = named.length > 0 ? named : errors
const names = words.filter(word => !word.startsWith('E'))
for (const [who, user] of users) {
  for (const scene of compares ? bubblewrap(user) : stages(user).flatMap(({ all }) => all)) {
    const outcomes = await sweep(scene, tried, names)
    if (outcomes.length === 0) continue
    for (const line of told(`${who}, ${scene.name}`, outcomes, tried)) console.log(line)
    // Bubblewrap's own are not ours to mend.
    if (compares) continue
    const findings = findingsIn(outcomes)
    for (const finding of findings) console.log(finding)
    if (findings.length > 0) process.exitCode = 1
  }
}
