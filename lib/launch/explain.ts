import type { PolicyRule } from '../container/policy.js'
import { candidatesFor, type LibraryCandidate } from '../decide/candidates.js'
import type { Decision, Host, LibraryChoice } from '../decide/types.js'
import { AppcError } from '../errors.js'
import type { Store } from '../store/store.js'
import { type Decided, decideContainer } from './prepare.js'

/** Why a library is shared or private, and what it would take for it to be the other. */
export interface Explanation {
  readonly choice: LibraryChoice
  readonly candidates: { readonly host: LibraryCandidate | null; readonly container: LibraryCandidate | null }
  /** What would come of the other choice, were it fixed by a policy; null where there is no other library. */
  readonly other: Otherwise | null
}

export interface Otherwise {
  readonly runnable: boolean
  /** What would be wrong then: all that the host's library would have to have, or whom the container's breaks. */
  readonly problems: readonly string[]
  /** Sonames that would be chosen differently besides. */
  readonly changed: readonly string[]
  /** How many private bytes more (or less) there would be. */
  readonly bytes: number
}

/** Explains one library of a container on a host: decides once more with the other choice fixed. Throws LIBRARY_MISSING. */
export function explainLibrary(store: Store, name: string, soname: string, host: Host): Decided & Explanation {
  const { container, decision } = decideContainer(store, name, host)
  const choice = decision.libraries.find(library => library.soname === soname)
  const candidates = candidatesFor(container.manifest, host, soname)
  if (choice === undefined) {
    throw new AppcError('LIBRARY_MISSING', `${soname} is no library of ${name} on this host`, {
      because: candidates.container ? 'it is packed, and nothing asks for it here' : 'nothing in it asks for that name',
      hint: `appc plan ${name} lists them all`,
    })
  }
  const isOneSided = (choice.choice === 'shared' ? candidates.container : candidates.host) === null
  const rule: PolicyRule = { match: soname, choice: choice.choice === 'shared' ? 'private' : 'shared' }
  const fixed: Host = { ...host, policy: [...(host.policy ?? []), rule] }
  const other = isOneSided ? null : compare(decision, decideContainer(store, name, fixed).decision, soname)
  return { container, decision, choice, candidates, other }
}

function compare(decision: Decision, then: Decision, soname: string): Otherwise {
  const before = new Map(decision.libraries.map(library => [library.soname, library.choice]))
  const known = new Set(decision.problems.map(({ text }) => text))
  return {
    runnable: then.runnable,
    problems: then.problems.filter(({ text }) => !known.has(text)).map(({ text }) => text),
    changed: then.libraries.flatMap(library =>
      library.soname !== soname && library.choice !== (before.get(library.soname) ?? 'shared') ? [library.soname] : [],
    ),
    bytes: privateBytes(then) - privateBytes(decision),
  }
}

function privateBytes({ libraries }: Decision): number {
  return libraries.reduce((sum, { choice, bytes }) => sum + (choice === 'private' ? bytes : 0), 0)
}
