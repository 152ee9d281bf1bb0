/** A small world as plain data: what lies on a host, and in the tree that a container is packed from. */
export interface SmallWorld {
  /** By soname. */
  readonly libraries: Readonly<Record<string, Sides>>
  /** The container's programs, in the order of its entries. */
  readonly programs: readonly Code[]
  /** The host's programs. */
  readonly neighbours: readonly Code[]
  /** What the host's policy fixes, by soname. */
  readonly policy: Readonly<Record<string, 'private' | 'shared'>>
}

/** One soname's two files; null where a side has none. */
export interface Sides {
  readonly host: Code | null
  readonly home: Code | null
}

/** What of a program or a library matters to a loader. */
export interface Code {
  /** Sonames, in the order of loading. */
  readonly needed: readonly string[]
  readonly versions: readonly string[]
  readonly exports: readonly Export[]
  readonly imports: readonly Import[]
  /** Versions needed, whether or not a symbol asks for them. */
  readonly asks: readonly Ask[]
  /** Bytes that the file has besides. */
  readonly padding: number
}

export interface Export {
  readonly name: string
  readonly version: string | null
  /** Bound only by references that name the version. */
  readonly hidden: boolean
}

export interface Import {
  readonly name: string
  /** With the soname that is to define it. */
  readonly version: { readonly name: string; readonly of: string } | null
  readonly weak: boolean
}

export interface Ask {
  readonly of: string
  readonly version: string
  readonly weak: boolean
}

/** The versions that a file needs of others: those of its symbols are needed whether these are weak or not. */
export function allAsks({ asks, imports }: Code): readonly Ask[] {
  const known = new Map(asks.map(ask => [`${ask.of} ${ask.version}`, ask]))
  for (const { version } of imports) {
    if (version === null) continue
    const key = `${version.of} ${version.name}`
    if (!known.has(key)) known.set(key, { of: version.of, version: version.name, weak: false })
  }
  return [...known.values()]
}
