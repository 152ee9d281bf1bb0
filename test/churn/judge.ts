import { type Container, type Copy, faultOf, foundBy, type HostState, isRightChoice, nameOf } from './model.js'

/** What a program says of itself: of each library the generation that its code says, and the file that is mapped. */
export interface Report {
  readonly libraries: readonly { readonly soname: string; readonly generation: number; readonly inode: number }[]
}

/** What a judge knows besides. */
export interface Evidence {
  readonly container: Container
  readonly runpath: string
  readonly directories: readonly string[]
  /** All that the host was from the launch to the report. */
  readonly states: readonly HostState[]
  /** Of the host's files by generation, and of the container's by soname. */
  readonly inodeOf: (copy: Copy) => number | undefined
}

/**
 * What is wrong with what a program has mapped; null where nothing is. Either generation of a file that was replaced meanwhile is right,
 * where the mix then holds. What is private must be so for some state that the host was in.
 */
export function judge({ libraries }: Report, evidence: Evidence): string | null {
  const { container, states, inodeOf } = evidence
  const reported = libraries.map(({ soname }) => soname).sort()
  const expected = Object.keys(container.needs).sort()
  if (reported.join() !== expected.join()) return `it reports ${reported}`
  const mix = new Map<string, Copy>()
  for (const { soname, generation, inode } of libraries) {
    const copy = generation === 0 ? container.copies.get(soname) : fileOf(states, soname, generation)
    if (copy === undefined) return `the host's ${soname} (${generation}) was not there any more, or not yet`
    if (inodeOf(copy) !== inode) return `inode ${inode} is not that of ${nameOf(copy)}`
    mix.set(soname, copy)
  }
  const fault = faultOf(container, mix)
  if (fault !== null) return fault
  const own = [...mix].flatMap(([soname, { generation }]) => (generation === 0 ? [soname] : []))
  const isRight = states.some(state => isRightChoice(container, bareMix(state, evidence), own))
  return isRight
    ? null
    : `private are ${own.join(', ') || 'none'}, which is the right choice for nothing that the host was`
}

function fileOf(states: readonly HostState[], soname: string, generation: number): Copy | undefined {
  const files = states.flatMap(({ files }) => [...files.values()])
  return files.find(copy => copy.soname === soname && copy.generation === generation)
}

/** What the program would load without appc. */
function bareMix(state: HostState, { container, runpath, directories }: Evidence): ReadonlyMap<string, Copy> {
  return new Map(
    Object.keys(container.needs).flatMap(soname => {
      const copy = foundBy(state, soname, runpath, directories)
      return copy === undefined ? [] : [[soname, copy] as const]
    }),
  )
}

/** Lines of `SONAME GENERATION INODE`; null for anything else. */
export function parseReport(text: string): Report | null {
  const lines = text.split('\n').slice(0, -1)
  const libraries = lines.flatMap(line => {
    const [, soname, generation, inode] = /^(\S+) (\d+) (\d+)$/.exec(line) ?? []
    return soname === undefined ? [] : [{ soname, generation: Number(generation), inode: Number(inode) }]
  })
  return libraries.length === lines.length && lines.length > 0 ? { libraries } : null
}
