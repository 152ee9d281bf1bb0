import { type Difference, differenceOf, type SettingDifference } from '../container/difference.js'
import { requireGeneration } from '../container/history.js'
import { openStores } from '../launch/open-store.js'
import { storeOf } from '../store/stores.js'
import { visibleText } from './report.js'
import { parseGeneration } from './rollback.js'

/** `appc diff NAME G1 G2`: 0 where they are the same, 1 where they differ, as diff(1) has it. */
export function runDiff(name: string, before: string, after: string, { json }: { readonly json: boolean }): number {
  const store = storeOf(openStores(process.env), name)
  const [old, now] = [before, after].map(number => requireGeneration(store, name, parseGeneration(number)))
  if (old === undefined || now === undefined) return 1
  const difference = differenceOf(store, old, now)
  const answer = { schema: 'appc.diff/1', name, before: old.number, after: now.number, ...difference }
  const lines = textOf(difference)
  if (json) process.stdout.write(`${JSON.stringify(answer)}\n`)
  else if (lines.length > 0) process.stdout.write(`${visibleText(lines.join('\n'))}\n`)
  return lines.length === 0 ? 0 : 1
}

function textOf({ packages, files, settings, environment, state }: Difference): readonly string[] {
  const listed = (sign: string, paths: readonly string[]) => paths.map(path => `${sign} ${path}`)
  return [
    ...packages.map(({ name, before, after }) => `package ${name}: ${before ?? 'none'} -> ${after ?? 'none'}`),
    ...listed('+', files.added),
    ...listed('-', files.removed),
    ...listed('~', files.changed),
    ...environment.map(({ name, before, after }) => `variable ${name}: ${before ?? 'unset'} -> ${after ?? 'unset'}`),
    ...state.added.map(path => `state ${path}: added`),
    ...state.removed.map(path => `state ${path}: removed`),
    ...settings.flatMap(settingLines),
  ]
}

function settingLines({ path, change, text }: SettingDifference): readonly string[] {
  return [`setting ${path}: ${change}`, ...(text === null ? [] : text.trimEnd().split('\n'))]
}
