import t from 'tap'
import { decide } from '../../lib/decide/decide.js'
import { hostAt } from '../../lib/launch/machine.js'
import { library } from '../container/tree.js'
import { libraries, mix, newStore, openIn, packInto, program, tree, withoutOthers } from './scenario.js'
import { onlyPlace, versionHash } from './versions.js'

const SAY = 'int printf(const char *, ...);\n'
const one = (value: number) => library('libone.so.1', `int one(void) { return ${value}; }`, 'ONE_1 { one; };')

t.test('presence: a library that the host has not is private', async t => {
  const lib = library('libone.so.1', 'int one(void) { return 7; }')
  const app = program(`${SAY}int one(void); int main(void) { return printf("%d\\n", one()) < 0; }`, {
    'libone.so.1': lib,
  })
  const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: lib })
  const host = tree({})
  const outcome = mix(home, host)
  t.same(outcome.private, ['libone.so.1'])
  t.equal(outcome.why('libone.so.1'), 'presence: app needs it and the host has none')
  t.match(withoutOthers(home, host), { status: 127, stderr: /libone\.so\.1: cannot open shared object file/ })
  t.match(outcome.run(), { status: 0, stdout: '7\n' })
})

t.test('case 1, case 3: one that the host’s library does not define', async t => {
  const newer = library(
    'libone.so.1',
    'int one(void) { return 1; } int two(void) { return 2; }',
    'ONE_1.9 { one; }; ONE_1.10 { two; } ONE_1.9;',
  )
  const older = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1.9 { one; };')
  const app = program(`${SAY}int two(void); int main(void) { return printf("%d\\n", two()) < 0; }`, {
    'libone.so.1': newer,
  })
  const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: newer })
  const host = tree({ [`${libraries}/libone.so.1`]: older })
  const outcome = mix(home, host)
  t.same(outcome.private, ['libone.so.1'])
  t.match(outcome.why('libone.so.1'), "versions: app (private) needs ONE_1.10; the host's ends at ONE_1.9")
  t.match(withoutOthers(home, host), { status: 1, stderr: /version `ONE_1\.10' not found/ })
  t.match(outcome.run(), { status: 0, stdout: '2\n' })

  const disjoint = library('libone.so.1', 'int one(void) { return 1; }', 'OTHER_4 { one; };')
  const other = mix(home, tree({ [`${libraries}/libone.so.1`]: disjoint }))
  t.match(other.why('libone.so.1'), "needs ONE_1.10; the host's defines no ONE_*")
})

t.test('case 2, case 6: a new one without a version, and one that its version should have', async t => {
  for (const script of ['', 'ONE_1 { *; };']) {
    const newer = library('libone.so.1', 'int one(void) { return 1; } int two(void) { return 2; }', script)
    const older = library('libone.so.1', 'int one(void) { return 1; }', script)
    const app = program(`${SAY}int two(void); int main(void) { return printf("%d\\n", two()) < 0; }`, {
      'libone.so.1': newer,
    })
    const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: newer })
    const host = tree({ [`${libraries}/libone.so.1`]: older })
    const outcome = mix(home, host)
    t.same(outcome.private, ['libone.so.1'])
    t.match(
      outcome.why('libone.so.1'),
      /^symbols: app \(private\) needs the symbol two(@ONE_1)?, which the host's libone\.so\.1 does not have$/,
    )
    t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol: two/ })
    t.match(outcome.run(), { status: 0, stdout: '2\n' })
  }
})

t.test(
  'case 4, case 5: a host library without versions serves who asks for one only where the symbol is there',
  async t => {
    const versioned = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
    const plain = library('libone.so.1', 'int one(void) { return 1; }')
    const app = program(`${SAY}int one(void); int main(void) { return printf("%d\\n", one()) < 0; }`, {
      'libone.so.1': versioned,
    })
    const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: versioned })
    const host = tree({ [`${libraries}/libone.so.1`]: plain })
    const outcome = mix(home, host)
    // The loader warns ("no version information available") and stops at an assertion when the symbol is bound (check_match).
    t.match(withoutOthers(home, host), { stderr: /no version information available/ })
    t.not(withoutOthers(home, host).status, 0)
    t.same(outcome.private, ['libone.so.1'])
    t.match(outcome.run(), { status: 0, stdout: '1\n' })

    const unversioned = program(`${SAY}int one(void); int main(void) { return printf("%d\\n", one()) < 0; }`, {
      'libone.so.1': plain,
    })
    const reverse = tree({ '/usr/bin/app': unversioned, [`${libraries}/libone.so.1`]: plain })
    const versionedHost = tree({ [`${libraries}/libone.so.1`]: versioned })
    t.same(mix(reverse, versionedHost).private, [], 'a reference without a version takes the oldest one')
    t.match(withoutOthers(reverse, versionedHost), { status: 0, stdout: '1\n' })
  },
)

t.test('case 8: what is weak, and was not there at home either, demands nothing', async t => {
  const one = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
  const source = `${SAY}int one(void); int two(void) __attribute__((weak));
    int main(void) { return printf("%d %s\\n", one(), two ? "two" : "none") < 0; }`
  const home = tree({ '/usr/bin/app': program(source, { 'libone.so.1': one }), [`${libraries}/libone.so.1`]: one })
  const outcome = mix(home, tree({ [`${libraries}/libone.so.1`]: one }))
  t.same([outcome.private, outcome.problems()], [[], []])
  t.match(outcome.run(), { status: 0, stdout: '1 none\n' })
})

t.test('case 7, case 8: a weak version demands nothing, a weak symbol that resolved at home does', async t => {
  const both = 'int one(void) { return 1; } int two(void) { return 2; }'
  const newer = library('libone.so.1', both, 'ONE_1 { one; }; ONE_2 { two; };')
  const app = program(
    `${SAY}int one(void); int two(void) __attribute__((weak));
    int main(void) { return printf("%d %s\\n", one(), two ? "two" : "none") < 0; }`,
    { 'libone.so.1': newer },
  )
  const home = tree({ '/usr/bin/app': markWeak(app, 'ONE_2'), [`${libraries}/libone.so.1`]: newer })
  const older = tree({
    [`${libraries}/libone.so.1`]: library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };'),
  })
  t.match(
    withoutOthers(home, older),
    { status: 0, stdout: '1 none\n' },
    'it would run, and be another program than at home',
  )
  const outcome = mix(home, older)
  t.same(outcome.private, ['libone.so.1'])
  t.match(outcome.why('libone.so.1'), /^symbols: app \(private\) needs the symbol two@ONE_2/)
  t.match(outcome.run(), { status: 0, stdout: '1 two\n' })

  // The version is gone and the symbol is still there, without one: what a version script does not name has none.
  const partlyVersioned = library('libone.so.1', both, 'ONE_1 { one; };')
  const plain = tree({ [`${libraries}/libone.so.1`]: partlyVersioned })
  const versions = mix(home, plain)
  t.match(withoutOthers(home, plain), { status: 0, stdout: '1 two\n' })
  t.same([versions.private, versions.problems()], [[], []])
  t.match(versions.why('libone.so.1'), 'versions: it defines the one version asked of it, ONE_1')
})

t.test('case 10: a symbol that moved to another library', async t => {
  const make = (inOne: string, inTwo: string) => ({
    one: library('libone.so.1', inOne),
    two: library('libtwo.so.1', inTwo),
  })
  const atHome = make('int moved(void) { return 1; } int a;', 'int other(void) { return 0; }')
  const onHost = make('int a;', 'int other(void) { return 0; } int moved(void) { return 2; }')
  const source = `${SAY}int moved(void); int other(void); int main(void) { return printf("%d\\n", moved() + other()) < 0; }`
  const app = program(source, { 'libone.so.1': atHome.one, 'libtwo.so.1': atHome.two })
  const place = ({ one, two }: typeof atHome) => ({
    [`${libraries}/libone.so.1`]: one,
    [`${libraries}/libtwo.so.1`]: two,
  })
  const home = tree({ '/usr/bin/app': app, ...place(atHome) })
  const host = tree(place(onHost))
  const outcome = mix(home, host)
  t.same(outcome.private, ['libone.so.1'])
  t.match(
    outcome.why('libone.so.1'),
    "symbols: app (private) takes moved from libone.so.1; here the host's libtwo.so.1 would supply it",
  )
  t.match(withoutOthers(home, host), { stdout: '2\n' }, 'another function of the same name')
  t.match(outcome.run(), { status: 0, stdout: '1\n' })
})

t.test('case 45: a copy relocation finds the size that it was linked for', async t => {
  const sized = (size: number) =>
    library('libone.so.1', `int table[${size}] = { 5 }; int last(void) { return table[${size - 1}]; }`)
  const source = `${SAY}extern int table[]; int last(void); int main(void) { return printf("%d %d\\n", table[0], last()) < 0; }`
  const app = program(source, { 'libone.so.1': sized(4) }, ['-no-pie', '-fno-pie'])
  const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: sized(4) })
  const host = tree({ [`${libraries}/libone.so.1`]: sized(4096) })
  const outcome = mix(home, host)
  t.same(outcome.private, ['libone.so.1'])
  t.match(
    outcome.why('libone.so.1'),
    "symbols: app (private) reserved 16 bytes for a copy of table; in the host's libone.so.1 it has 16384",
  )
  t.match(withoutOthers(home, host), { stderr: /Symbol `table' has different size/ })
  t.match(outcome.run(), { status: 0, stdout: '5 0\n', stderr: '' })
  t.same(mix(home, tree({ [`${libraries}/libone.so.1`]: sized(4) })).private, [])
})

t.test('the host’s own library that comes along is a consumer too', async t => {
  // The host's libtwo needs ONE_2 of libone; the container's libone, were it taken, ends at ONE_1.
  const short = one(1)
  const long = library(
    'libone.so.1',
    'int one(void) { return 2; } int more(void) { return 3; }',
    'ONE_1 { one; }; ONE_2 { more; };',
  )
  const twoAtHome = library('libtwo.so.1', 'int one(void); int two(void) { return one(); }', '', {
    'libone.so.1': short,
  })
  const twoOnHost = library('libtwo.so.1', 'int more(void); int two(void) { return more(); }', '', {
    'libone.so.1': long,
  })
  const source = `${SAY}int one(void); int two(void); int main(void) { return printf("%d %d\\n", one(), two()) < 0; }`
  const app = program(source, { 'libone.so.1': short, 'libtwo.so.1': twoAtHome })
  const home = tree({
    '/usr/bin/app': app,
    [`${libraries}/libone.so.1`]: short,
    [`${libraries}/libtwo.so.1`]: twoAtHome,
  })

  const complete = mix(home, tree({ [`${libraries}/libone.so.1`]: long, [`${libraries}/libtwo.so.1`]: twoOnHost }))
  t.same(complete.private, [], 'the host’s pair serves')
  t.match(complete.run(), { status: 0, stdout: '2 3\n' })

  const torn = mix(home, tree({ [`${libraries}/libtwo.so.1`]: twoOnHost }))
  t.same(torn.private, ['libone.so.1', 'libtwo.so.1'], 'the host’s libtwo cannot live with the container’s libone')
  t.match(torn.why('libtwo.so.1'), /^versions: libtwo\.so\.1 \(the host's\) needs ONE_2/)
  t.match(torn.run(), { status: 0, stdout: '1 1\n' })
})

t.test('a host’s library that lacks what it needs is replaced, from as far up as there is a copy', async t => {
  const absent = library('libabsent.so.1', 'int absent(void) { return 1; }')
  const lib = one(1)
  const app = program(`${SAY}int one(void); int main(void) { return printf("%d\\n", one()) < 0; }`, {
    'libone.so.1': lib,
  })
  const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: lib })
  const middle = library('libmiddle.so.1', 'int absent(void); int middle(void) { return absent(); }', '', {
    'libabsent.so.1': absent,
  })
  const direct = library('libone.so.1', 'int absent(void); int one(void) { return absent(); }', 'ONE_1 { one; };', {
    'libabsent.so.1': absent,
  })
  const far = library('libone.so.1', 'int middle(void); int one(void) { return middle(); }', 'ONE_1 { one; };', {
    'libmiddle.so.1': middle,
  })
  const hosts = [
    { [`${libraries}/libone.so.1`]: direct },
    { [`${libraries}/libone.so.1`]: far, [`${libraries}/libmiddle.so.1`]: middle },
  ]
  for (const host of hosts.map(files => tree(files))) {
    const outcome = mix(home, host)
    t.same(outcome.private, ['libone.so.1'])
    t.match(outcome.why('libone.so.1'), /^presence: on the host \S+ needs libabsent\.so\.1, and nothing here has it/)
    t.match(withoutOthers(home, host), { status: 127, stderr: /libabsent\.so\.1: cannot open/ })
    t.match(outcome.run(), { status: 0, stdout: '1\n' })
  }
})

t.test('case 49: a host’s file at which its loader would stop is replaced', async t => {
  const lib = one(1)
  const app = program(`${SAY}int one(void); int main(void) { return printf("%d\\n", one()) < 0; }`, {
    'libone.so.1': lib,
  })
  const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: lib })
  for (const content of ['', 'INPUT(libone.so.1.0)', lib.subarray(0, 200)]) {
    const host = tree({ [`${libraries}/libone.so.1`]: content })
    const outcome = mix(home, host)
    t.match(withoutOthers(home, host), {
      status: 127,
      stderr: /file too short|invalid ELF header|cannot read file data/,
    })
    t.same(outcome.private, ['libone.so.1'], outcome.problems().join())
    t.match(outcome.why('libone.so.1'), /cannot be loaded/)
    t.match(outcome.run(), { status: 0, stdout: '1\n' })
  }
})

t.test('nothing to fill a name: not runnable, one clear problem', async t => {
  const lib = one(1)
  const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': lib })
  const store = newStore()
  const { manifest } = packInto(store, tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: lib }))
  const files = manifest.files.filter(({ path }) => !path.includes('libone'))
  const decision = decide({ ...manifest, files }, hostAt(tree({}), {}), openIn(store))
  t.notOk(decision.runnable)
  const text = 'app needs libone.so.1, and nothing here has it'
  t.same(decision.problems, [{ kind: 'missing', text, sonames: ['libone.so.1'] }])
})

/** Sets VER_FLG_WEAK where a file needs this version (struct Elfxx_Vernaux: the name's hash, then the flags). */
function markWeak(file: Buffer, version: string): Buffer {
  const marked = Buffer.from(file)
  marked.writeUInt16LE(2, onlyPlace(file, versionHash(version)) + 4)
  return marked
}
