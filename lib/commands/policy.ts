import { changePolicy, readPolicy } from '../container/host-policy.js'
import { type PolicyRule, parseRule, ruleText, withRule } from '../container/policy.js'
import { AppcError } from '../errors.js'
import { openStore } from '../launch/open-store.js'
import { visibleLines } from './report.js'

interface PolicyOptions {
  readonly json: boolean
}

/** `appc policy`: what is fixed on this host. */
export function runPolicy({ json }: PolicyOptions): number {
  return tell(readPolicy(openStore(process.env)), json)
}

/** `appc policy set`: all rules are understood before the first is kept. */
export function runPolicySet(written: readonly string[], { json }: PolicyOptions): number {
  const added = written.map(parseRule)
  return tell(
    changePolicy(openStore(process.env), rules => added.reduce(withRule, rules)),
    json,
  )
}

/** `appc policy unset`: refused when there is no such rule, and then nothing is forgotten. */
export function runPolicyUnset(matches: readonly string[], { json }: PolicyOptions): number {
  return tell(
    changePolicy(openStore(process.env), rules => {
      const unknown = matches.find(match => !rules.some(rule => rule.match === match))
      if (unknown !== undefined)
        throw new AppcError('USAGE', `the policy says nothing of ${unknown}`, {
          hint: 'appc policy shows what it says',
        })
      return rules.filter(({ match }) => !matches.includes(match))
    }),
    json,
  )
}

function tell(rules: readonly PolicyRule[], json: boolean): number {
  const lines = rules.length === 0 ? ['nothing is fixed'] : rules.map(rule => `${rule.match}: ${ruleText(rule)}`)
  process.stdout.write(`${json ? JSON.stringify({ schema: 'appc.policy/1', rules }) : visibleLines(lines)}\n`)
  return 0
}
