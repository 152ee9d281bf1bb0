import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { changePolicy, policyPath, readPolicy } from '../../lib/container/host-policy.js'
import { newStore } from '../decide/scenario.js'

t.test('nothing is fixed where there is no file; what is changed is kept', async t => {
  const store = newStore()
  t.same(readPolicy(store), [])
  changePolicy(store, rules => [...rules, { match: 'libz.so.1', choice: 'private' }])
  changePolicy(store, rules => [...rules, { match: 'libssl*', minimum: '3', strictness: 'not-older' }])
  t.same(readPolicy(store), [
    { match: 'libz.so.1', choice: 'private' },
    { match: 'libssl*', minimum: '3', strictness: 'not-older' },
  ])
})

t.test('a damaged policy is an error, and a change to it changes nothing', async t => {
  const store = newStore()
  for (const text of [
    '',
    '{',
    '[]',
    '{"schema":"appc.policy/1","rules":[{"match":""}]}',
    '{"schema":"x","rules":[]}',
  ]) {
    writeFileSync(policyPath(store), text)
    t.throws(() => readPolicy(store), { code: 'POLICY_INVALID' }, text)
    t.throws(() => changePolicy(store, rules => rules), { code: 'POLICY_INVALID' }, text)
    t.equal(readFileSync(policyPath(store), 'utf8'), text)
  }
})
