import type { ElfFacts } from '../elf/types.js'

export interface FamilyCandidate {
  readonly path: string
  readonly facts: ElfFacts
}

/**
 * The files that must come from the same build as one of the seeds, the seeds among them that are tied to anything included;
 * sorted. Nothing is listed by name: a version `X_PRIVATE` is by its authors' word for this very build, so whoever defines it
 * and whoever needs it stand and fall together. With them go all that define versions of the same name-space `X_…`:
 * Debian 13's libpthread.so.0 has nothing private, yet its GLIBC_2.2.5 must not stay behind when libc.so.6 is replaced,
 * since a host library that needs it would then be given the old one's. Too much may come of this (libxcrypt's libcrypt.so.1
 * speaks of GLIBC_2.2.5 too), never too little.
 */
export function lockstepFamily(seed: readonly string[], candidates: readonly FamilyCandidate[]): readonly string[] {
  const defined = new Set(
    candidates.flatMap(({ facts }) => facts.verdefs.filter(isPrivate).map(v => spaceKey(facts, v.name))),
  )
  const spaces = candidates.map(({ facts }) => spacesOf(facts, defined))
  const members = new Set<number>()
  const reached = new Set<string>()
  const seeds = new Set(seed)
  let pending = candidates.flatMap(({ path }, index) => (seeds.has(path) && spaces[index]?.size ? [index] : []))
  while (pending.length > 0) {
    for (const index of pending) {
      members.add(index)
      for (const space of spaces[index] ?? []) reached.add(space)
    }
    pending = spaces.flatMap((own, index) =>
      !members.has(index) && [...own].some(space => reached.has(space)) ? [index] : [],
    )
  }
  return [...members].map(index => candidates[index]?.path ?? '').sort()
}

/** The private name-spaces that an object has a part in, of those that some candidate really defines. */
function spacesOf(facts: ElfFacts, defined: ReadonlySet<string>): ReadonlySet<string> {
  const speaks = [
    ...facts.verdefs.map(({ name }) => name.replace(/_[^_]*$/, '_PRIVATE')),
    ...facts.verneeds.filter(need => isPrivate({ name: need.version })).map(({ version }) => version),
  ]
  return new Set(speaks.map(version => spaceKey(facts, version)).filter(key => defined.has(key)))
}

/** Twins of another class or machine are families of their own. */
function spaceKey(facts: ElfFacts, privateVersion: string): string {
  return `${facts.machine}/${facts.class}/${privateVersion}`
}

function isPrivate({ name }: { readonly name: string }): boolean {
  return name.endsWith('_PRIVATE')
}
