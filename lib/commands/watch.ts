import { AppcError } from '../errors.js'
import { addon } from '../launch/addon.js'
import { openStoresToMend } from '../launch/open-store.js'
import { type Damage, type Watched, watch } from '../launch/watch.js'
import type { Problem } from '../upkeep/problems.js'
import { visible } from './report.js'

export interface WatchCommandOptions {
  readonly from: readonly string[]
  readonly json: boolean
}

/** `appc watch`: until SIGTERM or SIGINT. */
export async function runWatch({ from, json }: WatchCommandOptions): Promise<number> {
  const stores = openStoresToMend(process.env)
  const ending = new AbortController()
  const end = () => ending.abort()
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, end)
  // Nobody reads what it tells any more.
  process.stdout.once('error', end)
  const { home } = stores.own
  await watch(stores, {
    from,
    signal: ending.signal,
    ready: watched => {
      process.stdout.write(json ? line({ event: 'watching', store: home, ...watched }) : watchingText(home, watched))
      tellManager()
    },
    tell: damage => process.stdout.write(json ? asJson(damage) : `${visible(damageText(damage))}\n`),
  })
  return 0
}

/** sd_notify(3): a unit of Type=notify is active from then on. */
function tellManager(): void {
  const socket = process.env.NOTIFY_SOCKET
  if (!socket) return
  try {
    addon().sendDatagram(socket, 'READY=1')
  } catch (cause) {
    throw new AppcError('USAGE', 'the service manager cannot be told that appc watches', {
      because: cause instanceof Error ? cause.message : String(cause),
      hint: 'NOTIFY_SOCKET is to name its socket, or not to be set',
      cause,
    })
  }
}

function line(object: object): string {
  return `${JSON.stringify({ schema: 'appc.watch/1', at: new Date().toISOString(), ...object })}\n`
}

function asJson({ problem, mended, ...rest }: Damage): string {
  return line({ event: mended === null ? 'left' : 'mended', ...problem, ...mended, ...rest })
}

function watchingText(home: string, { method, objects, directories }: Watched): string {
  return `watching ${visible(home)} by ${method}: ${objects} objects, ${directories} directories\n`
}

/** As much of a command is told to people. */
const COMMAND = 60

/** In one line, as logs have it. */
function damageText({ problem, mended, origins, culprits, holders, milliseconds }: Damage): string {
  const { kind, path, because } = problem
  const process = (pid: number, command: string | null) => `process ${pid} (${command?.slice(0, COMMAND) ?? 'ended'})`
  return [
    `${kind}: ${path}: ${because}${neededText(problem)}`,
    mended === null ? leftText(origins) : mendedText(mended, milliseconds),
    ...(culprits.length === 0
      ? []
      : [`changed by ${culprits.map(({ pid, command }) => process(pid, command)).join(', ')}`]),
    ...holders.map(({ pid, command, container }) => {
      const of = container === null ? '' : ` of ${container}`
      return `${process(pid, command)}${of} goes on with what was damaged`
    }),
  ].join('; ')
}

function neededText({ neededBy: [first, ...others] }: Problem): string {
  if (first === undefined) return ''
  const more = others.length === 0 ? '' : ` and in ${others.length} more places`
  return `, needed by ${first.name}${first.path === null ? '' : ` as ${first.path}`}${more}`
}

function mendedText({ how, source, evidence }: NonNullable<Damage['mended']>, milliseconds: number | null): string {
  const time = milliseconds === null ? '' : ` in ${milliseconds} ms`
  const from = source === null ? '' : `: ${source}`
  return `mended${time}, ${how}${from}${evidence === null ? '' : `, what was damaged is ${evidence}`}`
}

function leftText(origins: readonly string[]): string {
  const from = origins.length === 0 ? '' : `, it could come from ${origins.join(', or ')} by appc repair --from DIR`
  return `not mended${from}`
}
