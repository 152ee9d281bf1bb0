import type { ObjectKey } from './identities.js'

/** What is wrong with something in the store. */
export interface Problem {
  readonly kind: ProblemKind
  /** On this machine. */
  readonly path: string
  readonly because: string
  /** null where it is about no object. */
  readonly object: ObjectKey | null
  readonly neededBy: readonly NeededBy[]
  /** Of the bytes that are there; null where they could not be read, or it is not about bytes. */
  readonly actualDigest: string | null
}

export type ProblemKind =
  | 'missing' // an object that a container needs is not there
  | 'bytes' // an object has other bytes than its name says
  | 'unreadable' // an object cannot be read, for whatever reason
  | 'type' // something that is no regular file has the name of an object, a lock or another file that all stores have
  | 'policy' // what the site fixes cannot be told
  | 'mode' // an object or directory has other permissions than the store gave it
  | 'owner' // it belongs to somebody else than the store
  | 'directory' // a directory of the store's is not there, or is none
  | 'stray' // what lies among objects, refs or secrets and has no name that such a one can have
  | 'ref' // what a name leads to cannot be told
  | 'spare' // the second copy of that is damaged, or says otherwise
  | 'document' // a generation, or a manifest that is sound as an object, says nothing sensible
  | 'secret' // a setting that not everybody may read is not as it was set
  | 'view' // a view is not as its list says
  | 'plan' // a plan that says nothing sensible

export interface NeededBy {
  readonly name: string
  /** In the container; null for what describes it, such as its manifest. */
  readonly path: string | null
}

/** What is found wrong besides the objects: plans, views. Run under the shared lock; `name` alone where it is not null. */
export type Check = (name: string | null) => readonly Problem[]

export function problem(
  kind: ProblemKind,
  path: string,
  because: string,
  more: Partial<Pick<Problem, 'object' | 'neededBy' | 'actualDigest'>> = {},
): Problem {
  return { kind, path, because, object: null, neededBy: [], actualDigest: null, ...more }
}

/** What the containers of a store need of it, as whoever knows their documents tells. */
export interface Catalogue {
  readonly names: () => readonly string[]
  readonly needsOf: (name: string) => Needs
  /** The same with all that is known of each file; takes longer. Empty where it cannot be told. */
  readonly filesOf: (name: string) => readonly NeededFile[]
}

export interface Needs {
  /** All that can be told: the documents themselves, too. Found out when it is asked for. */
  readonly keys: () => readonly ObjectKey[]
  /** What that follows from: of the same text it is the same. */
  readonly essence: string
  readonly secrets: readonly NeededSecret[]
  /** That is all that there is to tell: no document is damaged. */
  readonly isWhole: boolean
  /** What is wrong with what tells it, but for documents that are objects with other bytes. */
  readonly faults: readonly Problem[]
}

/** Whether nothing else can be needed. */
export function areAllTold(needs: readonly Needs[]): boolean {
  return needs.every(({ faults, isWhole }) => faults.length === 0 && isWhole)
}

export interface NeededSecret {
  /** Its name in secrets/. */
  readonly id: string
  readonly neededBy: NeededBy
}

export interface NeededFile {
  readonly key: ObjectKey
  /** In the container; null for a document. */
  readonly path: string | null
  /** null where nothing says it. */
  readonly size: number | null
  /** Where it is from in words, such as `curl 8.14.1-2 of Debian GNU/Linux 13 (trixie)`; null where nobody knows. */
  readonly origin: string | null
  /** The container that it is a setting of. */
  readonly settingOf?: string
}
