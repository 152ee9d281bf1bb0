import type { LibraryCandidate } from '../decide/candidates.js'
import type { Decision, Host } from '../decide/types.js'
import { type Explanation, explainLibrary, type Otherwise } from '../launch/explain.js'
import { hostOfFile } from '../launch/hosts.js'
import { decideHere } from '../launch/machine.js'
import { openStores } from '../launch/open-store.js'
import { type Decided, decideContainer } from '../launch/prepare.js'
import { factsOf } from '../launch/remembered-facts.js'
import { storeOf } from '../store/stores.js'
import { human, visibleLines } from './report.js'

interface ExplainOptions {
  readonly root: string
  readonly json: boolean
  readonly host?: string
}

/** `appc explain`: 0 when the container can run on this host, 1 when it cannot, as `plan`. */
export function runExplain(
  name: string,
  soname: string | undefined,
  { root, json, host: file }: ExplainOptions,
): number {
  const stores = openStores(process.env)
  const store = storeOf(stores, name)
  const facts = factsOf(stores.own)
  const elsewhere = file === undefined ? null : hostOfFile(file)
  const decided = <T extends Decided>(decide: (host: Host) => T): T =>
    elsewhere === null ? decideHere(store, root, facts, decide) : elsewhere.within(() => decide(elsewhere.host))
  if (soname === undefined) {
    const { container, decision } = decided(host => decideContainer(store, name, host))
    const { libraries, packages, problems, runnable } = decision
    const all = {
      schema: 'appc.explain/1',
      container: container.name,
      runnable,
      libraries: libraries.map(asked),
      packages,
      problems,
    }
    process.stdout.write(`${json ? JSON.stringify(all) : visibleLines(overview(decision))}\n`)
    facts.save()
    return runnable ? 0 : 1
  }
  const explained = decided(host => explainLibrary(store, name, soname, host))
  facts.save()
  const { container, decision, choice, candidates, other } = explained
  const one = {
    schema: 'appc.explain/1',
    container: container.name,
    runnable: decision.runnable,
    ...asked(choice),
    candidates,
    other,
  }
  process.stdout.write(`${json ? JSON.stringify(one) : visibleLines(asText(explained))}\n`)
  return decision.runnable ? 0 : 1
}

function asked({ soname, choice, path, bytes, reasons, askedBy }: Explanation['choice']): object {
  return { soname, choice, path, bytes, reasons, askedBy }
}

/** Every library with the rule and the sentence that decided. */
function overview({ libraries, packages, problems }: Decision): readonly string[] {
  const lines: string[] = []
  for (const { soname, choice, reasons } of libraries) {
    const [first] = choice === 'private' ? reasons : reasons.slice(-1)
    lines.push(`${soname}: ${choice}`, ...(first === undefined ? [] : [`  ${first.rule}: ${first.text}`]))
  }
  for (const { name, choice, reasons } of packages)
    if (choice === 'private') lines.push(`package ${name}: private`, `  ${reasons[0]?.rule}: ${reasons[0]?.text}`)
  return [...lines, ...problems.map(({ kind, text }) => `${kind}: ${text}`)]
}

function asText({ choice, candidates, other }: Explanation): readonly string[] {
  const { soname, askedBy, reasons } = choice
  return [
    `${soname}: ${choice.choice}, ${choice.path}`,
    ...reasons.map(({ rule, text }) => `  ${rule}: ${text}`),
    '',
    `asked for by: ${askedBy.length === 0 ? 'nobody here; it goes with its family' : ''}`.trimEnd(),
    ...askedBy.map(({ by, versions }) => `  ${by}${versions.length === 0 ? '' : `: ${versions.join(', ')}`}`),
    '',
    `the host has:      ${candidateText(candidates.host)}`,
    `the container has: ${candidateText(candidates.container)}`,
    '',
    ...otherText(choice.choice === 'shared' ? 'private' : 'shared', other),
  ]
}

function candidateText(candidate: LibraryCandidate | null): string {
  if (candidate === null) return 'none'
  const { path, bytes, package: pkg, versions } = candidate
  const from = pkg === null ? 'of no package' : `of ${pkg.name} ${pkg.version}`
  const defines = versions.length === 0 ? 'without versions' : `up to ${versions.at(-1)}`
  return `${path}, ${human(bytes)}, ${from}, ${defines}`
}

function otherText(choice: string, other: Otherwise | null): readonly string[] {
  if (other === null) return [`it cannot be ${choice}: there is no other library of this name`]
  const { runnable, problems, changed, bytes } = other
  const more = `${bytes < 0 ? '-' : '+'}${human(Math.abs(bytes))} private`
  const others = changed.length === 0 ? '' : `; then ${changed.join(', ')} would change too`
  if (runnable && problems.length === 0) return [`it could be ${choice} by a policy: ${more}${others}`]
  return [
    `were it ${choice} by a policy${runnable ? `, ${more}${others}` : ', it could not run'}:`,
    ...problems.map(text => `  ${text}`),
  ]
}
