import * as v from 'valibot'
import { AppcError } from '../errors.js'

/**
 * What a packager or a site fixes for libraries whose soname matches. Of several rules that match, the last that says something
 * about a matter has its way: a site's rules come after the packager's.
 */
export interface PolicyRule {
  /** A soname, in which `*` stands for any characters and `?` for one. */
  readonly match: string
  readonly choice?: 'private' | 'shared'
  /** The least version of the package that may supply it, as dpkg compares them. */
  readonly minimum?: string
  readonly strictness?: Strictness
}

/** What the host's library must be to be shared: the very build · what serves · that, and not older than what was packed. */
export type Strictness = 'identical' | 'abi' | 'not-older'

export const STRICTNESSES = ['identical', 'abi', 'not-older'] as const

const MAX_RULES = 10_000
const text = v.pipe(v.string(), v.minLength(1), v.maxLength(4096), v.check(isPrintable, 'holds control characters'))

/** With an epoch, and a revision behind the last hyphen (deb-version(7)). */
const VERSION = /^(\d+:)?\d[0-9A-Za-z.+~-]*$/

export const policySchema = v.pipe(
  v.array(
    v.strictObject({
      match: text,
      choice: v.exactOptional(v.picklist(['private', 'shared'])),
      minimum: v.exactOptional(v.pipe(text, v.regex(VERSION))),
      strictness: v.exactOptional(v.picklist(STRICTNESSES)),
    }),
  ),
  v.maxLength(MAX_RULES),
)

function isPrintable(value: string): boolean {
  return !/\p{Cc}/u.test(value)
}

/** What all rules together say about one soname. */
export function ruleFor(policy: readonly PolicyRule[], soname: string): Omit<PolicyRule, 'match'> {
  const saying = policy.filter(({ match }) => matches(match, soname))
  const { match: _, ...rule }: PolicyRule = Object.assign({ match: soname }, ...saying)
  return rule
}

/** Without a regular expression: a hostile pattern must not take exponential time. */
export function matches(pattern: string, name: string): boolean {
  let [at, from, star, mark] = [0, 0, -1, 0]
  while (at < name.length) {
    if (from < pattern.length && (pattern[from] === '?' || (pattern[from] === name[at] && pattern[from] !== '*'))) {
      at++
      from++
    } else if (pattern[from] === '*') {
      star = from++
      mark = at
    } else if (star >= 0) {
      from = star + 1
      at = ++mark
    } else return false
  }
  while (pattern[from] === '*') from++
  return from === pattern.length
}

/** `set` of a rule: what it says of a pattern replaces what was said, what it leaves open stays. */
export function withRule(policy: readonly PolicyRule[], rule: PolicyRule): readonly PolicyRule[] {
  const known = policy.find(({ match }) => match === rule.match)
  return known === undefined
    ? [...policy, rule]
    : policy.map(other => (other === known ? { ...known, ...rule } : other))
}

/**
 * A rule as it is written on a command line: `libssl.so.*=private`, `…=shared`, `…>=3.2`, `…=identical`, `…=abi`, `…=not-older`.
 * Throws USAGE.
 */
export function parseRule(written: string): PolicyRule {
  const [, match, relation, value] = /^([^=>]+)(>=|=)(.+)$/.exec(written) ?? []
  const rule = match !== undefined && value !== undefined && ruleOf(match, relation === '>=', value)
  const [valid] = rule && v.safeParse(policySchema, [rule]).success ? [rule] : []
  if (valid) return valid
  throw new AppcError('USAGE', `${JSON.stringify(written)} is no rule of a policy`, {
    because: 'a rule is SONAME=WHAT or SONAME>=VERSION, where WHAT is private, shared, identical, abi or not-older',
    hint: "for example 'libssl.so.*=private'",
  })
}

function ruleOf(match: string, isMinimum: boolean, value: string): PolicyRule | null {
  if (isMinimum) return { match, minimum: value }
  if (value === 'private' || value === 'shared') return { match, choice: value }
  const strictness = STRICTNESSES.find(known => known === value)
  return strictness === undefined ? null : { match, strictness }
}

/** In words: `private, at least 3.2, identical build`. */
export function ruleText({ choice, minimum, strictness }: Omit<PolicyRule, 'match'>): string {
  const words = { identical: 'identical build', abi: 'what serves', 'not-older': 'not older than packed against' }
  return [choice, minimum && `at least ${minimum}`, strictness && words[strictness]].filter(Boolean).join(', ')
}
