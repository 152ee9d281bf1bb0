/** What the file of a library defines, and what it needs of others: names of versions. */
export interface Build {
  readonly soname: string
  readonly defines: readonly string[]
  readonly needs: Readonly<Record<string, readonly string[]>>
}

/** One file of a build. Each that the host ever had has a number of its own; 0 are the container's. */
export interface Copy extends Build {
  readonly generation: number
}

/** A host between two changes: all that decides what a program finds. */
export interface HostState {
  readonly files: ReadonlyMap<string, Copy>
  /** Links that lead to a file, absolute. */
  readonly links: ReadonlyMap<string, string>
  /** What ld.so.cache says, by soname; null without a cache. */
  readonly cache: ReadonlyMap<string, string> | null
}

/** What is loaded for each soname. */
export type Mix = ReadonlyMap<string, Copy>

export interface Container {
  /** What the program needs. */
  readonly needs: Build['needs']
  readonly copies: Mix
  /** Sonames of libraries of one build: the container's or the host's, all of them. */
  readonly family: readonly string[]
}

/** The file that a path leads to. */
export function fileAt({ files, links }: HostState, path: string): Copy | undefined {
  return files.get(links.get(path) ?? path)
}

/** What would be loaded on the bare host, where `runpath` is the program's and `directories` are the loader's own. */
export function foundBy(
  host: HostState,
  soname: string,
  runpath: string,
  directories: readonly string[],
): Copy | undefined {
  const cached = host.cache?.get(soname)
  const paths = [
    `${runpath}/${soname}`,
    ...(cached === undefined ? [] : [cached]),
    ...directories.map(directory => `${directory}/${soname}`),
  ]
  return paths.map(path => fileAt(host, path)).find(copy => copy !== undefined)
}

/** What is wrong with a mix; null where it holds. */
export function faultOf({ needs, copies, family }: Container, mix: Mix): string | null {
  for (const [by, needed] of [
    ['the program', needs] as const,
    ...[...mix].map(([by, copy]) => [by, copy.needs] as const),
  ])
    for (const [soname, versions] of Object.entries(needed)) {
      const provider = mix.get(soname)
      if (provider === undefined) return `${soname} is not there`
      const missing = versions.find(version => !provider.defines.includes(version))
      if (missing !== undefined) return `${by} needs ${missing}, which ${nameOf(provider)} does not define`
    }
  const own = family.filter(soname => mix.get(soname) === copies.get(soname))
  return own.length === 0 || own.length === family.length ? null : `of ${family.join(' and ')} only ${own} is private`
}

/**
 * Whether these are a right choice of private libraries for the host as the bare program would find it: the mix holds, and would not with
 * fewer of them.
 */
export function isRightChoice(container: Container, bare: Mix, chosen: readonly string[]): boolean {
  const holds = (own: readonly string[]) =>
    faultOf(
      container,
      new Map([...bare, ...own.map(soname => [soname, container.copies.get(soname) as Copy] as const)]),
    ) === null
  return holds(chosen) && !subsetsOf(chosen).some(fewer => fewer.length < chosen.length && holds(fewer))
}

function subsetsOf<T>(all: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: 2 ** all.length }, (_, bits) => all.filter((_, at) => (bits & (1 << at)) !== 0))
}

export function nameOf({ soname, generation }: Copy): string {
  return generation === 0 ? `the container's ${soname}` : `the host's ${soname} (${generation})`
}
