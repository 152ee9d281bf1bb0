import { readRegular } from './regular.js'
import { replaceIfPossible } from './writing.js'

/** What identifies the bytes of a file on this machine without reading them. */
export interface Identity {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

/**
 * Facts remembered across runs in one file, by the identity of the file that they are of. It may be deleted at any time, is
 * never trusted when damaged, and failing to write it is no failure: it only saves time.
 */
export class Memory<T> {
  private readonly known: Map<string, T>
  private readonly used = new Map<string, T>()
  private changed = false

  /** `isSound` judges every value that comes from the file; `format` changes whenever T does. */
  constructor(
    private readonly path: string,
    private readonly format: string,
    isSound: (value: unknown) => value is T,
  ) {
    this.known = read(path, format, isSound)
  }

  get(file: Identity): T | undefined {
    const value = this.known.get(key(file))
    if (value !== undefined) this.used.set(key(file), value)
    return value
  }

  set(file: Identity, value: T): void {
    this.changed = true
    this.known.set(key(file), value)
    this.used.set(key(file), value)
  }

  /** Writes what was used in this run; what no run uses any more is forgotten. */
  save(): void {
    if (!this.changed) return
    replaceIfPossible(this.path, JSON.stringify({ format: this.format, facts: [...this.used] }))
  }
}

/** Facts of a machine with every library there is stay far below. */
const MAX_BYTES = 1 << 28

function key({ dev, ino, size, mtimeNs, ctimeNs }: Identity): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}

function read<T>(path: string, format: string, isSound: (value: unknown) => value is T): Map<string, T> {
  const known = new Map<string, T>()
  try {
    const content: unknown = JSON.parse(readRegular(path, MAX_BYTES, 'remove it').toString())
    if (typeof content !== 'object' || content === null || !('format' in content) || !('facts' in content)) return known
    if (content.format !== format || !Array.isArray(content.facts)) return known
    for (const pair of content.facts) {
      if (Array.isArray(pair) && typeof pair[0] === 'string' && isSound(pair[1])) known.set(pair[0], pair[1])
    }
  } catch {
    // Absent or damaged: nothing is known, and everything is read anew.
  }
  return known
}
