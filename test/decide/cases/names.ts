import t from 'tap'
import { buildElf } from '../../../lib/testing/index.js'
import { library } from '../../container/tree.js'
import { debian, inTree, libraries, mix, tree, withoutOthers } from '../scenario.js'
import { at, byHand, printing } from './by-hand.js'

const ONE = 'int one(void) { return 1; }'
const TWO = 'int two(void) { return 2; }'
const older = library('libone.so.1', ONE)
const newer = library('libone.so.1', `${ONE} ${TWO}`)
const linked = { 'libone.so.1': newer }
const appPackage = (files: Parameters<typeof tree>[0]) => [{ control: { Package: 'app', Depends: 'libc6' }, files }]

t.test('case 22: by RPATH the libraries of a library are found too, by RUNPATH not', async t => {
  // The program needs libmid, which the host has as well, and libmid needs libone, which the application ships for itself.
  const mid = library('libmid.so.1', 'int two(void); int mid(void) { return two(); }', '', linked)
  const own = { '/usr/lib/app/libone.so.1': newer }
  const build = (tags: string) =>
    printing(['mid'], { 'libmid.so.1': mid }, ['-Wl,-rpath,/usr/lib/app', `-Wl,--${tags}-new-dtags`])
  const midPackage = { control: { Package: 'libmid1' }, files: at({ 'libmid.so.1': mid }) }
  const host = debian([midPackage, { control: { Package: 'libone1' }, files: at({ 'libone.so.1': older }) }])

  const rpath = debian([midPackage, ...appPackage({ '/usr/bin/app': build('disable'), ...own })])
  t.match(inTree(rpath, '/usr/bin/app'), { status: 0, stdout: '2\n' })
  const byRpath = mix(rpath, host)
  t.same([byRpath.shared, byRpath.problems()], [['libmid.so.1'], []], 'the host’s libmid gets the application’s libone')
  t.ok(byRpath.decision.placement.has('/usr/lib/app/libone.so.1'))
  t.match(withoutOthers(rpath, host), { status: 127, stderr: /undefined symbol: two/ })
  t.match(byRpath.run(), { status: 0, stdout: '2\n' })

  const onePackage = { control: { Package: 'libone1' }, files: at({ 'libone.so.1': newer }) }
  const runpath = debian([midPackage, onePackage, ...appPackage({ '/usr/bin/app': build('enable'), ...own })])
  t.match(inTree(runpath, '/usr/bin/app'), { status: 0, stdout: '2\n' })
  const byRunpath = mix(runpath, host)
  t.same([byRunpath.private, byRunpath.problems()], [['libone.so.1'], []])
  t.ok(byRunpath.decision.placement.has(`${libraries}/libone.so.1`), 'what lies in /usr/lib/app is not found')
  t.match(withoutOthers(runpath, host), { status: 127, stderr: /undefined symbol: two/ })
  t.match(byRunpath.run(), { status: 0, stdout: '2\n' })
})

t.test('case 23: $ORIGIN of a program that is started by a link is where the program lies', async t => {
  const app = printing(['one', 'two'], linked, ['-Wl,-rpath,$ORIGIN/../lib', '-Wl,--enable-new-dtags'])
  const files = {
    '/usr/lib/app/bin/app': app,
    '/usr/lib/app/lib/libone.so.1': newer,
    '/usr/bin/app': { link: '../lib/app/bin/app' },
  }
  const home = debian(appPackage(files))
  const host = debian([{ control: { Package: 'libone1' }, files: at({ 'libone.so.1': older }) }])
  const outcome = mix(home, host)
  t.same(outcome.problems(), [])
  t.match(outcome.run(), { status: 0, stdout: '3\n' })
  t.match(withoutOthers(home, host, [], '/usr/lib/app/bin/app'), { status: 127, stderr: /undefined symbol: two/ })
})

t.test('case 24: a name with a slash is a path: the file that lies there', async t => {
  const path = '/usr/lib/vendor/libabsolute.so'
  const [old, young] = [ONE, `${ONE} ${TWO}`].map(source => library(path, source)) as [Buffer, Buffer]
  const home = tree({ '/usr/bin/app': printing(['two'], { 'libabsolute.so': young }), [path]: young })
  t.match(inTree(home, '/usr/bin/app'), { status: 0, stdout: '2\n' })
  const host = tree({ [path]: old, ...at({ 'libabsolute.so': young }) })
  const outcome = mix(home, host)
  t.same(outcome.problems(), [])
  t.ok(outcome.decision.placement.has(path))
  t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol: two/ })
  t.match(outcome.run(), { status: 0, stdout: '2\n' })
  t.match(mix(home, tree({})).run(), { status: 0, stdout: '2\n' }, 'a host that has none')
})

t.test('case 25: a file is found by its name, whatever its soname', async t => {
  // Linked when it had no soname: what is asked for is the file's name.
  const nameless = (source: string) => library('libfile.so', source)
  const app = printing(['two'], { 'libfile.so': nameless(`${ONE} ${TWO}`) })
  const file = (source: string) => library('libsoname.so.1', source)
  const home = tree({ '/usr/bin/app': app, ...at({ 'libfile.so': file(`${ONE} ${TWO}`) }) })
  t.match(inTree(home, '/usr/bin/app'), { status: 0, stdout: '2\n' })
  const poorer = tree(at({ 'libfile.so': file(ONE) }))
  const without = tree(at({ 'libsoname.so.1': file(`${ONE} ${TWO}`) }))
  for (const [host, refusal] of [
    [poorer, /undefined symbol: two/],
    [without, /libfile\.so: cannot open shared object file/],
  ] as const) {
    const outcome = mix(home, host)
    t.match(withoutOthers(home, host), { status: 127, stderr: refusal })
    t.same([outcome.private, outcome.problems()], [['libsoname.so.1'], []])
    t.match(outcome.run(), { status: 0, stdout: '2\n' })
  }
  t.same(mix(home, tree(at({ 'libfile.so': file(`${ONE} ${TWO}`) }))).private, [])
})

t.test('case 28: twins for i386 and x32 in the way are neither taken nor covered', async t => {
  const home = tree({ '/usr/bin/app': printing(['two'], linked), '/usr/lib/libone.so.1': newer })
  for (const [what, machine] of [
    ['i386', 3],
    ['x32', 62],
  ] as const) {
    const twin = buildElf({ class: 32, machine, soname: 'libone.so.1', defines: ['one', 'two'] })
    const path = '/usr/lib/libone.so.1'
    const host = tree({ [path]: twin })
    const outcome = mix(home, host)
    t.same([outcome.private, outcome.problems()], [['libone.so.1'], []], what)
    t.notOk(outcome.decision.placement.has(path), 'its own programs go on finding it')
    t.match(withoutOthers(home, host), { status: 127, stderr: /libone\.so\.1: (cannot open|wrong ELF class)/ })
    t.match(outcome.run(), { status: 0, stdout: '2\n' })

    const both = tree({ [`${libraries}/libone.so.1`]: twin, [path]: newer })
    t.same(mix(home, both).private, [], 'the loader passes it over, and so do we')
    t.match(mix(home, both).run(), { status: 0, stdout: '2\n' })
  }
  t.match(byHand(home, '/usr/bin/app', { 'libone.so.1': older }), { status: 127, stderr: /undefined symbol: two/ })
})
