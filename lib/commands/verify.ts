import { AppcError } from '../errors.js'
import { openStoresToMend, storeToVerify } from '../launch/open-store.js'
import { verify } from '../launch/verify.js'
import type { Problem } from '../upkeep/problems.js'
import type { Verified } from '../upkeep/verify.js'
import { progressLine } from './progress.js'
import { human, visibleLines } from './report.js'

export interface VerifyCommandOptions {
  readonly full: boolean
  readonly restart: boolean
  readonly maxRate?: string
  readonly json: boolean
}

/** As of a process that SIGINT has ended. */
export const INTERRUPTED = 130

/** `appc verify`: 1 when something is corrupt. */
export async function runVerify(name: string | undefined, options: VerifyCommandOptions): Promise<number> {
  const { full, restart, json } = options
  if (restart && !full)
    throw new AppcError('USAGE', '--restart is about --full checks', { hint: 'appc verify --full --restart' })
  const maxRate = options.maxRate === undefined ? undefined : bytesIn(options.maxRate)
  const stores = openStoresToMend(process.env)
  const store = storeToVerify(stores, name)
  const interruption = new AbortController()
  const interrupt = () => interruption.abort()
  process.once('SIGINT', interrupt)
  const line = progressLine()
  try {
    const { signal } = interruption
    const verified = await verify(store, { name, full, restart, maxRate, signal, progress: line.show })
    line.clear()
    process.stdout.write(json ? asJson(store.home, verified, name, full) : asText(verified, full))
    if (verified.complete) return verified.problems.length === 0 ? 0 : 1
    process.stderr.write(`appc: interrupted${full ? '; the next appc verify --full goes on' : ''}\n`)
    return INTERRUPTED
  } finally {
    process.off('SIGINT', interrupt)
  }
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 }

/** Throws USAGE. */
export function bytesIn(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text) ?? []
  const bytes = Number(number) * (UNITS[unit.toLowerCase()] as number)
  if (bytes >= 1) return bytes
  throw new AppcError('USAGE', `${JSON.stringify(text)} is no rate`, {
    because: 'it is bytes a second, which may end in k, M or G',
    hint: 'for example --max-rate 50M',
  })
}

function asJson(store: string, verified: Verified, name: string | undefined, full: boolean): string {
  const { problems, ...counts } = verified
  const summary = { schema: 'appc.verify/1', store, name: name ?? null, full, ...counts, problems: problems.length }
  const lines = [...problems.map(problem => ({ schema: 'appc.problem/1', ...problem })), summary]
  return lines.map(line => `${JSON.stringify(line)}\n`).join('')
}

function asText({ problems, objects, bytes, hashed, resumed, complete }: Verified, full: boolean): string {
  const count = `${objects} ${objects === 1 ? 'object' : 'objects'}, ${human(bytes)}`
  const read = `${hashed.objects} read${full ? ' from the disk' : ''}, ${human(hashed.bytes)}`
  const since = resumed === null ? '' : `, going on with what began at ${new Date(resumed * 1000).toISOString()}`
  const verdict = problems.length > 0 ? `${problems.length} wrong` : complete ? 'sound' : 'nothing wrong so far'
  const lines = [...problems.flatMap(problemText), `${verdict}: ${count} (${read}${since})`]
  const hint = problems.length === 0 ? '' : 'hint: appc repair mends what can be mended\n'
  return `${visibleLines(lines)}\n${hint}`
}

/** How many of the places in which something is needed are told. */
const PLACES = 3

export function problemText({ kind, path, because, neededBy }: Problem): readonly string[] {
  const places = neededBy.slice(0, PLACES).map(({ name, path }) => (path === null ? name : `${name} as ${path}`))
  const more = neededBy.length > PLACES ? [`${neededBy.length - PLACES} more`] : []
  const needed = neededBy.length === 0 ? [] : [`  needed by ${[...places, ...more].join(', ')}`]
  return [`${kind}: ${path}: ${because}`, ...needed]
}
