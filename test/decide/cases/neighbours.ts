import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { library } from '../../container/tree.js'
import { debian, inTree, libraries, mix, type Outcome, program, put, tree } from '../scenario.js'
import { at, becoming, byHand, loading, printing } from './by-hand.js'

const low = (functions: Readonly<Record<string, string>>) => {
  const names = Object.keys(functions)
  const versions = [...new Set(Object.values(functions))]
  const source = names.map((name, index) => `int ${name}(void) { return ${index + 1}; }`).join('\n')
  const of = (version: string) => names.filter(name => functions[name] === version).join('; ')
  return library('liblow.so.1', source, versions.map(version => `${version} { ${of(version)}; };`).join('\n'))
}
const hosts = low({ kept: 'LOW_1', removed: 'LOW_1', other: 'LOW_2' })
/** It lacks a symbol of a version that it has, and a version altogether; the application needs what it has more. */
const containers = low({ kept: 'LOW_1', fresh: 'LOW_3' })
const whole = { 'liblow.so.1': hosts }
const own = { 'liblow.so.1': containers }

const calls = (name: string, body: string, linked: Readonly<Record<string, Buffer>>) =>
  library(name, `int kept(void), removed(void), other(void), mid(void); int ${body}`, '', linked)
const between = calls('libmid.so.1', 'mid(void) { return removed(); }', whole)
const content = calls('libmid.so.1', 'mid(void) { return kept(); }', whole)

/** Every use that a host can make of a library: each a program, a plugin, or a library that a program needs. */
const users = {
  '/usr/bin/asks-symbol': printing(['removed'], whole),
  '/usr/bin/asks-version': printing(['other'], whole),
  '/usr/bin/asks-through': printing(['mid'], { 'libmid.so.1': between }),
  '/usr/bin/asks-kept': printing(['kept'], whole),
  '/usr/bin/asks-weakly': program(
    'int kept(void); int removed(void) __attribute__((weak)); int main(void) { return kept() - (removed ? 2 : 1); }',
    whole,
  ),
  '/usr/bin/has-its-own': program(
    'int mid(void); int removed(void) { return 0; } int main(void) { return mid(); }',
    { 'libmid.so.1': between },
    ['-rdynamic'],
  ),
  '/usr/bin/unrelated': program('int main(void) { return 0; }'),
  '/usr/bin/load': loading(),
  '/usr/lib/tool/plugin-symbol.so': calls('plugin-symbol.so', 'plug(void) { return removed(); }', whole),
  '/usr/lib/tool/plugin-through.so': calls('plugin-through.so', 'plug(void) { return mid(); }', {
    'libmid.so.1': between,
  }),
  '/usr/lib/tool/plugin-kept.so': calls('plugin-kept.so', 'plug(void) { return kept(); }', whole),
  // As the name service's modules are: beside the libraries, with a soname, and needed by nobody.
  [`${libraries}/libnss_made.so.2`]: calls('libnss_made.so.2', 'look(void) { return other(); }', whole),
  [`${libraries}/libnss_kept.so.2`]: calls('libnss_kept.so.2', 'look(void) { return kept(); }', whole),
}
const started = (path: string): readonly [string, ...string[]] =>
  path.includes('.so') ? ['/usr/bin/load', path] : [path]

/** The host's files that decision names as broken, with why. */
function named({ decision }: Outcome): Readonly<Record<string, string>> {
  const told = decision.problems.filter(({ kind }) => kind === 'neighbour').map(({ text }) => text)
  return Object.fromEntries(
    told.map(text => /^the host's (\S+) would not work inside: (.*)$/s.exec(text)?.slice(1) ?? [text, '']),
  )
}

/** Those of the host's users that work outside and not inside, as running each of them shows. */
function broken(outcome: Outcome, host: string, paths: readonly string[]): readonly string[] {
  return paths.filter(path => {
    const [command, ...args] = started(path)
    const outside = inTree(host, command, { LD_BIND_NOW: '1' }, args)
    const inside = outcome.run(command, ...args)
    return outside.status === 0 && inside.status !== 0
  })
}

const app = becoming('fresh', own)

t.test(
  'case 36: nothing helps: programs, plugins and modules as the name service’s that really break are named, no other',
  async t => {
    const host = tree({ ...at({ ...whole, 'libmid.so.1': between }), ...users })
    const outcome = mix(tree({ '/usr/bin/app': app, ...at(own) }), host)
    t.same(outcome.private, ['liblow.so.1'])
    t.ok(outcome.decision.runnable, 'the application itself can run')
    const removed = "needs the symbol removed@LOW_1, which the container's liblow.so.1 does not have"
    const other = (name: string) => `${name} needs LOW_2, which the container's liblow.so.1 does not define`
    const expected = {
      '/usr/bin/asks-symbol': `asks-symbol ${removed}`,
      '/usr/bin/asks-through': `libmid.so.1 ${removed}`,
      '/usr/bin/asks-version': other('asks-version'),
      '/usr/lib/tool/plugin-symbol.so': `plugin-symbol.so ${removed}`,
      '/usr/lib/tool/plugin-through.so': `libmid.so.1 ${removed}`,
      [`${libraries}/libnss_made.so.2`]: other('libnss_made.so.2'),
    }
    t.same(named(outcome), expected)
    t.same(broken(outcome, host, Object.keys(users)).toSorted(), Object.keys(expected).toSorted(), 'those fail inside')
    t.match(outcome.run('/usr/bin/asks-symbol'), {
      status: 127,
      stdout: /^app 2\n/,
      stderr: /undefined symbol: removed/,
    })
    t.match(outcome.run('/usr/bin/asks-kept'), { status: 0, stdout: 'app 2\n1\n' })
  },
)

t.test(
  'the library between: where the container holds it too it is taken, and the host’s program works inside',
  async t => {
    const packages = (lows: typeof whole, mid: Buffer) => [
      { control: { Package: 'liblow1' }, files: at(lows) },
      { control: { Package: 'libmid1', Depends: 'liblow1' }, files: at({ 'libmid.so.1': mid }) },
    ]
    // The application does not load libmid: it is there for something else in its package's dependencies.
    const appPackage = {
      control: { Package: 'app', Depends: 'liblow1, libmid1, libc6' },
      files: { '/usr/bin/app': app },
    }
    const through = { '/usr/bin/asks-through': users['/usr/bin/asks-through'] }
    const host = debian([...packages(whole, between), { control: { Package: 'through' }, files: through }])
    const outcome = mix(debian([...packages(own, content), appPackage]), host)
    t.same([outcome.private, outcome.problems()], [['liblow.so.1', 'libmid.so.1'], []])
    t.equal(
      outcome.why('libmid.so.1').split('\n')[0],
      "neighbours: the host's /usr/bin/asks-through would not work inside: libmid.so.1 needs the symbol removed@LOW_1, which the container's liblow.so.1 does not have",
    )
    t.match(
      byHand(host, '/usr/bin/asks-through', own),
      { status: 127, stderr: /libmid\.so\.1: undefined symbol: removed, version LOW_1/ },
      'liblow alone',
    )
    t.match(outcome.run('/usr/bin/asks-through'), { status: 0, stdout: 'app 2\n1\n' })
  },
)

t.test('a library that is broken by hand: one symbol less, and every use of it is tried', async t => {
  const names = ['first', 'second', 'third', 'fourth']
  const build = (present: readonly string[], version = '') =>
    library(
      'libhand.so.1',
      present.map(name => `int ${name}(void) { return 1; }`).join('\n'),
      version && `${version} { *; };`,
    )
  for (const version of ['', 'HAND_1']) {
    const complete = build(names, version)
    const uses = Object.fromEntries(
      names.flatMap((name, index) => [
        [`/usr/bin/uses-${name}`, printing([name], { 'libhand.so.1': complete })],
        [`/usr/bin/uses-${name}-too`, printing([name, names[(index + 1) % 4] as string], { 'libhand.so.1': complete })],
      ]),
    )
    const host = tree({ ...at({ 'libhand.so.1': complete }), ...uses })
    const lacking = build(['first', 'second', 'fourth', 'added'], version)
    const outcome = mix(
      tree({ '/usr/bin/app': becoming('added', { 'libhand.so.1': lacking }), ...at({ 'libhand.so.1': lacking }) }),
      host,
    )
    const expected = ['/usr/bin/uses-second-too', '/usr/bin/uses-third', '/usr/bin/uses-third-too']
    t.same(Object.keys(named(outcome)).toSorted(), expected, `named, ${version || 'no versions'}`)
    t.same(broken(outcome, host, Object.keys(uses)).toSorted(), expected, 'and failing')
  }
})

t.test('case 21: a private libstdc++ and a plugin of the host’s that needs a newer version', async t => {
  const stdcxx = (last: number, more = '') => {
    const versions = Array.from({ length: last }, (_, at) => `CXX_3.4.${at + 1} { f${at + 1}; };`).join('\n')
    const source = Array.from({ length: last }, (_, at) => `int f${at + 1}(void) { return ${at + 1}; }`).join('\n')
    return library('libcxx.so.6', `${source} ${more}`, versions.replace('f1;', more ? 'f1; own;' : 'f1;'))
  }
  const newer = stdcxx(3)
  // Newer in nothing but a symbol of its vendor's.
  const older = stdcxx(2, 'int own(void) { return 9; }')
  const plugin = library('driver.so', 'int f3(void); int draw(void) { return f3(); }', '', { 'libcxx.so.6': newer })
  const files = { '/usr/lib/dri/driver.so': plugin, '/usr/bin/load': loading(), ...at({ 'libcxx.so.6': newer }) }
  const host = tree(files)
  const outcome = mix(
    tree({ '/usr/bin/app': becoming('own', { 'libcxx.so.6': older }), ...at({ 'libcxx.so.6': older }) }),
    host,
  )
  t.same(outcome.private, ['libcxx.so.6'])
  t.same(outcome.problems(), [
    "neighbour: the host's /usr/lib/dri/driver.so would not work inside: driver.so needs CXX_3.4.3, which the container's libcxx.so.6 does not define",
  ])
  t.match(inTree(host, '/usr/bin/load', {}, ['/usr/lib/dri/driver.so']), { status: 0, stdout: 'loaded\n' })
  t.match(outcome.run('/usr/bin/load', '/usr/lib/dri/driver.so'), {
    status: 1,
    stdout: /version `CXX_3\.4\.3' not found/,
  })

  // Asked for nothing more than the host's has, it is shared, and the plugin loads.
  const modest = mix(
    tree({ '/usr/bin/app': becoming('f2', { 'libcxx.so.6': older }), ...at({ 'libcxx.so.6': older }) }),
    host,
  )
  t.same([modest.private, modest.problems()], [[], []])
  t.match(modest.run('/usr/bin/load', '/usr/lib/dri/driver.so'), { status: 0, stdout: 'app 2\nloaded\n' })
})

t.test('case 40: a program of the host’s as a child, with the private library and without what it lacks', async t => {
  const child = (name: string) => ({ [`/usr/bin/child-${name}`]: printing([name], whole) })
  const host = tree({ ...child('kept'), ...child('removed'), ...at(whole) })
  const home = tree({ '/usr/bin/app': app, ...at(own) })
  const outcome = mix(home, host)
  t.same(Object.keys(named(outcome)), ['/usr/bin/child-removed'])
  t.match(outcome.run('/usr/bin/child-kept'), { status: 0, stdout: 'app 2\n1\n' })
  t.match(outcome.run('/usr/bin/child-removed'), { status: 127, stderr: /undefined symbol: removed/ })
  // Mended on the host: at the next launch nobody is named, and it works.
  put(host, `${libraries}/liblow.so.1`, readFileSync(join(home, libraries, 'liblow.so.1')))
  put(host, '/usr/bin/child-removed', child('kept')['/usr/bin/child-kept'] as Buffer)
  const mended = mix(home, host)
  t.same([mended.private, mended.problems()], [[], []])
  t.match(mended.run('/usr/bin/child-removed'), { status: 0, stdout: 'app 2\n1\n' })
})
