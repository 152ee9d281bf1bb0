import t from 'tap'
import { packContainer } from '../../lib/container/pack.js'
import { parseRule } from '../../lib/container/policy.js'
import { compareHosts } from '../../lib/launch/compare.js'
import { hostNamed } from '../../lib/launch/hosts.js'
import { factsOf } from '../../lib/launch/remembered-facts.js'
import { library } from '../container/tree.js'
import { debian, libraries, newStore, program, tree } from '../decide/scenario.js'

const one = library('libone.so.1', 'int one(void) { return 1; }')
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })
const home = debian([
  { control: { Package: 'libone1', Version: '1.5' }, files: { [`${libraries}/libone.so.1`]: one } },
  { control: { Package: 'app', Version: '1', Depends: 'libone1' }, files: { '/usr/bin/app': app } },
])
const request = { include: [], withEssential: false, withDocumentation: false, withLocales: false }

function compare(hosts: readonly [string, string], policy: readonly string[] = []) {
  const store = newStore()
  packContainer({ ...request, root: home, name: 'app', entries: ['app'], policy: policy.map(parseRule) }, store)
  return compareHosts(store, 'app', [
    hostNamed(store, factsOf(store), hosts[0]),
    hostNamed(store, factsOf(store), hosts[1]),
  ])
}

const withOne = (bytes: Buffer, more = {}) => tree({ [`${libraries}/libone.so.1`]: bytes, ...more })

t.test('equal hosts', async t => {
  const host = withOne(one)
  const { hosts, libraries, packages } = compare([host, host])
  t.same([libraries, packages], [[], []])
  t.same(
    hosts.map(({ runnable }) => runnable),
    [true, true],
  )
})

t.test('shared on one and private on the other, by which file, and how much travels', async t => {
  const { hosts, libraries: differing } = compare([withOne(one), tree({})])
  t.match(differing, [
    {
      soname: 'libone.so.1',
      choices: [
        { choice: 'shared', file: null },
        {
          choice: 'private',
          reasons: [{ rule: 'presence' }],
          file: {
            path: `${libraries}/libone.so.1`,
            bytes: one.length,
            package: { name: 'libone1', version: '1.5' },
          },
        },
      ],
    },
  ])
  t.equal(differing.length, 1)
  t.equal(hosts[1].travel.bytes - hosts[0].travel.bytes, one.length)
  t.equal(hosts[1].travel.files - hosts[0].travel.files, 1)
})

t.test('what would mend it: the file of the other host, its package, or what a policy keeps from it', async t => {
  const bar = library('libbar.so.1', 'int bar(void) { return 1; }')
  const needy = library('libone.so.1', 'int bar(void); int one(void) { return bar(); }', '', { 'libbar.so.1': bar })
  const whole = debian([
    { control: { Package: 'libone1', Version: '1' }, files: { [`${libraries}/libone.so.1`]: needy } },
    { control: { Package: 'libbar1', Version: '3' }, files: { [`${libraries}/libbar.so.1`]: bar } },
  ])
  const { hosts } = compare([whole, withOne(needy)], ['libone.so.1=shared'])
  t.same(
    hosts.map(({ runnable }) => runnable),
    [true, false],
  )
  const [problem] = hosts[1].problems
  t.match(problem?.remedies, [
    { kind: 'include', file: { path: `${libraries}/libbar.so.1`, package: { name: 'libbar1', version: '3' } } },
    { kind: 'install', package: 'libbar1' },
    { kind: 'private', file: { path: `${libraries}/libone.so.1`, package: { name: 'libone1', version: '1.5' } } },
  ])
  const both = compare([withOne(needy), withOne(needy)], ['libone.so.1=shared'])
  t.same(
    both.hosts[0].problems[0]?.remedies.map(({ kind }) => kind),
    ['private'],
    'the other host is no help with what is wrong there too',
  )
})
