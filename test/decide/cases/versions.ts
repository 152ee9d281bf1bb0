import t from 'tap'
import { library } from '../../container/tree.js'
import { mix, tree, withoutOthers } from '../scenario.js'
import { at, byHand, printing } from './by-hand.js'

const ONE = 'int one(void) { return 1; }'
const TWO = 'int two(void) { return 2; }'
const older = library('libone.so.1', ONE)
const newer = library('libone.so.1', `${ONE} ${TWO}`)
const wantsNewer = printing(['one', 'two'], { 'libone.so.1': newer })
const wantsOlder = printing(['one'], { 'libone.so.1': older })

t.test('case 3: the same soname with other versions altogether', async t => {
  const curl = (version: number) =>
    library('libcurlish.so.4', 'int easy(void) { return 4; }', `CURL_OPENSSL_${version} { easy; };`)
  const app = printing(['easy'], { 'libcurlish.so.4': curl(4) })
  const home = tree({ '/usr/bin/app': app, ...at({ 'libcurlish.so.4': curl(4) }) })
  const host = tree(at({ 'libcurlish.so.4': curl(3) }))
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libcurlish.so.4'], []])
  t.equal(
    outcome.why('libcurlish.so.4'),
    "versions: app (private) needs CURL_OPENSSL_4; the host's ends at CURL_OPENSSL_3",
  )
  t.match(withoutOthers(home, host), { status: 1, stderr: /version `CURL_OPENSSL_4' not found/ })
  t.match(outcome.run(), { status: 0, stdout: '4\n' })
})

t.test('case 5: a reference without a version is not served by what is hidden', async t => {
  const plain = library('libone.so.1', ONE)
  const hidden = 'int first(void) { return 0; } int inner(void) { return 1; } __asm__(".symver inner, one@ONE_2");'
  const host = tree(at({ 'libone.so.1': library('libone.so.1', hidden, 'ONE_1 { first; }; ONE_2 { inner; };') }))
  const home = tree({ '/usr/bin/app': wantsOlder, ...at({ 'libone.so.1': plain }) })
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libone.so.1'], []])
  t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol: one/ })
  t.match(outcome.run(), { status: 0, stdout: '1\n' })
})

t.test('case 9: each reference has its own version, hidden or default', async t => {
  const script = 'ONE_1 { other; }; ONE_2 { } ONE_1;'
  const other = 'int other(void) { return 0; }'
  const first = 'int first(void) { return 1; } __asm__(".symver first, one@ONE_1");'
  const second = 'int second(void) { return 2; } __asm__(".symver second, one@@ONE_2");'
  const onlyOld = library('libone.so.1', `${ONE} ${other}`, 'ONE_1 { one; other; };')
  const home = tree({
    '/usr/bin/app': printing(['one'], { 'libone.so.1': onlyOld }),
    ...at({ 'libone.so.1': onlyOld }),
  })

  const both = mix(home, tree(at({ 'libone.so.1': library('libone.so.1', `${other} ${first} ${second}`, script) })))
  t.same([both.private, both.problems()], [[], []])
  t.match(both.run(), { status: 0, stdout: '1\n' }, 'the hidden one, as it was linked with')

  const host = tree(at({ 'libone.so.1': library('libone.so.1', `${other} ${second}`, script) }))
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libone.so.1'], []])
  t.match(outcome.why('libone.so.1'), 'needs the symbol one@ONE_1, which the host')
  t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol: one, version ONE_1/ })
  t.match(outcome.run(), { status: 0, stdout: '1\n' })
})

t.test('case 11: file names that tie say nothing: who serves, is asked', async t => {
  const home = tree({ '/usr/bin/app': wantsNewer, ...at({ 'libone.so.1': newer }) })
  const poorer = tree(at({ 'libone.so.1': older }))
  const outcome = mix(home, poorer)
  t.same([outcome.private, outcome.problems()], [['libone.so.1'], []])
  t.match(withoutOthers(home, poorer), { status: 127, stderr: /undefined symbol: two/ })
  t.match(outcome.run(), { status: 0, stdout: '3\n' })

  const modest = tree({ '/usr/bin/app': wantsOlder, ...at({ 'libone.so.1': older }) })
  const richer = mix(modest, tree(at({ 'libone.so.1': newer })))
  t.same([richer.private, richer.shared], [[], ['libone.so.1']])
  t.match(richer.run(), { status: 0, stdout: '1\n' })
})

t.test('case 12: nor do file names that mislead, 1.9 against 1.10', async t => {
  const named = (name: string, file: Buffer) => ({
    ...at({ [name]: file }),
    ...Object.fromEntries(Object.keys(at({ 'libone.so.1': file })).map(path => [path, { link: name }])),
  })
  // By its name the host's is the newer.
  const home = tree({ '/usr/bin/app': wantsNewer, ...named('libone.so.1.9', newer) })
  const host = tree(named('libone.so.1.10', older))
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libone.so.1'], []])
  t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol: two/ })
  t.match(outcome.run(), { status: 0, stdout: '3\n' })

  // And here it is the container's, which would break a program of the host's.
  const swapped = tree({ '/usr/bin/tool': wantsNewer, ...named('libone.so.1.9', newer) })
  const shared = mix(tree({ '/usr/bin/app': wantsOlder, ...named('libone.so.1.10', older) }), swapped)
  t.same([shared.private, shared.shared, shared.problems()], [[], ['libone.so.1'], []])
  t.match(byHand(swapped, '/usr/bin/tool', { 'libone.so.1': older }), { status: 127, stderr: /undefined symbol: two/ })
  t.match(shared.run(), { status: 0, stdout: '1\n' })
})
