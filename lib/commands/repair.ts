import { openStoresToMend, requireToMend } from '../launch/open-store.js'
import { type Left, type Mended, type Repaired, repair } from '../launch/repair.js'
import type { Problem } from '../upkeep/problems.js'
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
  const hints = new Set(left.flatMap(hintsOf))
  for (const { name, path } of left.flatMap(({ settings }) => settings).slice(0, SETTINGS))
    hints.add(`a setting can be set anew, with the bytes that it had: appc settings ${name} set ${path} FILE`)
  if (holders > 0) hints.add('restart these programs')
  return hints.size === 0 ? '' : `hint: ${visibleLines([...hints]).replaceAll('\n', '\n      ')}\n`
}

/** Where nothing of it is left but a plan, there is nothing to remove. */
const REF =
  'of a container whose ref and its second copy are lost nothing is known: appc remove NAME, where appc list has it, and pack it again'

/** By the kind of what was left. */
const HINTS: Partial<Record<Problem['kind'], string>> = {
  secret:
    'set a lost secret anew (appc settings NAME set PATH FILE), and forget the generations that had it: appc gc --keep 1',
  owner: 'have root give back what is somebody else’s: chown',
  directory: 'where a link stands for a directory, put the directory itself there',
  policy: 'mend policy.json, or remove it, and this host has no policy',
  ref: REF,
  spare: REF,
  stray: 'move what has such a name away yourself',
}

const TREE = 'a tree that has the right files helps: appc repair --from DIR'
const PACK = 'packing the container again from its source mends it, too'

function hintsOf({ problem: { kind, path, object }, settings }: Left): readonly string[] {
  if (kind === 'type' && object === null) return [`put right by hand what is at ${path}`]
  const hint = HINTS[kind]
  if (hint !== undefined) return [hint]
  return settings.length > 0 ? [TREE] : [TREE, PACK]
}
