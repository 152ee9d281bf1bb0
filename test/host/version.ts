import { spawnSync } from 'node:child_process'
import t from 'tap'
import { compareVersions, versionSatisfies } from '../../lib/host/version.js'

const versions = [
  '0',
  '0-0',
  '00',
  '1',
  '01',
  '1.0',
  '1.0-1',
  '1.0-0',
  '1.0-1.1',
  '1.0~rc1',
  '1.0~',
  '1.0~~',
  '1.0a',
  '1.0A',
  '1.0+b1',
  '1.0.1',
  '1.10',
  '1.9',
  '1.0-1~bpo12+1',
  '1.0-1+deb12u1',
  '2:0.1',
  '0:1.0',
  '1:1.0',
  '1.0-a',
  '1.0-a-1',
  '1.0z',
  '1.0.',
  '7.88.1-10+deb12u14',
  '3.0.17-1~deb12u2',
  '2.36-9+deb12u10',
  '2.41-12',
  '20250101123456789012345',
  '20250101123456789012346',
]

t.test('every pair is ordered as dpkg orders it', async t => {
  const pairs = versions.flatMap((a, index) => versions.slice(index).map(b => [a, b] as const))
  // One shell for all pairs: starting one from here for each would take a minute.
  const script =
    'while read -r a b; do for o in lt eq gt; do dpkg --compare-versions "$a" $o "$b" && echo $o && break; done; done'
  const input = `${pairs.map(pair => pair.join(' ')).join('\n')}\n`
  const oracle = spawnSync('sh', ['-c', script], { input, encoding: 'utf8' })
  const answers = oracle.stdout.trim().split('\n')
  t.equal(answers.length, pairs.length)
  const wrong = pairs.filter(([a, b], index) => {
    const order = Math.sign(compareVersions(a, b))
    return { lt: -1, eq: 0, gt: 1 }[answers[index] ?? ''] !== order || Math.sign(compareVersions(b, a)) + order !== 0
  })
  t.same(wrong, [])
})

t.test('relations', async t => {
  const holds = (['<<', '<=', '=', '>=', '>>'] as const).map(relation =>
    ['1.0~rc1', '1.0', '1.0-0', '1.0-1'].map(present => versionSatisfies(present, relation, '1.0')),
  )
  t.same(holds, [
    [true, false, false, false],
    [true, true, true, false],
    [false, true, true, false],
    [false, true, true, true],
    [false, false, false, true],
  ])
  t.ok(versionSatisfies('0', null, null))
})
