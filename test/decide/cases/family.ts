import t from 'tap'
import { compile, library } from '../../container/tree.js'
import { debian, glibc, inTree, libraries, mix, program, tree, withoutOthers } from '../scenario.js'
import { newerLibc, onlyPlace, versionHash } from '../versions.js'
import { at, becoming, byHand, printing } from './by-hand.js'

/**
 * A C library of two halves that share an inside, as glibc had them until 2.33. `joined`: libthread is but a name, and what it
 * supplied is in libcore, as in glibc since.
 */
function core(build: string, { joined = false, newest = false } = {}): Readonly<Record<string, Buffer>> {
  const spawn = 'int spawn(void) { return 10; }'
  const inside = `int inside_${build}(void) { return 1; } int basic(void) { return 1; }`
  const more = newest ? 'int newest(void) { return 100; }' : ''
  const script = `CORE_1 { basic; ${joined ? 'spawn; ' : ''}}; ${newest ? 'CORE_2 { newest; } CORE_1;' : ''} CORE_PRIVATE { inside_${build}; };`
  const libcore = library('libcore.so.6', `${inside} ${more} ${joined ? spawn : ''}`, script)
  const stub = 'int unused(void) { return 0; }'
  const half = `int inside_${build}(void); int spawn(void) { return 9 + inside_${build}(); }`
  const libthread = library('libthread.so.0', joined ? stub : half, `CORE_1 { ${joined ? 'unused' : 'spawn'}; };`, {
    'libcore.so.6': libcore,
  })
  return { 'libcore.so.6': libcore, 'libthread.so.0': libthread }
}

const split = core('one')
const joined = core('two', { joined: true, newest: true })

t.test('case 15: one of a pair was packed: programs that need the host’s other are named', async t => {
  const pair = (build: string, more: string) => {
    const a = library(
      'liba.so.1',
      `int a(void) { return 1; } int inside_${build}(void) { return 1; } ${more}`,
      `A_1 { a; }; ${more && 'A_2 { newer; };'} A_PRIVATE { inside_${build}; };`,
    )
    const b = library('libb.so.1', `int inside_${build}(void); int b(void) { return inside_${build}(); }`, '', {
      'liba.so.1': a,
    })
    return { 'liba.so.1': a, 'libb.so.1': b }
  }
  const newer = pair('two', 'int newer(void) { return 2; }')
  const older = pair('one', '')
  const home = tree({
    '/usr/bin/app': becoming('newer', { 'liba.so.1': newer['liba.so.1'] }),
    ...at({ 'liba.so.1': newer['liba.so.1'] }),
  })
  const host = tree({
    '/usr/bin/needs-a': printing(['a'], { 'liba.so.1': older['liba.so.1'] }),
    '/usr/bin/needs-b': printing(['b'], older),
    ...at(older),
  })
  const outcome = mix(home, host)
  t.same(outcome.private, ['liba.so.1'])
  t.same(outcome.problems(), [
    "neighbour: the host's /usr/bin/needs-b would not work inside: libb.so.1 needs the symbol inside_one@A_PRIVATE, which the container's liba.so.1 does not have",
  ])
  t.match(inTree(host, '/usr/bin/needs-b'), { status: 0, stdout: '1\n' })
  t.match(outcome.run('/usr/bin/needs-b'), { status: 127, stderr: /undefined symbol: inside_one/ })
  t.match(outcome.run('/usr/bin/needs-a'), { status: 0, stdout: 'app 2\n1\n' })
  t.match(withoutOthers(home, host), { status: 1, stderr: /version `A_2' not found/ }, 'the host’s pair')
})

t.test('case 17: of an older C library and the host’s newer one, the host’s own libraries need theirs', async t => {
  const { libc, version, symbol } = newerLibc()
  const one = library('libone.so.1', 'int one(void) { return 1; }')
  const newest = compile(
    `extern void newest(void) __asm__("${symbol}"); void *volatile use; int one(void) { use = newest; return 1; }`,
    ['-shared', '-fPIC', '-Wl,-soname,libone.so.1'],
    { 'libc.so.6': libc },
  )
  const home = tree({ '/usr/bin/app': printing(['one'], { 'libone.so.1': one }), ...at({ 'libone.so.1': one }) })
  const host = tree(at({ 'libone.so.1': newest }), glibc(libraries, libc))
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.shared, outcome.problems()], [[], ['libone.so.1'], []])
  t.match(outcome.run(), { status: 0, stdout: '1\n' })
  t.match(
    withoutOthers(home, host, ['libc.so.6']),
    { status: 1, stderr: `version \`${version}' not found (required by ${libraries.replace('/usr', '')}/libone.so.1)` },
    'the container’s C library',
  )
})

t.test('case 18: threads moved into the C library: a new program on a host of two halves', async t => {
  const home = tree({
    '/usr/bin/app': becoming('spawn', { 'libcore.so.6': joined['libcore.so.6'] as Buffer }),
    ...at(joined),
  })
  const tool = printing(['basic', 'spawn'], split)
  const host = tree({ '/usr/bin/tool': tool, ...at(split) })
  const outcome = mix(home, host)
  t.same(
    [outcome.private, outcome.problems()],
    [['libcore.so.6', 'libthread.so.0'], []],
    'both, though one is not asked',
  )
  t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol: spawn, version CORE_1/ })
  t.match(
    byHand(host, '/usr/bin/tool', { 'libcore.so.6': joined['libcore.so.6'] as Buffer }),
    { status: 127, stderr: /undefined symbol: inside_one, version CORE_PRIVATE/ },
    'one of them alone',
  )
  t.match(outcome.run('/usr/bin/tool'), { status: 0, stdout: 'app 10\n11\n' }, 'its threads come from libcore now')
})

t.test('case 18: and an old program on a host where they have moved', async t => {
  const home = tree({ '/usr/bin/app': printing(['basic', 'spawn'], split), ...at(split) })
  const host = tree({ '/usr/bin/tool': printing(['newest'], joined), ...at(joined) })
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [[], []], 'in one family it may come from another member')
  t.match(outcome.run(), { status: 0, stdout: '11\n' })
  t.match(
    byHand(host, '/usr/bin/tool', split),
    { status: 1, stderr: /version `CORE_2' not found/ },
    'the container’s would break the host',
  )
})

t.test('case 19: packed relocations need GLIBC_ABI_DT_RELR of the C library', async t => {
  const source =
    'int printf(const char *, ...); int i = 7; int *p = &i; int main(void) { return printf("%d\\n", *p) < 0; }'
  const app = program(source, {}, ['-pie', '-fPIE', '-Wl,-z,pack-relative-relocs'])
  const [version, other] = ['GLIBC_ABI_DT_RELR', 'GLIBC_ABI_DT_NONE']
  const files = glibc()
  const libc = Buffer.from(files[`${libraries}/libc.so.6`] as Buffer)
  versionHash(other).copy(libc, onlyPlace(libc, versionHash(version)))
  libc.write(other, onlyPlace(libc, Buffer.from(`\0${version}\0`)) + 1)
  const home = tree({ '/usr/bin/app': app })
  const host = tree({}, glibc(libraries, libc))
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['ld-linux-x86-64.so.2', 'libc.so.6'], []])
  t.match(outcome.why('libc.so.6'), `versions: app (private) needs ${version}; the host's defines no ${version}`)
  t.match(withoutOthers(home, host), { status: 1, stderr: `version \`${version}' not found` })
  t.match(outcome.run(), { status: 0, stdout: '7\n' })
})

t.test('case 20: libcrypt.so.1 is of the C library on one side and a library of its own on the other', async t => {
  const crypt = 'int crypt_it(void) { return 5; }'
  const foreign = library('libcrypt.so.1', crypt, 'CORE_1 { crypt_it; };')
  const tied = library(
    'libcrypt.so.1',
    `int inside_one(void); ${crypt.replace('5', '4 + inside_one()')}`,
    'CORE_1 { crypt_it; };',
    {
      'libcore.so.6': split['libcore.so.6'] as Buffer,
    },
  )
  const packages = (libs: Readonly<Record<string, Buffer>>, own: Buffer) => [
    { control: { Package: 'libcore6' }, files: at(libs) },
    { control: { Package: 'libcrypt1' }, files: at({ 'libcrypt.so.1': own }) },
  ]
  const app = (value: string) => ({
    control: { Package: 'app', Depends: 'libcore6, libcrypt1, libc6' },
    files: {
      '/usr/bin/app': printing(['crypt_it', value], {
        'libcrypt.so.1': foreign,
        'libcore.so.6': joined['libcore.so.6'] as Buffer,
      }),
    },
  })
  const home = debian([...packages(joined, foreign), app('newest')])

  const host = debian(packages(split, tied))
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libcore.so.6', 'libcrypt.so.1', 'libthread.so.0'], []])
  t.match(
    withoutOthers(home, host, ['libcore.so.6', 'libthread.so.0']),
    { status: 127, stderr: /libcrypt\.so\.1: undefined symbol: inside_one, version CORE_PRIVATE/ },
    'the host’s is of its C library’s build',
  )
  t.match(outcome.run(), { status: 0, stdout: '105\n' })

  const modern = mix(home, debian(packages(core('one'), foreign)))
  t.same(
    [modern.private, modern.shared],
    [['libcore.so.6', 'libthread.so.0'], ['libcrypt.so.1']],
    'serves any C library',
  )
  t.match(modern.run(), { status: 0, stdout: '105\n' })
})
