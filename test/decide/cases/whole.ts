import t from 'tap'
import { library } from '../../container/tree.js'
import { inTree, libraries, mix, put, tree, withoutOthers } from '../scenario.js'
import { at, becoming, printing } from './by-hand.js'

const z = (names: readonly string[], script: string) =>
  library('libz.so.1', names.map((name, index) => `int ${name}(void) { return ${index + 1}; }`).join('\n'), script)
/** The first release of a library, and the second, which has thrown out what the first had. */
const one = z(['old'], 'Z_1 { old; };')
const two = z(['fresh', 'young'], 'Z_1 { fresh; }; Z_2 { young; };')

t.test(
  'case 13: the host’s library needs libz of the second release, the application exactly that of the first',
  async t => {
    const png = (calls: string, linked: Buffer) =>
      library('libpng.so.1', `int ${calls}(void); int png(void) { return ${calls}() * 10; }`, 'PNG_1 { png; };', {
        'libz.so.1': linked,
      })
    const theirs = { 'libz.so.1': two, 'libpng.so.1': png('young', two) }
    const ours = { 'libz.so.1': one, 'libpng.so.1': png('old', one) }
    const home = tree({ '/usr/bin/app': printing(['old', 'png'], ours), ...at(ours) })
    const host = tree(at(theirs))
    const outcome = mix(home, host)
    t.same([outcome.private, outcome.problems()], [['libpng.so.1', 'libz.so.1'], []])
    t.equal(
      outcome.why('libz.so.1').split('\n')[0],
      "symbols: app (private) needs the symbol old@Z_1, which the host's libz.so.1 does not have",
    )
    t.equal(
      outcome.why('libpng.so.1').split('\n')[0],
      "versions: libpng.so.1 (the host's) needs Z_2; the container's ends at Z_1",
    )
    t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol: old, version Z_1/ }, 'the host’s pair')
    t.match(
      withoutOthers(home, host, ['libz.so.1']),
      { status: 1, stderr: /libz\.so\.1: version `Z_2' not found \(required by \S+\/libpng\.so\.1\)/ },
      'the host’s libpng with the container’s libz',
    )
    t.match(outcome.run(), { status: 0, stdout: '11\n' })

    // A program of the host's for which there is no libpng to take: it is told.
    const viewer = tree({
      '/usr/bin/viewer': printing(['gif'], { 'libgif.so.1': library('libgif.so.1', 'int gif(void) { return 1; }') }),
      ...at({
        'libz.so.1': two,
        'libgif.so.1': library('libgif.so.1', 'int young(void); int gif(void) { return young(); }', '', {
          'libz.so.1': two,
        }),
      }),
    })
    const home2 = tree({ '/usr/bin/app': becoming('old', { 'libz.so.1': one }), ...at({ 'libz.so.1': one }) })
    const torn = mix(home2, viewer)
    t.match(inTree(viewer, '/usr/bin/viewer'), { status: 0, stdout: '2\n' })
    t.same(torn.problems(), [
      "neighbour: the host's /usr/bin/viewer would not work inside: libgif.so.1 needs Z_2, which the container's libz.so.1 does not define",
    ])
    t.match(torn.run('/usr/bin/viewer'), { status: 1, stdout: 'app 1\n', stderr: /version `Z_2' not found/ })
  },
)

t.test('case 14: libraries that need each other, one of them private', async t => {
  const stub = library('libb.so.1', 'int b(int n) { return n; }')
  const a = (value: number, extra = '') =>
    library('liba.so.1', `int b(int); int a(int n) { return n ? b(n - 1) : ${value}; } ${extra}`, '', {
      'libb.so.1': stub,
    })
  const newer = a(7, 'int newer(void) { return a(3); }')
  const b = library('libb.so.1', 'int a(int); int b(int n) { return a(n); }', '', { 'liba.so.1': newer })
  const home = tree({
    '/usr/bin/app': printing(['newer'], { 'liba.so.1': newer }),
    ...at({ 'liba.so.1': newer, 'libb.so.1': b }),
  })
  const host = tree(at({ 'liba.so.1': a(5), 'libb.so.1': b }))
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.shared, outcome.problems()], [['liba.so.1'], ['libb.so.1'], []])
  t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol: newer/ })
  t.match(outcome.run(), { status: 0, stdout: '7\n' })
  t.same(mix(home, tree(at({ 'liba.so.1': newer, 'libb.so.1': b }))).private, [])
})

t.test(
  'case 41: what /etc/ld.so.preload brings into every process is a consumer, and may stand before others',
  async t => {
    const linked = { 'libz.so.1': two }
    const needsYoung = library('libpre.so', 'int young(void); int pre(void) { return young(); }', '', linked)
    const home = tree({ '/usr/bin/app': printing(['old'], { 'libz.so.1': one }), ...at({ 'libz.so.1': one }) })
    const host = tree({
      ...at({ ...linked, 'libpre.so': needsYoung }),
      '/etc/ld.so.preload': `${libraries}/libpre.so\n`,
    })
    const torn = mix(home, host)
    t.notOk(torn.decision.runnable)
    t.match(torn.problems().join('\n'), /^clash: .*libpre\.so \(the host's\) needs Z_2/s)
    t.match(withoutOthers(home, host, ['libz.so.1']), {
      status: 1,
      stderr: /version `Z_2' not found \(required by \S+libpre\.so\)/,
    })

    // One that replaces a function of the C library's, as allocators do, is what the host wants: nothing becomes private for it.
    const interposes = library('libpre.so', 'int getppid(void) { return 77; } int fresh(void) { return 50; }')
    const app = printing(['fresh', 'getppid'], { 'libz.so.1': two })
    const replaced = tree({ ...at({ 'libz.so.1': two }) })
    put(replaced, `${libraries}/libpre.so`, interposes)
    put(replaced, '/etc/ld.so.preload', `${libraries}/libpre.so\n`)
    const shared = mix(tree({ '/usr/bin/app': app, ...at({ 'libz.so.1': two }) }), replaced)
    t.same([shared.private, shared.problems()], [[], []])
    t.match(shared.run(), { status: 0, stdout: '127\n' })
  },
)

t.test('case 49: a host’s library without section headers serves; one that is cut short does not', async t => {
  const stripped = Buffer.from(two)
  // e_shoff, e_shnum and e_shstrndx.
  stripped.writeBigUInt64LE(0n, 40)
  stripped.writeUInt32LE(0, 60)
  const home = tree({ '/usr/bin/app': printing(['young'], { 'libz.so.1': two }), ...at({ 'libz.so.1': two }) })
  const odd = mix(home, tree(at({ 'libz.so.1': stripped })))
  t.same([odd.private, odd.problems()], [[], []])
  t.match(odd.run(), { status: 0, stdout: '2\n' })

  const host = tree(at({ 'libz.so.1': two.subarray(0, 1000) }))
  const short = mix(home, host)
  t.same([short.private, short.problems()], [['libz.so.1'], []])
  t.not(withoutOthers(home, host).status, 0)
  t.match(short.run(), { status: 0, stdout: '2\n' })
})
