import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import t from 'tap'
import type { PolicyRule } from '../../lib/container/policy.js'
import { decide } from '../../lib/decide/decide.js'
import type { Decision, Host } from '../../lib/decide/types.js'
import { describeHost } from '../../lib/launch/describe-host.js'
import { knownHost, parseDescribedHost } from '../../lib/launch/known-host.js'
import { hostAt } from '../../lib/launch/machine.js'
import { remember } from '../../lib/loader/remember.js'
import { library } from '../container/tree.js'
import { debian, libraries, newStore, openIn, packInto, program, put, tree } from '../decide/scenario.js'
import { roots } from '../support/roots.js'

const store = newStore()
const again = (host: string) => parseDescribedHost(JSON.stringify(describeHost(store, host)))

const knownHosts = new Map<string, Host>()

/** What is decided for a tree itself, and for its description after a way through a file. */
function bothWays(
  home: string,
  host: string,
  entries: readonly string[] = ['app'],
  { opened = [], policy = [] }: { opened?: readonly string[]; policy?: readonly PolicyRule[] } = {},
) {
  const own = newStore()
  const { manifest } = packInto(own, home, entries, 'app', opened)
  const known = remember(knownHosts, host, () => knownHost(again(host)))
  const there = hostAt(host, {})
  // Whoever describes a host is in no directory there.
  const context = { ...there.context, workingDirectory: '/' }
  return {
    there: decide(manifest, { ...there, context, policy }, openIn(own)),
    here: decide(manifest, { ...known, policy }, openIn(own)),
  }
}

/** The order of what is laid over the host too. */
const flat = ({ placement, ...rest }: Decision) => ({ ...rest, placement: [...placement] })

const two = library('libtwo.so.1', 'int two(void) { return 2; }', 'TWO_1 { two; };')
const older = library('libtwo.so.1', 'int two(void) { return 1; } int gone(void) { return 1; }')
const app = program('int two(void); int main(void) { return two(); }', { 'libtwo.so.1': two })
const files = { '/usr/bin/app': app, [`${libraries}/libtwo.so.1`]: two }
const home = tree(files)

t.test('trees that have the library, have it not, or have another that neighbours go on asking', async t => {
  const neighbour = program('int gone(void); int main(void) { return gone(); }', { 'libtwo.so.1': older })
  const hosts = {
    same: tree({ [`${libraries}/libtwo.so.1`]: two }),
    none: tree({}),
    older: tree({ [`${libraries}/libtwo.so.1`]: older, '/usr/bin/neighbour': neighbour }),
    links: tree({ [`${libraries}/libtwo.so.1.0`]: older, [`${libraries}/libtwo.so.1`]: { link: 'libtwo.so.1.0' } }),
    script: tree({ [`${libraries}/libtwo.so.1`]: 'INPUT(libtwo.so.2)' }),
    cut: tree({ [`${libraries}/libtwo.so.1`]: two.subarray(0, 200) }),
    split: tree({ [`${libraries}/libtwo.so.1`]: two }, {}, 'split'),
  }
  for (const [what, host] of Object.entries(hosts)) {
    const { there, here } = bothWays(home, host)
    t.same(flat(here), flat(there), what)
  }
  t.ok(bothWays(home, hosts.older).here.problems.some(({ kind }) => kind === 'neighbour'))
})

t.test('a tree with a package database, and a preload', async t => {
  const control = { Package: 'app', Version: '2', Depends: 'libtwo1 (= 2)' }
  const lib = { Package: 'libtwo1', Version: '2', 'Multi-Arch': 'same' }
  const packed = debian([
    { control: lib, files: { [`${libraries}/libtwo.so.1`]: two, '/usr/share/two/data': 'new', '/var/lib/two/x': '' } },
    { control, files: { '/usr/bin/app': app } },
  ])
  const host = debian([
    {
      control: { ...lib, Version: '1' },
      files: { [`${libraries}/libtwo.so.1`]: older, '/usr/share/two/old': 'old', '/var/lib/two/y': '' },
    },
  ])
  put(host, '/etc/ld.so.preload', `${libraries}/libtwo.so.1\n`)
  const { there, here } = bothWays(packed, host)
  t.same(flat(here), flat(there))
  t.ok(here.placement.has('/usr/share/two/old'))
})

t.test('a driver that a file announces is shared', async t => {
  const icd = JSON.stringify({ ICD: { library_path: 'libtwo.so.1' } })
  const host = tree({ [`${libraries}/libtwo.so.1`]: older, '/usr/share/vulkan/icd.d/two.json': icd })
  const { there, here } = bothWays(home, host)
  t.same(flat(here), flat(there))
  t.equal(here.libraries.find(({ soname }) => soname === 'libtwo.so.1')?.choice, 'shared')
})

t.test('the very build, by its bytes where it has no build-id', async t => {
  const policy = [{ match: 'libtwo.so.1', strictness: 'identical' as const }]
  const longer = Buffer.concat([two.subarray(0, -1), Buffer.from([1])])
  for (const [bytes, choice] of [
    [two, 'shared'],
    [longer, 'private'],
  ] as const) {
    const { there, here } = bothWays(home, tree({ [`${libraries}/libtwo.so.1`]: bytes }), ['app'], { policy })
    t.same(flat(here), flat(there))
    t.equal(here.libraries.find(({ soname }) => soname === 'libtwo.so.1')?.choice, choice)
  }
})

t.test('a library with static TLS that a recorded run opened', async t => {
  const source =
    '__thread int many[100] __attribute__((tls_model("initial-exec"))) = {1}; int *tls(void) { return many; }'
  const path = `${libraries}/libtls.so.1`
  const tls = { [path]: library('libtls.so.1', source) }
  const { there, here } = bothWays(tree({ ...files, ...tls }), tree({ ...files, ...tls }), ['app'], { opened: [path] })
  t.same(flat(here), flat(there))
  t.ok(here.libraries.some(({ soname, choice }) => soname === 'libtls.so.1' && choice === 'shared'))
})

t.test('a system with musl', async t => {
  const loader = '/lib/ld-musl-x86_64.so.1'
  const core = { [`/usr${loader}`]: readFileSync(loader), '/usr/lib/libtwo.so.1': two }
  const flags = ['-nostdlib', `-Wl,--dynamic-linker=${loader}`]
  const start = program('int two(void); void _start(void) { two(); }', { 'libtwo.so.1': two }, flags)
  const { there, here } = bothWays(tree({ '/usr/bin/app': start }, core), tree({}, core))
  t.same(flat(here), flat(there))
  t.same(
    here.libraries.map(({ soname, choice }) => [soname, choice]),
    [
      ['ld-musl-x86_64.so.1', 'shared'],
      ['libtwo.so.1', 'shared'],
    ],
  )
})

t.test('real systems, and this machine', async t => {
  for (const host of [roots.trixie(), roots.bullseye(), '/'])
    for (const [from, entry] of [
      [roots.trixie(), 'curl'],
      [roots.bullseye(), 'sqlite3'],
      [roots.trixie(), 'python3'],
    ] as const) {
      const { there, here } = bothWays(from, host, [entry])
      t.same(flat(here), flat(there), `${entry} on ${host}`)
    }
})

t.test('this user and machine do not show', async t => {
  const described = again(tree(files))
  const { context } = knownHost({ ...described, cpu: { level: 3, intel: true } })
  t.same(context, { cpuLevel: 3, intel: true, libraryPath: [], preload: [], workingDirectory: '/' })
})

t.test('equal trees have equal descriptions', async t => {
  t.same(again(tree(files)), again(tree(files)))
})

t.test('nothing of what a user keeps', async t => {
  const root = mkdtempSync('/tmp/appc-known-')
  t.teardown(() => rmSync(root, { recursive: true }))
  put(root, '/usr/bin/app', app)
  put(root, '/etc/shadow', 'the secret')
  put(root, '/home/user/the-diary', 'the secret')
  const text = JSON.stringify(describeHost(store, root))
  t.notMatch(text, /secret|diary/)
})

t.test('a file that is no description, or one that contradicts itself', async t => {
  const good = JSON.parse(JSON.stringify(describeHost(store, tree(files))))
  t.ok(knownHost(parseDescribedHost(JSON.stringify(good))))
  const elf = good.elf.find(({ path }: { path: string }) => path.endsWith('libtwo.so.1'))
  const bad: Record<string, unknown> = {
    'no JSON': '{',
    nothing: null,
    'the short form': { schema: 'appc.inventory/1' },
    'another number': { ...good, schema: 'appc.host/2' },
    'an unknown key': { ...good, more: 1 },
    'a path that climbs': { ...good, directories: [{ ...good.directories[0], path: '/../x' }] },
    'a name with a slash': { ...good, directories: [{ ...good.directories[0], files: { 'a/b': [1, 0] } }] },
    'a name that climbs': { ...good, directories: [{ ...good.directories[0], others: ['..'] }] },
    'a negative size': { ...good, directories: [{ ...good.directories[0], files: { a: [-1, 0] } }] },
    'no directories': { ...good, directories: [] },
    'facts of no file': { ...good, elf: [{ ...elf, path: '/usr/bin/none' }] },
    'numbers of nothing': { ...good, strings: { shared: [], rest: [] } },
    'strings that do not fit': { ...good, strings: { shared: [9], rest: ['a'] } },
    'a rule that is none': { ...good, policy: [{ match: '' }] },
    'an error that is none': { ...good, closed: { '/usr': 'sorry' } },
    'a very long key': { ...good, ['k'.repeat(1 << 20)]: 1 },
  }
  for (const [what, value] of Object.entries(bad)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    try {
      knownHost(parseDescribedHost(text))
      t.fail(what)
    } catch (error) {
      t.match(error, { code: 'INVENTORY_INVALID', because: /./, hint: /appc inventory --complete/ }, what)
      t.ok((error as { because: string }).because.length < 5000, what)
    }
  }
})

t.test('libraries where only the cache leads, or a link among libraries', async t => {
  const bad = library('libtwo.so.1', 'int three(void) { return 3; }')
  const cached = tree({
    '/data/lib/libtwo.so.1': bad,
    [`${libraries}/libtwo.so.1`]: two,
    '/etc/ld.so.conf': '/data/lib\n',
  })
  execFileSync('ldconfig', ['-r', cached])
  const linked = tree({ '/data/two': two, [`${libraries}/libtwo.so.1`]: { link: '/data/two' } })
  for (const [host, choice] of [
    [cached, 'private'],
    [linked, 'shared'],
  ] as const) {
    const { there, here } = bothWays(home, host)
    t.equal(there.libraries.find(({ soname }) => soname === 'libtwo.so.1')?.choice, choice)
    t.same(flat(here), flat(there))
  }
})
