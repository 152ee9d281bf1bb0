import t from 'tap'
import { parseRule } from '../../lib/container/policy.js'
import { decide } from '../../lib/decide/decide.js'
import { hostAt } from '../../lib/launch/machine.js'
import { library } from '../container/tree.js'
import { at } from './cases/by-hand.js'
import { debian, libraries, mix, newStore, openIn, packInto, program, tree, withoutOthers } from './scenario.js'

const SAY = 'int printf(const char *, ...);\n'
const lib = (value: number, more = '') => library('libone.so.1', `int one(void) { return ${value}; } ${more}`)
const app = program(`${SAY}int one(void); int main(void) { return printf("%d\\n", one()) < 0; }`, {
  'libone.so.1': lib(1),
})
const path = `${libraries}/libone.so.1`
const icd = (name: string) => JSON.stringify({ ICD: { library_path: name } })
const shipped = (version: string, file: Buffer) => ({
  control: { Package: 'libone1', Version: version },
  files: { [path]: file },
})
const home = debian([
  shipped('2.0', lib(2)),
  { control: { Package: 'app', Depends: 'libone1' }, files: { '/usr/bin/app': app } },
])
const host = debian([shipped('1.5', lib(1))])
const under = (...rules: string[]) => mix(home, host, ['app'], [], rules.map(parseRule))

t.test('without a policy the host’s serves', async t => {
  const outcome = under()
  t.same(outcome.private, [])
  t.match(outcome.run(), { status: 0, stdout: '1\n' })
})

t.test('private, whatever would serve; and the launch obeys', async t => {
  const outcome = under('libone.so.*=private')
  t.same(outcome.private, ['libone.so.1'])
  t.equal(outcome.why('libone.so.1'), 'policy: the policy has libone.so.1 private')
  t.match(outcome.run(), { status: 0, stdout: '2\n' })
})

t.test('a minimum of the package’s version', async t => {
  t.same(under('libone.so.1>=1.5').private, [])
  const outcome = under('libone.so.1>=1.6')
  t.equal(outcome.why('libone.so.1'), 'policy: the policy asks for at least 1.6 of libone.so.1; the host has 1.5')
  t.match(outcome.run(), { status: 0, stdout: '2\n' })
  const neither = under('libone.so.1>=3')
  t.notOk(neither.decision.runnable)
  t.same(neither.problems(), ["clash: the policy asks for at least 3 of libone.so.1; the container's is 2.0"])
  t.match(neither.run(), { status: 125, stderr: /at least 3 of libone\.so\.1/ })
  t.same(under('libone.so.1>=1.6', 'libone.so.1=shared').problems(), [
    "clash: the policy asks for at least 1.6 of libone.so.1; the host's, which is to be shared, is 1.5",
  ])
})

t.test('how strict: not older than packed, the very build', async t => {
  t.match(under('libone.so.1=not-older').why('libone.so.1'), /not older than 2\.0; the host has 1\.5/)
  t.match(under('libone.so.1=identical').why('libone.so.1'), /the very build/)
  t.same(under('*=not-older', 'libone.so.1=abi', 'libc*=abi', 'ld-*=abi').private, [])
  const same = mix(home, debian([shipped('2.0', lib(2))]), ['app'], [], ['libone.so.1=identical'].map(parseRule))
  t.same(same.private, [])
})

t.test('shared, and what that clashes with', async t => {
  const needs = program('int two(void); int main(void) { return two(); }', {
    'libone.so.1': lib(2, 'int two(void) { return 0; }'),
  })
  const from = tree({ '/usr/bin/app': needs, [path]: lib(2, 'int two(void) { return 0; }') })
  const to = tree({ [path]: lib(1) })
  t.match(withoutOthers(from, to), { status: 127, stderr: /undefined symbol: two/ })
  const outcome = mix(from, to, ['app'], [], [parseRule('libone.so.1=shared')])
  t.notOk(outcome.decision.runnable)
  t.same(outcome.problems(), [
    "clash: app (private) needs the symbol two, which the host's libone.so.1 does not have; the policy has libone.so.1 shared",
  ])
})

t.test('a packager’s policy holds on every host, a site’s comes after it', async t => {
  const store = newStore()
  const { manifest } = packInto(store, home)
  const packed = { ...manifest, policy: [parseRule('libone.so.1=private')] }
  const on = (...rules: string[]) =>
    decide(packed, { ...hostAt(host, {}), policy: rules.map(parseRule) }, openIn(store)).libraries.find(
      ({ soname }) => soname === 'libone.so.1',
    )?.choice
  t.same([on(), on('libone*=shared'), on('libtwo*=shared')], ['private', 'shared', 'private'])
})

t.test(
  'what is of one source with a driver is the host’s too, though the packages ask for exactly each other',
  async t => {
    const inside = (value: number) => library('libinside.so.1', `int inside(void) { return ${value}; }`)
    const driver = (value: number) =>
      library('libdriver.so.1', 'int inside(void); int draw(void) { return inside(); }', '', {
        'libinside.so.1': inside(value),
      })
    const packages = (value: number) => {
      const version = `${value}.0`
      const control = { Source: 'mesa', Version: version, 'Multi-Arch': 'same' }
      return [
        { control: { ...control, Package: 'libinside1' }, files: { [`${libraries}/libinside.so.1`]: inside(value) } },
        {
          control: {
            ...control,
            Package: 'libdriver1',
            Depends: `libinside1 (= ${version}), libfirst1 (>= ${version})`,
          },
          files: {
            [`${libraries}/libdriver.so.1`]: driver(value),
            '/usr/share/vulkan/icd.d/made.json': icd('libdriver.so.1'),
          },
        },
        {
          control: { Package: 'libfirst1', Version: version, 'Multi-Arch': 'same' },
          files: {
            [`${libraries}/libfirst.so.1`]: library('libfirst.so.1', `int first${value}(void) { return ${value}; }`),
          },
        },
      ]
    }
    const application = program(
      'int draw(void), first1(void); int printf(const char *, ...); int main(void) { return printf("%d %d\\n", draw(), first1()) < 0; }',
      { 'libdriver.so.1': driver(1), 'libfirst.so.1': library('libfirst.so.1', 'int first1(void) { return 1; }') },
    )
    const control = { Package: 'app', Depends: 'libdriver1, libfirst1 (= 1.0)' }
    const outcome = mix(
      debian([...packages(1), { control, files: { '/usr/bin/app': application } }]),
      debian(packages(2)),
    )
    t.same([outcome.private, outcome.packages(), outcome.problems()], [['libfirst.so.1'], ['app', 'libfirst1'], []])
    t.match(outcome.run(), { status: 0, stdout: '2 1\n' })
  },
)

t.test('a driver is the host’s', async t => {
  const driven = tree({ [path]: lib(1), '/usr/share/vulkan/icd.d/one.json': icd('libone.so.1') })
  const outcome = mix(home, driven, ['app'], [], [parseRule('libone.so.1=private')])
  t.same(outcome.private, [])
  t.match(outcome.run(), { status: 0, stdout: '1\n' })
  const without = mix(home, tree({ '/usr/share/vulkan/icd.d/one.json': icd('libone.so.1') }))
  t.same(without.private, ['libone.so.1'], 'a host that has it announced only')
})

t.test(
  'a symbol that has moved away from a library that is fixed as shared: told, and nothing else is taken for it',
  async t => {
    const own = { 'libone.so.1': library('libone.so.1', 'int one(void) { return 1; } int moved(void) { return 2; }') }
    const rest = { 'libtwo.so.1': library('libtwo.so.1', 'int two(void) { return 3; }') }
    const application = program(
      `${SAY}int one(void), moved(void), two(void); int main(void) { return printf("%d\\n", one() + moved() + two()) < 0; }`,
      { ...own, ...rest },
    )
    const host = tree(
      at({
        'libone.so.1': library('libone.so.1', 'int one(void) { return 1; }'),
        'libtwo.so.1': library('libtwo.so.1', 'int two(void) { return 3; } int moved(void) { return 2; }'),
      }),
    )
    const home = tree({ '/usr/bin/app': application, ...at({ ...own, ...rest }) })
    t.same(mix(home, host).private, ['libone.so.1'])
    const fixed = mix(home, host, ['app'], [], [parseRule('libone.so.1=shared')])
    t.same(
      [fixed.private, fixed.problems()],
      [
        ['libtwo.so.1'],
        [
          "clash: app (private) needs the symbol moved, which the host's libone.so.1 does not have; the policy has libone.so.1 shared",
        ],
      ],
    )
    t.match(fixed.run(), { status: 125, stdout: '' })
  },
)
