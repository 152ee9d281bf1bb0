import type { LibraryChoice } from '../decide/types.js'
import { hostFor } from '../launch/machine.js'
import { openStore } from '../launch/open-store.js'
import { type Decided, decideContainer } from '../launch/prepare.js'
import { factsOf } from '../launch/remembered-facts.js'
import { takeStockOf } from '../launch/stock.js'
import { human, visibleLines } from './report.js'

interface Totals {
  readonly shared: { readonly libraries: number; readonly bytes: number }
  readonly private: { readonly libraries: number; readonly bytes: number }
}

/** `appc plan`: 0 when the container can run on this host, 1 when it cannot. */
export function runPlan(name: string, { json, root }: { readonly json: boolean; readonly root: string }): number {
  const store = openStore(process.env)
  const facts = factsOf(store)
  const decided = decideContainer(store, name, hostFor(store, root, process.env, facts))
  facts.save()
  const { digest, os } = takeStockOf(store, root)
  const totals = totalsOf(decided.decision.libraries)
  const text = json
    ? asJson(decided, { id: digest, os: os?.name ?? null }, totals)
    : asText(decided, os?.name ?? 'this host', totals)
  process.stdout.write(`${text}\n`)
  return decided.decision.runnable ? 0 : 1
}

function asJson({ container, decision }: Decided, host: { id: string; os: string | null }, totals: Totals): string {
  return JSON.stringify({
    schema: 'appc.plan/1',
    container: { name: container.name, digest: container.digest },
    host,
    runnable: decision.runnable,
    libraries: decision.libraries.map(({ soname, choice, path, bytes, reasons }) => ({
      soname,
      choice,
      path,
      bytes,
      reasons,
    })),
    totals,
    problems: decision.problems,
  })
}

function asText({ container, decision }: Decided, os: string, totals: Totals): string {
  const lines = [`${container.name} on ${os}: ${decision.runnable ? 'runs' : 'cannot run'}`]
  for (const choice of ['shared', 'private'] as const) {
    const libraries = decision.libraries.filter(library => library.choice === choice)
    if (libraries.length === 0) continue
    lines.push('', `${choice}: ${counted(totals[choice])}`)
    for (const library of libraries) lines.push(...libraryLines(library))
  }
  const packages = decision.packages.filter(pkg => pkg.choice === 'private')
  if (packages.length > 0) lines.push('', 'private packages (programs and data):')
  for (const { name, reasons } of packages) lines.push(`  ${name}: ${reasons[0]?.text ?? ''}`)
  if (decision.problems.length > 0) lines.push('')
  for (const { kind, text } of decision.problems) lines.push(`${kind}: ${text}`)
  return visibleLines(lines)
}

/** For a shared library one line says all; for a private one the reason is what the reader came for. */
function libraryLines({ soname, choice, path, bytes, reasons }: LibraryChoice): readonly string[] {
  const line = `  ${soname}  ${path}  ${human(bytes)}`
  return choice === 'shared' ? [line] : [line, ...reasons.slice(0, 3).map(({ text }) => `      ${text}`)]
}

function counted({ libraries, bytes }: { readonly libraries: number; readonly bytes: number }): string {
  return `${libraries} ${libraries === 1 ? 'library' : 'libraries'}, ${human(bytes)}`
}

function totalsOf(libraries: readonly LibraryChoice[]): Totals {
  const sum = (choice: 'shared' | 'private') => {
    const chosen = libraries.filter(library => library.choice === choice)
    return { libraries: chosen.length, bytes: chosen.reduce((bytes, library) => bytes + library.bytes, 0) }
  }
  return { shared: sum('shared'), private: sum('private') }
}
