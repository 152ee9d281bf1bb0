import { type Checked, checkLoader, NO_BUSINESS } from './check-loader.js'

/** What scripts/check-loader runs: checks the root trees that are named, tells of each, and fails where one is not exact. */

/** The share of files that may stay out for reasons of their own. */
const MAY_STAY_OUT = 0.01

let failed = false
for (const root of process.argv.slice(2)) {
  const checked = await checkLoader(root)
  tell(checked)
  const others = othersOf(checked)
  if (checked.different.length > 0 || others.length > MAY_STAY_OUT * (checked.elfFiles - businessless(checked).length))
    failed = true
}
process.exitCode = failed ? 1 : 0

function tell(checked: Checked): void {
  const { root, version, elfFiles, same, different, leftOut, milliseconds } = checked
  const print = (text: string) => process.stdout.write(`${text}\n`)
  const seconds = (time: number) => `${(time / 1000).toFixed(1)} s`
  print(`${root}: glibc ${version}, ${elfFiles} ELF files`)
  print(
    `  compared ${same + different.length}, same ${same}, different ${different.length}` +
      ` (resolved in ${seconds(milliseconds.resolving)}, asked in ${seconds(milliseconds.asking)})`,
  )
  print(
    `  among them ${checked.libraries} libraries loaded; files with a missing library: ${checked.withMissingLibrary},` +
      ` with a missing version: ${checked.withMissingVersion}, refused: ${checked.withRefusal}`,
  )
  for (const { file, differences } of different) for (const text of differences) print(`  DIFFERENT ${file}: ${text}`)
  const reasons = [...new Set(leftOut.map(({ reason }) => reason))].sort()
  const counts = reasons.map(reason => `${reason} ${leftOut.filter(left => left.reason === reason).length}`)
  print(`  left out: ${counts.join(', ') || 'none'}`)
  for (const { file, reason, because } of othersOf(checked)) print(`  LEFT OUT ${file} (${reason}): ${because}`)
}

function businessless({ leftOut }: Checked) {
  return leftOut.filter(({ reason }) => NO_BUSINESS.includes(reason))
}

function othersOf({ leftOut }: Checked) {
  return leftOut.filter(({ reason }) => !NO_BUSINESS.includes(reason))
}
