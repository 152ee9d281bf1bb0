import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { campaign } from './campaign.js'
import { KIND_NAMES } from './kind-names.js'
import { elfSamples } from './samples.js'
import type { Slowest } from './worker.js'

/** The command behind scripts/fuzz-readers; the test of the readers runs a short one. Exits 1 when a reader broke its promise. */
const MAX_MEMORY = 256 * 1024 * 1024

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string' },
      seed: { type: 'string' },
      input: { type: 'string' },
      'only-random': { type: 'boolean', default: false },
    },
  })
  const [kind = null, own] = values.input?.split(':') ?? []
  const seed = Number(own ?? values.seed ?? randomInt(2 ** 32))
  const inputs = values.input === undefined ? Number(values.inputs ?? 1_000_000) : 1
  if (!Number.isInteger(seed) || !Number.isInteger(inputs) || (kind !== null && !KIND_NAMES.includes(kind))) {
    throw new Error(`usage: [--inputs N] [--seed S] [--only-random] | --input KIND:SEED, of ${KIND_NAMES.join(', ')}`)
  }
  say(`${inputs} inputs, seed ${seed}`)
  const samples = elfSamples()
  const start = performance.now()
  const rate = (done: number) => `${Math.round((done * 1000) / (performance.now() - start))} inputs/s`
  const result = await campaign({ seed, inputs, kind, known: !values['only-random'], samples }, KIND_NAMES, done =>
    say(`${done}, ${rate(done)}`),
  )
  say(
    `${result.done} inputs, ${rate(result.done)}`,
    `slowest ${told(result.slowest, 1, 'ms')}, most memory for one ${told(result.largest, 2 ** 20, 'MiB')}`,
    `peak of the process ${Math.round(result.peakMemory / 2 ** 20)} MiB`,
    ...result.failures.map(failure => `FAILED: ${failure}`),
  )
  if (result.peakMemory > MAX_MEMORY) say('FAILED: that is too much memory')
  if (result.failures.length > 0 || result.peakMemory > MAX_MEMORY) {
    say(`seed ${seed}; what failed is run again by: scripts/fuzz-readers --input KIND:SEED`)
    process.exitCode = 1
  }
}

function told(extreme: Slowest | null, unit: number, name: string): string {
  return extreme === null ? 'unknown' : `${(extreme.value / unit).toFixed(1)} ${name} (${extreme.kind}:${extreme.seed})`
}

function say(...lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`fuzz-readers: ${line}\n`)
}

await main()
