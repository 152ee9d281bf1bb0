import type { Dependency } from './packages.js'

/**
 * Debian's order of versions (deb-version(7), dpkg lib/dpkg/version.c): epoch, upstream version, revision. Negative, zero or
 * positive, as a comparator returns it. Takes any string; what dpkg would refuse is compared by the same rules.
 */
export function compareVersions(left: string, right: string): number {
  const a = splitVersion(left)
  const b = splitVersion(right)
  return compareDigits(a.epoch, b.epoch) || comparePart(a.upstream, b.upstream) || comparePart(a.revision, b.revision)
}

/** Whether a version that is there satisfies a relation; no relation is satisfied by every version. */
export function versionSatisfies(present: string, relation: Dependency['relation'], wanted: string | null): boolean {
  if (relation === null || wanted === null) return true
  const order = compareVersions(present, wanted)
  switch (relation) {
    case '<<':
      return order < 0
    case '<=':
      return order <= 0
    case '=':
      return order === 0
    case '>=':
      return order >= 0
    case '>>':
      return order > 0
  }
}

function splitVersion(version: string): { epoch: string; upstream: string; revision: string } {
  const colon = version.indexOf(':')
  const rest = version.slice(colon + 1)
  const hyphen = rest.lastIndexOf('-')
  return {
    epoch: colon === -1 ? '0' : version.slice(0, colon),
    upstream: hyphen === -1 ? rest : rest.slice(0, hyphen),
    // A missing revision equals the revision 0: comparePart sees both as an empty run of digits.
    revision: hyphen === -1 ? '' : rest.slice(hyphen + 1),
  }
}

/** Alternates between a run without digits, by `order`, and a run of digits, as a number, until one differs. */
function comparePart(a: string, b: string): number {
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a, i)) || (j < b.length && !isDigit(b, j))) {
      const difference = order(a, i) - order(b, j)
      if (difference !== 0) return difference
      i++
      j++
    }
    const endA = endOfDigits(a, i)
    const endB = endOfDigits(b, j)
    const difference = compareDigits(a.slice(i, endA), b.slice(j, endB))
    if (difference !== 0) return difference
    i = endA
    j = endB
  }
  return 0
}

/** `~` before the end, the end (and a digit) before letters, letters before everything else. */
function order(text: string, index: number): number {
  if (index >= text.length || isDigit(text, index)) return 0
  const character = text.charAt(index)
  if (character === '~') return -1
  return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256
}

/** Runs of digits as numbers of any length: dates with times exceed what a double holds exactly. */
function compareDigits(a: string, b: string): number {
  const x = a.replace(/^0+/, '')
  const y = b.replace(/^0+/, '')
  if (x.length !== y.length) return x.length - y.length
  return x === y ? 0 : x < y ? -1 : 1
}

function endOfDigits(text: string, start: number): number {
  let end = start
  while (end < text.length && isDigit(text, end)) end++
  return end
}

function isDigit(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  return code >= 0x30 && code <= 0x39
}
