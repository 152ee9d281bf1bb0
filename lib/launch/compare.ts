import type { Container } from '../container/containers.js'
import { candidatesFor, type LibraryCandidate, packedCandidate } from '../decide/candidates.js'
import { Contents } from '../decide/home.js'
import type { Decision, DecisionProblem, Host, LibraryChoice, PackageChoice, Reason } from '../decide/types.js'
import type { Store } from '../store/store.js'
import type { OtherHost } from './hosts.js'
import { decideContainer } from './prepare.js'
import { type Travel, travelOf } from './travel.js'

/** What is decided for one container on two hosts. */
export interface Comparison {
  readonly container: Container
  readonly hosts: Pair<Side>
  /** What is chosen differently, by soname and by package. */
  readonly libraries: readonly { readonly soname: string; readonly choices: Pair<LibrarySide | null> }[]
  readonly packages: readonly { readonly name: string; readonly choices: Pair<PackageSide> }[]
}

export type Pair<T> = readonly [T, T]

export interface Side {
  readonly os: string | null
  readonly runnable: boolean
  readonly travel: Travel
  readonly problems: readonly Mended[]
}

/** A library on one host; null where nothing loads it there. */
export interface LibrarySide extends Pick<LibraryChoice, 'choice' | 'path' | 'bytes' | 'reasons'> {
  /** The container's file that makes it good where the host's does not do; null where that is shared. */
  readonly file: LibraryCandidate | null
}

export interface PackageSide {
  readonly choice: PackageChoice['choice']
  readonly reasons: readonly Reason[]
}

export interface Mended extends DecisionProblem {
  readonly remedies: readonly Remedy[]
}

/**
 * What makes a problem good: the container's own file, where something keeps it from being taken; the other host's, to be packed too; or
 * the package that the other host has it from.
 */
export type Remedy =
  | { readonly kind: 'private'; readonly file: LibraryCandidate }
  | { readonly kind: 'include'; readonly file: LibraryCandidate }
  | { readonly kind: 'install'; readonly package: string }

/** Decides for both, and says what differs. Throws as decideContainer does. */
export function compareHosts(store: Store, name: string, hosts: Pair<OtherHost>): Comparison {
  const decideOn = ({ host, within }: OtherHost) => within(() => decideContainer(store, name, host))
  const [one, other] = [decideOn(hosts[0]), decideOn(hosts[1])]
  const { container } = one
  const side = ({ os }: OtherHost, decision: Decision, elsewhere: OtherHost, there: Decision): Side => ({
    os,
    runnable: decision.runnable,
    travel: travelOf(store, container.digest, decision),
    problems: decision.problems.map(problem => {
      const isThereToo = there.problems.some(({ text }) => text === problem.text)
      return { ...problem, remedies: remediesOf(container, problem, isThereToo ? null : elsewhere.host) }
    }),
  })
  return {
    container,
    hosts: [
      side(hosts[0], one.decision, hosts[1], other.decision),
      side(hosts[1], other.decision, hosts[0], one.decision),
    ],
    libraries: differingLibraries(container, one.decision, other.decision),
    packages: differingPackages(one.decision, other.decision),
  }
}

function differingLibraries(container: Container, one: Decision, other: Decision): Comparison['libraries'] {
  const [first, second] = [one, other].map(
    ({ libraries }) => new Map(libraries.map(library => [library.soname, library] as const)),
  ) as [Map<string, LibraryChoice>, Map<string, LibraryChoice>]
  const sonames = [...new Set([...first.keys(), ...second.keys()])].sort()
  return sonames.flatMap(soname => {
    const [here, there] = [first.get(soname), second.get(soname)]
    if (here?.choice === there?.choice) return []
    return [{ soname, choices: [librarySide(container, here), librarySide(container, there)] }]
  })
}

function librarySide({ manifest }: Container, library: LibraryChoice | undefined): LibrarySide | null {
  if (library === undefined) return null
  const { choice, path, bytes, reasons, file } = library
  return {
    choice,
    path,
    bytes,
    reasons,
    file: choice === 'private' && file !== null ? packedCandidate(manifest, file) : null,
  }
}

function differingPackages(one: Decision, other: Decision): Comparison['packages'] {
  return one.packages.flatMap((here, at) => {
    const there = other.packages[at] as PackageChoice
    const side = ({ choice, reasons }: PackageChoice) => ({ choice, reasons })
    return here.choice === there.choice ? [] : [{ name: here.name, choices: [side(here), side(there)] as const }]
  })
}

/** What mends a problem that keeps the container from running. `elsewhere` is the other host, where it has not that problem. */
function remediesOf(
  { manifest }: Container,
  { kind, sonames = [] }: DecisionProblem,
  elsewhere: Host | null,
): readonly Remedy[] {
  if (kind !== 'missing' && kind !== 'clash') return []
  const contents = new Contents(manifest)
  return sonames.flatMap((soname): readonly Remedy[] => {
    const own = contents.libraries.get(soname)
    const packed = own === undefined ? null : packedCandidate(manifest, own)
    // What the container holds and does not bring is kept from it: by a policy, or as it clashes with what is the host's.
    if (packed !== null) return [{ kind: 'private', file: packed }]
    const host = elsewhere && candidatesFor(manifest, elsewhere, soname).host
    if (host === null) return []
    return [
      { kind: 'include', file: host },
      ...(host.package ? [{ kind: 'install' as const, package: host.package.name }] : []),
    ]
  })
}
