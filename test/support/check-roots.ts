import { type Checked, checkLoader, NO_BUSINESS } from './check-loader.js'

/*
 * What scripts/check-loader runs. Each argument is a root whose files its own loader judges, or ROOT:DIRECTORY for the files below
 * that directory alone. Tells of each, and exits 1 where one is not exact or too much of it was left out.
 */

/** The share of a root's dynamic files that may be left out for reasons of their own. */
const MAY_BE_LEFT_OUT = 0.01

for (const argument of process.argv.slice(2)) {
  const [root = '/', directory] = argument.split(':')
  const checked = await checkLoader(root, directory === undefined ? {} : { directories: [directory] })
  tell(argument, checked)
  const { different, elfFiles, leftOut } = checked
  const dynamic = elfFiles - (leftOut.length - othersOf(checked).length)
  if (different.length > 0 || othersOf(checked).length > MAY_BE_LEFT_OUT * dynamic) process.exitCode = 1
}

function tell(name: string, checked: Checked): void {
  const { version, elfFiles, same, different, leftOut, milliseconds } = checked
  const print = (text: string) => process.stdout.write(`${text}\n`)
  const seconds = (time: number) => `${(time / 1000).toFixed(1)} s`
  print(`${name}: glibc ${version}, ${elfFiles} ELF files`)
  print(`  compared ${same + different.length}: ${same} the same, ${different.length} different`)
  print(
    `  with ${checked.libraries} libraries; something was missing for ${checked.withMissingLibrary} files,` +
      ` a version for ${checked.withMissingVersion}, refused were ${checked.withRefusal}`,
  )
  print(`  resolved in ${seconds(milliseconds.resolving)}, the loader asked in ${seconds(milliseconds.asking)}`)
  for (const { file, differences } of different) for (const text of differences) print(`  DIFFERENT ${file}: ${text}`)
  const reasons = [...new Set(leftOut.map(({ reason }) => reason))].sort()
  const counts = reasons.map(reason => `${reason} ${leftOut.filter(left => left.reason === reason).length}`)
  print(`  left out: ${counts.join(', ') || 'none'}`)
  for (const { file, reason, because } of leftOut) {
    if (reason === 'foreign' || !NO_BUSINESS.includes(reason)) print(`  LEFT OUT ${file} (${reason}): ${because}`)
  }
}

function othersOf({ leftOut }: Checked) {
  return leftOut.filter(({ reason }) => !NO_BUSINESS.includes(reason))
}
