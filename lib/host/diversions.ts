import { AppcError } from '../errors.js'

export interface Diversion {
  readonly to: string
  /** The package whose own file stays at the old path; null for a local diversion, which moves everybody's. */
  readonly by: string | null
}

/** var/lib/dpkg/diversions, by the path that is diverted: three lines each, from, to, package (`:` when local). */
export function parseDiversions(text: string): ReadonlyMap<string, Diversion> {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const diversions = new Map<string, Diversion>()
  for (let index = 0; index < lines.length; index += 3) {
    const [from, to, by] = lines.slice(index, index + 3)
    if (!from?.startsWith('/') || !to?.startsWith('/') || by === undefined || by === '')
      throw new AppcError('PACKAGE_DATABASE', 'the list of diversions is damaged', {
        because: `line ${index + 1} does not begin a diversion of three lines`,
      })
    diversions.set(from, { to, by: by === ':' ? null : by })
  }
  return diversions
}
