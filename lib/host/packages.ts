/** One package of a dpkg database, as far as deciding and packing need it. */
export interface Package {
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** What it was built from; absent where that has its own name. */
  readonly source?: string
  /** Absent is `no`. `same` can be installed for several architectures, `foreign` serves packages of any architecture. */
  readonly multiArch?: 'same' | 'foreign' | 'allowed'
  readonly essential: boolean
  /** Depends and Pre-Depends together: all groups must hold, in each group one alternative. */
  readonly depends: readonly (readonly Dependency[])[]
  /** Virtual names, with the version where one is given. */
  readonly provides: readonly { readonly name: string; readonly version: string | null }[]
}

export interface Dependency {
  readonly name: string
  /** What follows the colon: `any` or an architecture. Absent: the architecture of the package that depends. */
  readonly architecture?: string
  readonly relation: '<<' | '<=' | '=' | '>=' | '>>' | null
  readonly version: string | null
}
