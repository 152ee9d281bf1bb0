import { join } from 'node:path'
import * as v from 'valibot'
import { AppcError } from '../errors.js'
import { readRegular } from '../store/regular.js'
import { type Store, withLock } from '../store/store.js'
import { hasCode, writeDurably } from '../store/writing.js'
import { type PolicyRule, policySchema } from './policy.js'

const MAX_BYTES = 1 << 22

const schema = v.strictObject({ schema: v.literal('appc.policy/1'), rules: policySchema })

/** Where this host's policy is kept; it need not exist. */
export function policyPath(store: Store): string {
  return join(store.home, 'policy.json')
}

/** What this host fixes for the containers of a store; empty where nothing is. Throws POLICY_INVALID. */
export function readPolicy(store: Store): readonly PolicyRule[] {
  const path = policyPath(store)
  const hint = `mend it, or remove it: ${path}`
  let bytes: Buffer
  try {
    bytes = readRegular(path, MAX_BYTES, hint)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
  const { output, issues } = v.safeParse(schema, parse(bytes, hint), { abortEarly: true })
  if (issues === undefined) return output.rules as readonly PolicyRule[]
  throw new AppcError('POLICY_INVALID', "this host's policy is not valid", {
    because: `${v.getDotPath(issues[0]) ?? 'it'}: ${issues[0].message}`,
    hint,
  })
}

function parse(bytes: Buffer, hint: string): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error)
    throw new AppcError('POLICY_INVALID', "this host's policy is not valid", { because, hint, cause: error })
  }
}

/** Changes the policy under the store's lock, so that two changes at once are both made. */
export function changePolicy(
  store: Store,
  change: (rules: readonly PolicyRule[]) => readonly PolicyRule[],
): readonly PolicyRule[] {
  return withLock(store, 'exclusive', () => {
    const rules = change(readPolicy(store))
    const text = `${JSON.stringify({ schema: 'appc.policy/1', rules }, null, 2)}\n`
    writeDurably(store, policyPath(store), Buffer.from(text), 0o644)
    return rules
  })
}
