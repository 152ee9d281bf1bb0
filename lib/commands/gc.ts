import { AppcError } from '../errors.js'
import { collect } from '../launch/garbage.js'
import { openStores } from '../launch/open-store.js'
import type { Garbage } from '../upkeep/garbage.js'
import { human, visibleLines } from './report.js'

export interface GcOptions {
  readonly keep?: string
  readonly grace: string
  readonly dryRun: boolean
  readonly json: boolean
}

/** `appc gc`: 1 where it cannot be told what a container needs, and so nothing is collected. */
export function runGc({ keep, grace, dryRun, json }: GcOptions): number {
  const hours = count('--grace', grace, 0)
  const request = { keep: keep === undefined ? null : count('--keep', keep, 1), grace: hours * 3_600_000, dryRun }
  const garbage = collect(openStores(process.env), request)
  const answer = { schema: 'appc.gc/1', dryRun, ...garbage }
  process.stdout.write(`${json ? JSON.stringify(answer) : visibleLines(textOf(garbage, dryRun, hours))}\n`)
  return garbage.unreadable.length === 0 ? 0 : 1
}

function textOf(garbage: Garbage, dryRun: boolean, hours: number): readonly string[] {
  const { generations, plans, views, objects, secrets, bytes, freed, unreadable, unseen } = garbage
  if (unreadable.length > 0)
    return [
      `nothing is collected: it cannot be told what is needed by ${unreadable.join(', ')}`,
      'appc repair mends them, or appc remove removes them',
    ]
  const parts = [
    counted(generations.length, 'generation'),
    counted(plans.length, 'plan'),
    counted(views.length, 'view'),
    counted(objects, 'object'),
    counted(secrets, 'secret'),
  ].filter(part => part !== null)
  const kept = unseen.length === 0 ? [] : [`views stay: it cannot be told what is used by process ${unseen.join(', ')}`]
  if (parts.length === 0 && freed === 0) return ['nothing to collect', ...kept]
  const [taken, free] = dryRun ? ['would take', 'would free'] : ['took', 'freed']
  const later = hours === 0 ? '' : `, which ${dryRun ? 'would go' : 'go'} for good after ${hours} h`
  return [
    ...(parts.length === 0 ? [] : [`${taken} out ${parts.join(', ')}: ${human(bytes)}${later}`]),
    ...(freed === 0 ? [] : [`${free} ${human(freed)}`]),
    ...kept,
  ]
}

function counted(count: number, what: string): string | null {
  return count === 0 ? null : `${count} ${what}${count === 1 ? '' : 's'}`
}

function count(option: string, text: string, least: number): number {
  if (/^[0-9]{1,6}$/.test(text) && Number(text) >= least) return Number(text)
  throw new AppcError('USAGE', `${option} ${JSON.stringify(text)} is no number`, {
    because: `it takes a whole number from ${least}`,
    hint: `for example ${option} ${least + 1}`,
  })
}
