import { allAsks, type Code } from './model.js'

/**
 * Rule 4, from the words of docs/deciding.md and notes on glibc: who shares a version `*_PRIVATE` is of one build, and where no package
 * tells otherwise, so is who defines versions of the same name-space (`Z_1` beside `Z_PRIVATE`). Families of two or more.
 */
export function familiesAmong(libraries: ReadonlyMap<string, Code>): readonly ReadonlySet<string>[] {
  const defined = new Set([...libraries.values()].flatMap(({ versions }) => versions.filter(isPrivate)))
  const spaces = [...libraries].map(([name, code]) => ({
    name,
    isTied: [...code.versions, ...privateAsks(code)].some(isPrivate),
    spaces: new Set([...code.versions.map(spaceOf), ...privateAsks(code)].filter(space => defined.has(space))),
  }))
  const families: Set<string>[] = []
  for (const { name, isTied } of spaces) {
    if (!isTied || families.some(family => family.has(name))) continue
    const family = new Set([name])
    const reached = new Set(spaces.find(other => other.name === name)?.spaces)
    for (let before = -1; before < family.size; ) {
      before = family.size
      for (const other of spaces)
        if ([...other.spaces].some(space => reached.has(space))) {
          family.add(other.name)
          for (const space of other.spaces) reached.add(space)
        }
    }
    if (family.size > 1) families.push(family)
  }
  return families
}

/** Versions `*_PRIVATE` that a file needs, with who is to define them. */
export function privateNeeds(code: Code): readonly { readonly of: string; readonly version: string }[] {
  return allAsks(code).filter(({ version }) => isPrivate(version))
}

function privateAsks(code: Code): readonly string[] {
  return privateNeeds(code).map(({ version }) => version)
}

function isPrivate(version: string): boolean {
  return version.endsWith('_PRIVATE')
}

function spaceOf(version: string): string {
  return version.replace(/_[^_]*$/, '_PRIVATE')
}
