import {
  appendFileSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { readRegular } from '../store/regular.js'
import type { Store } from '../store/store.js'
import { hasCode, syncDirectory } from '../store/writing.js'
import type { Problem } from './problems.js'
import { newQuarantine, type Quarantined } from './quarantine.js'

/** A line of JSON for each file that was set aside. */
const REPORT = 'report.jsonl'
const MAX_REPORT = 1 << 28

/** Of what lies below the quarantine's directory at `path`, where it lay in the store. */
interface Line {
  readonly schema: 'appc.evidence/1'
  readonly path: string
  readonly kind: Problem['kind']
  readonly because: string
  readonly actualDigest: string | null
  readonly neededBy: Problem['neededBy']
  /** When, in UTC (ISO 8601). */
  readonly at: string
}

/** Where one repair sets aside what is damaged: a directory in quarantine/, which comes to be with the first file. */
export class Evidence {
  readonly #store: Pick<Store, 'home'>
  #directory: string | null = null

  constructor(store: Pick<Store, 'home'>) {
    this.#store = store
  }

  /** Writes down what is going to be set aside, and why. Before it is. */
  note(problems: readonly Problem[]): void {
    if (problems.length === 0) return
    const fd = openSync(join(this.#made(), REPORT), 'a', 0o600)
    try {
      fchmodSync(fd, 0o600)
      appendFileSync(fd, problems.map(problem => `${JSON.stringify(this.#lineOf(problem))}\n`).join(''))
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    syncDirectory(this.#made())
  }

  #lineOf({ path, kind, because, actualDigest, neededBy }: Problem): Line {
    const at = new Date().toISOString()
    return { schema: 'appc.evidence/1', path: this.#below(path), kind, because, actualDigest, neededBy, at }
  }

  /**
   * Gives what lies at `path` a second name here; returns it. It keeps the first until another takes its place. Links work without
   * reading what may not be readable; what can have none (a directory; one name too many) is moved.
   */
  keep(path: string): string {
    const destination = this.#placeFor(path)
    try {
      linkSync(path, destination)
    } catch (error) {
      if (!hasCode(error, 'EPERM', 'EMLINK', 'EISDIR')) throw error
      renameSync(path, destination)
    }
    return destination
  }

  /** Moves it here; `from` is where it lies by now, where that is not its own place any more. */
  move(path: string, from: string | Buffer = path): string {
    const destination = this.#placeFor(path)
    renameSync(from, destination)
    return destination
  }

  /** What was damaged twice in one repair lies here twice. */
  #placeFor(path: string): string {
    const destination = join(this.#made(), this.#below(path))
    mkdirSync(dirname(destination), { recursive: true, mode: 0o700 })
    for (let count = 1; ; count++) {
      const free = count === 1 ? destination : `${destination}.${count}`
      if (lstatSync(free, { throwIfNoEntry: false }) === undefined) return free
    }
  }

  #below(path: string): string {
    return path.slice(this.#store.home.length + 1)
  }

  #made(): string {
    if (this.#directory !== null) return this.#directory
    const directory = newQuarantine(this.#store, 'damaged', Date.now())
    mkdirSync(directory, { mode: 0o700 })
    syncDirectory(dirname(directory))
    this.#directory = directory
    return directory
  }
}

/** Where in a quarantine bytes of which digest are, as a repair wrote down. Nothing of it is believed: what is found is hashed. */
export function digestsIn({ directory, kind }: Quarantined): ReadonlyMap<string, string> {
  if (kind !== 'damaged') return new Map()
  try {
    const lines = readRegular(join(directory, REPORT), MAX_REPORT, '').toString().split('\n').slice(0, -1)
    const known = lines.map(line => JSON.parse(line) as Partial<Line>)
    return new Map(
      known.flatMap(({ path, actualDigest }) =>
        typeof path === 'string' && typeof actualDigest === 'string' ? [[actualDigest, join(directory, path)]] : [],
      ),
    )
  } catch {
    // One source less.
    return new Map()
  }
}
