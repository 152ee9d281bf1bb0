import type { ElfFacts } from '../elf/types.js'
import { remember } from './remember.js'

/** The versions that a file needs, by the file that is to define them; not those that are weak, of which the loader only warns. */
export function neededVersions({ verneeds }: ElfFacts): Map<string, string[]> {
  const byFile = new Map<string, string[]>()
  for (const { file, version, weak } of verneeds) {
    const versions = remember(byFile, file, () => [])
    if (!weak) versions.push(version)
  }
  return byFile
}

/** Those that a provider lacks. One without any versions is only warned about (glibc 2.36, elf/dl-version.c, match_symbol). */
export function missingVersions(versions: readonly string[], facts: ElfFacts): readonly string[] {
  const { verdefs, soname } = facts
  if (verdefs.length === 0) return []
  return versions.filter(version => version !== (soname ?? '') && !definedVersions(facts).has(version))
}

const defined = new WeakMap<ElfFacts, ReadonlySet<string>>()

/** Of a library that thousands need: made once. */
function definedVersions(facts: ElfFacts): ReadonlySet<string> {
  return remember(defined, facts, () => new Set(facts.verdefs.map(({ name }) => name)))
}
