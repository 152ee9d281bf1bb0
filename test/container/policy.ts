import t from 'tap'
import { matches, type PolicyRule, parseRule, ruleFor, ruleText, withRule } from '../../lib/container/policy.js'

t.test('patterns', async t => {
  for (const [pattern, name, expected] of [
    ['libssl.so.3', 'libssl.so.3', true],
    ['libssl.so.3', 'libssl.so.30', false],
    ['libssl.so.*', 'libssl.so.3', true],
    ['*', '', true],
    ['lib?.so', 'liba.so', true],
    ['lib?.so', 'lib.so', false],
    ['*ssl*3', 'libssl.so.1.3', true],
    ['*ssl*3', 'libssl.so.1.31', false],
    ['libc.so', 'libcXso', false],
    ['*a*b*c', 'xxaxxbxxc', true],
  ] as const)
    t.equal(matches(pattern, name), expected, `${pattern} ${name}`)
})

t.test('a hostile pattern takes no exponential time', async t => {
  const began = process.cpuUsage().user
  t.equal(matches(`${'*a'.repeat(200)}b`, 'a'.repeat(4000)), false)
  t.ok(process.cpuUsage().user - began < 5_000_000)
})

t.test('rules as they are written', async t => {
  t.same(parseRule('libssl.so.*=private'), { match: 'libssl.so.*', choice: 'private' })
  t.same(parseRule('libssl.so.3=shared'), { match: 'libssl.so.3', choice: 'shared' })
  t.same(parseRule('libssl.so.3>=1:3.0~rc1'), { match: 'libssl.so.3', minimum: '1:3.0~rc1' })
  for (const strictness of ['identical', 'abi', 'not-older'] as const)
    t.same(parseRule(`*=${strictness}`), { match: '*', strictness })
  for (const wrong of ['', 'libssl.so.3', '=private', 'a=', 'a>=', 'a=b', 'a=private=', 'a\n=private', 'a>3'])
    t.throws(() => parseRule(wrong), { code: 'USAGE' }, JSON.stringify(wrong))
})

t.test('the last rule that says something has its way', async t => {
  const rules = ['*=identical', 'libssl.so.*=private', 'libssl.so.3=shared', 'libssl*>=3'].map(parseRule)
  t.same(ruleFor(rules, 'libssl.so.3'), { strictness: 'identical', choice: 'shared', minimum: '3' })
  t.same(ruleFor(rules, 'libz.so.1'), { strictness: 'identical' })
  t.same(ruleFor([], 'libz.so.1'), {})
})

t.test('what is said anew replaces what was said, and leaves the rest', async t => {
  const rules = ['a=private', 'a>=2', 'b=shared', 'a=shared']
    .map(parseRule)
    .reduce(withRule, [] as readonly PolicyRule[])
  t.same(rules, [
    { match: 'a', choice: 'shared', minimum: '2' },
    { match: 'b', choice: 'shared' },
  ])
  t.equal(ruleText(rules[0] as PolicyRule), 'shared, at least 2')
})
