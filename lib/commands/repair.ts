import { openStoresToMend, requireToMend } from '../launch/open-store.js'
import { type Left, type Mended, type Repaired, repair } from '../launch/repair.js'
import { progressLine } from './progress.js'
import { human, visibleLines } from './report.js'
import { bytesIn, INTERRUPTED, problemText } from './verify.js'

export interface RepairCommandOptions {
  readonly from: readonly string[]
  readonly full: boolean
  readonly dryRun: boolean
  readonly maxRate?: string
  readonly json: boolean
}

/** `appc repair`: 1 when something is left that could not be mended. */
export async function runRepair(name: string | undefined, options: RepairCommandOptions): Promise<number> {
  const { from, full, dryRun, json } = options
  const maxRate = options.maxRate === undefined ? undefined : bytesIn(options.maxRate)
  const stores = openStoresToMend(process.env)
  requireToMend(stores, name)
  const interruption = new AbortController()
  const interrupt = () => interruption.abort()
  process.once('SIGINT', interrupt)
  const line = progressLine()
  try {
    const { signal } = interruption
    const repaired = await repair(stores, { name, from, full, dryRun, maxRate, signal, progress: line.show })
    line.clear()
    process.stdout.write(json ? asJson(repaired, dryRun) : asText(repaired, dryRun))
    if (!repaired.complete) process.stderr.write('appc: interrupted\n')
    return repaired.complete ? (repaired.left.length === 0 ? 0 : 1) : INTERRUPTED
  } finally {
    process.off('SIGINT', interrupt)
  }
}

function asJson({ mended, left, holders, bytesRead, complete }: Repaired, dryRun: boolean): string {
  const lines = [
    ...mended.map(({ problem, ...how }) => ({ schema: 'appc.mended/1', ...problem, ...how })),
    ...left.map(({ problem, origins }) => ({ schema: 'appc.problem/1', ...problem, origins })),
    ...holders.map(({ pid, command, paths }) => ({ schema: 'appc.holder/1', pid, command, paths })),
    { schema: 'appc.repair/1', dryRun, complete, mended: mended.length, left: left.length, bytesRead },
  ]
  return lines.map(line => `${JSON.stringify(line)}\n`).join('')
}

/** As much of a command is told to people. */
const COMMAND = 60

function asText({ mended, left, holders, bytesRead, complete }: Repaired, dryRun: boolean): string {
  const counts = [
    `${mended.length} ${dryRun ? 'can be mended' : 'mended'}`,
    `${left.length} left`,
    `${human(bytesRead)} read from sources`,
  ]
  const lines = [
    ...mended.flatMap(mendedText),
    ...left.flatMap(leftText),
    ...holders.map(
      ({ pid, command, paths }) =>
        `process ${pid} (${command.slice(0, COMMAND)}) goes on with what was damaged: ${paths.join(', ')}`,
    ),
    mended.length + left.length === 0 ? (complete ? 'nothing to mend' : 'nothing wrong so far') : counts.join(', '),
  ]
  return `${visibleLines(lines)}\n${hintFor(left, holders.length)}`
}

function mendedText({ problem, how, source, evidence }: Mended): readonly string[] {
  return [
    ...problemText(problem),
    `  ${how}${source === null ? '' : `: ${source}`}`,
    ...(evidence === null ? [] : [`  what was damaged: ${evidence}`]),
  ]
}

function leftText({ problem, origins }: Left): readonly string[] {
  return [...problemText(problem), ...(origins.length === 0 ? [] : [`  it could come from ${origins.join(', or ')}`])]
}

/** For so many settings it is told how they are mended. */
const SETTINGS = 3

function hintFor(left: readonly Left[], holders: number): string {
  const kinds = left.map(({ problem }) => problem.kind)
  const [isSecretLeft, isOwnerLeft] = [kinds.includes('secret'), kinds.includes('owner')]
  const isLinkLeft = kinds.includes('directory')
  const others = left.filter(({ problem: { kind } }) => kind !== 'secret' && kind !== 'owner' && kind !== 'directory')
  const settings = left.flatMap(({ settings }) => settings)
  const hints = [
    ...(others.length === 0 ? [] : ['a tree that has the right files helps: appc repair --from DIR']),
    ...(others.every(({ settings }) => settings.length > 0)
      ? []
      : ['packing the container again from its source mends it, too']),
    ...settings
      .slice(0, SETTINGS)
      .map(
        ({ name, path }) =>
          `a setting can be set anew, with the bytes that it had: appc settings ${name} set ${path} FILE`,
      ),
    ...(isSecretLeft
      ? [
          'set a lost secret anew (appc settings NAME set PATH FILE), and forget the generations that had it: appc gc --keep 1',
        ]
      : []),
    ...(isOwnerLeft ? ['have root give back what is somebody else’s: chown'] : []),
    ...(isLinkLeft ? ['where a link stands for a directory, put the directory itself there'] : []),
    ...(holders === 0 ? [] : ['restart these programs']),
  ]
  return hints.length === 0 ? '' : `hint: ${hints.join('\n      ')}\n`
}
