import type { LibraryCandidate } from '../decide/candidates.js'
import { AppcError } from '../errors.js'
import {
  type Comparison,
  compareHosts,
  type LibrarySide,
  type Mended,
  type Pair,
  type Remedy,
} from '../launch/compare.js'
import { hostNamed } from '../launch/hosts.js'
import { openStores } from '../launch/open-store.js'
import { factsOf } from '../launch/remembered-facts.js'
import { storeOf } from '../store/stores.js'
import { travelText } from './plan.js'
import { human, visibleLines } from './report.js'

/** `appc plan NAME --diff HOST1 HOST2`: 0 when the container can run on both, 1 when it cannot on one. */
export function runPlanDiff(name: string, words: readonly string[], { json }: { readonly json: boolean }): number {
  const [one, other, ...more] = words
  if (one === undefined || other === undefined || more.length > 0)
    throw new AppcError('USAGE', `--diff compares two hosts, and ${words.length} were named`, {
      hint: 'the container comes first: appc plan NAME --diff HOST1 HOST2',
    })
  const stores = openStores(process.env)
  const store = storeOf(stores, name)
  const facts = factsOf(stores.own)
  const comparison = compareHosts(store, name, [hostNamed(store, facts, one), hostNamed(store, facts, other)])
  process.stdout.write(`${json ? asJson(comparison, [one, other]) : visibleLines(asText(comparison, [one, other]))}\n`)
  return comparison.hosts.every(({ runnable }) => runnable) ? 0 : 1
}

function asJson({ container, hosts, libraries, packages }: Comparison, words: Pair<string>): string {
  return JSON.stringify({
    schema: 'appc.plan-diff/1',
    container: { name: container.name, digest: container.digest },
    hosts: hosts.map((host, at) => ({ host: words[at], ...host })),
    libraries,
    packages,
  })
}

function asText({ container, hosts, libraries, packages }: Comparison, words: Pair<string>): readonly string[] {
  const lines = hosts.map(
    ({ os, runnable, travel }, at) =>
      `${container.name} on ${words[at]}${os === null ? '' : ` (${os})`}: ${runnable ? 'runs' : 'cannot run'}; ${travelText(travel)}`,
  )
  lines.push('', libraries.length + packages.length === 0 ? 'nothing is chosen differently' : 'chosen differently:')
  for (const { soname, choices } of libraries)
    lines.push(`  ${soname}`, ...choices.flatMap((side, at) => libraryLines(side, words[at] as string)))
  for (const { name, choices } of packages)
    lines.push(
      `  package ${name}`,
      ...choices.map(({ choice, reasons }, at) => `    ${words[at]}: ${choice}, as ${reasons[0]?.text}`),
    )
  for (const [at, { problems }] of hosts.entries()) {
    const [here, there] = [words[at] as string, words[1 - at] as string]
    if (problems.length > 0) lines.push('', `on ${here}:`)
    for (const problem of problems) lines.push(...problemLines(problem, here, there))
  }
  return lines
}

function libraryLines(side: LibrarySide | null, host: string): readonly string[] {
  if (side === null) return [`    ${host}: not loaded`]
  const { choice, reasons, file } = side
  const why = choice === 'private' ? reasons.slice(0, 1) : reasons
  const line = `    ${host}: ${choice}, as ${why.map(({ text }) => text).join('; ')}`
  return file === null ? [line] : [line, `      made good by the container's ${fileText(file)}`]
}

function problemLines({ kind, text, remedies }: Mended, here: string, there: string): readonly string[] {
  return [`  ${kind}: ${text}`, ...remedies.map(remedy => `    remedy: ${remedyText(remedy, here, there)}`)]
}

function remedyText(remedy: Remedy, here: string, there: string): string {
  switch (remedy.kind) {
    case 'private':
      return `the container's ${fileText(remedy.file)}, where nothing keeps it shared`
    case 'include':
      return `${fileText(remedy.file)}, of ${there}: to be packed there with --include ${remedy.file.path}`
    case 'install':
      return `install ${remedy.package} on ${here}`
  }
}

function fileText({ path, bytes, package: pkg }: LibraryCandidate): string {
  return `${path} (${pkg === null ? 'of no package' : `${pkg.name} ${pkg.version}`}, ${human(bytes)})`
}
