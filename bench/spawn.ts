import { type ChildProcess, spawn as spawnBare } from 'node:child_process'
import { once } from 'node:events'
import { spawn } from '../lib/index.js'

/*
 * spawn CONTAINER PROGRAM RUNS USER: how long it takes from spawn() to `exit`, of node:child_process with the program and of the API
 * with the container that holds it, in turn in one process. Prints rows as bench/launch does.
 */
const [container = '', program = '', runs = '250', user = ''] = process.argv.slice(2)

async function timed(start: () => ChildProcess, awaits: boolean): Promise<number> {
  const began = performance.now()
  const child = start()
  if (awaits) await once(child, 'spawn')
  const [status] = await once(child, 'exit')
  if (status !== 0) throw new Error(`it exited with ${status}`)
  return performance.now() - began
}

const bareWay = () => spawnBare(program, { stdio: 'ignore' })
const way = () => spawn(container, [], { stdio: 'ignore' })
// Each alone, and awaited by its event `spawn` first: the API's tells that the program was executed, Node's that it was tried.
const ways: Readonly<Record<string, readonly [start: () => ChildProcess, awaits: boolean]>> = {
  'node:spawn': [bareWay, false],
  'appc:spawn': [way, false],
  '… awaited': [way, true],
}
const times = new Map<string, number[]>(Object.keys(ways).map(name => [name, []]))
for (let run = -10; run < Number(runs); run++) {
  for (const [name, [start, awaits]] of Object.entries(ways)) {
    const time = await timed(start, awaits)
    if (run >= 0) times.get(name)?.push(time)
  }
}
let bare = 0
for (const [name, all] of times) {
  const median = all.sort((a, b) => a - b)[all.length >> 1] as number
  bare ||= median
  const cells = [`${median.toFixed(2)} ms`, (median / bare).toFixed(2)].map(cell => cell.padStart(9))
  console.log([user.padEnd(10), 'from Node'.padEnd(24), name.padEnd(10), ...cells].join(''))
}
