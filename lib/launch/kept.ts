import { createHash } from 'node:crypto'
import { release } from 'node:os'
import { join } from 'node:path'
import { isExecutable } from '../container/containers.js'
import type { Decision, LibraryChoice } from '../decide/types.js'
import { objectPath } from '../store/objects.js'
import { readRegular } from '../store/regular.js'
import type { Store } from '../store/store.js'
import { replaceIfPossible } from '../store/writing.js'
import { addon } from './addon.js'
import { loaderEnvironment } from './machine.js'

/** What a decision says, without where files would be laid: enough to tell of it. */
export type Told = Pick<Decision, 'runnable' | 'packages' | 'problems'> & {
  readonly libraries: readonly Omit<LibraryChoice, 'file'>[]
  /** Of the container's files, those that are laid over the host: what is the same counts once. */
  readonly laid: { readonly files: number; readonly bytes: number }
}

/** What is told of a decision. */
export function toldOf({ runnable, packages, problems, libraries, placement }: Decision): Told {
  const files = [...placement.values()].flatMap(node => (node.kind === 'file' ? [node.file] : []))
  const sizes = new Map(files.map(({ sha256, mode, size }) => [`${sha256}${isExecutable(mode)}`, size]))
  return {
    runnable,
    packages,
    problems,
    libraries: libraries.map(({ file: _, ...library }) => library),
    laid: { files: sizes.size, bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) },
  }
}

/** What a decision is of besides the host's files. */
export interface Question {
  /** The container's digest. */
  readonly digest: string
  readonly root: string
  /** As readPolicy gives it. */
  readonly policy: unknown
}

const FORMAT = 'appc.kept/2'
/** What their files in cache/ begin with. */
export const DECISION = 'decision-'
const MAX_BYTES = 1 << 26
/** Where a program that appears may be a neighbour that was not judged; packages' own are told by the package list. */
const NEIGHBOURS = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/usr/local/lib', '/usr/lib']
/** File times are those of a timer's tick, on some file systems of two seconds: what was changed just now may change again unseen. */
const SETTLING_NS = 2_000_000_000n
const [COLUMNS, CTIME] = [9, 5]

/**
 * Decisions that were told are kept with the identity of every path that they rest on, present or absent. While all of these are the
 * same, the answer is; when one differs, or the file is damaged, it is decided anew. It is for telling alone: what is launched is
 * guarded by its plan.
 */
export class KeptDecisions {
  readonly #path: string
  readonly #root: string
  readonly #manifest: string

  /** `own` keeps them; the container is in `store`. */
  constructor(own: Store, store: Store, question: Question) {
    const about = [
      FORMAT,
      question,
      process.geteuid?.(),
      release(),
      addon().cpuLevel(),
      loaderEnvironment(process.env),
      process.cwd(),
    ]
    const key = createHash('sha256').update(JSON.stringify(about)).digest('hex')
    this.#path = join(own.home, 'cache', `${DECISION}${key.slice(0, 32)}`)
    // One that is damaged is to be told, not what it once said.
    this.#manifest = objectPath(store, question.digest, false)
    this.#root = question.root === '/' ? '' : question.root
  }

  /** null where nothing is kept that still holds. */
  recall(): Told | null {
    try {
      const text = readRegular(this.#path, MAX_BYTES, 'remove it').toString()
      const end = text.indexOf('\n')
      if (text.slice(0, end) !== sha256(text.slice(end + 1))) return null
      const { evidence, seal, told } = JSON.parse(text.slice(end + 1)) as {
        evidence: string[]
        seal: string
        told: Told
      }
      return this.#seal(evidence).seal === seal ? told : null
    } catch {
      // Absent or unreadable: nothing is kept.
      return null
    }
  }

  /** `beganNs`: when it began to be decided. What changed since, or shortly before, may have been seen in two states. */
  keep(decision: Decision, beganNs: bigint): void {
    const paths = [...decision.evidence, ...NEIGHBOURS]
    const { seal, youngestNs } = this.#seal(paths)
    if (youngestNs > beganNs - SETTLING_NS) return
    const body = JSON.stringify({ evidence: paths, seal, told: toldOf(decision) })
    replaceIfPossible(this.#path, `${sha256(body)}\n${body}`)
  }

  #seal(paths: readonly string[]): { readonly seal: string; readonly youngestNs: bigint } {
    const rows = addon().lstatMany([this.#manifest, ...paths.map(path => this.#root + path)])
    let youngestNs = 0n
    for (let at = CTIME; at < rows.length; at += COLUMNS) {
      const ctimeNs = rows[at] as bigint
      if (ctimeNs > youngestNs) youngestNs = ctimeNs
    }
    return { seal: createHash('sha256').update(rows).digest('hex'), youngestNs }
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
