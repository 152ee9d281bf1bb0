import t from 'tap'
import { compile, library } from '../container/tree.js'
import { debian, glibc, inTree, libraries, mix, program, tree, withoutOthers } from './scenario.js'
import { newerLibc } from './versions.js'

const SAY = 'int printf(const char *, ...);\n'

t.test('case 15: who shares a private version is of one build, in the closure or not', async t => {
  // libb belongs to liba, and only a program of the host needs it.
  const build = (internal: string, value: number, versions: string) => {
    const a = library(
      'liba.so.1',
      `int a(void) { return ${value}; } int ${internal}(void) { return ${value}; } int newer(void) { return 9; }`,
      versions.replace('INTERNAL', internal),
    )
    const b = library('libb.so.1', `int ${internal}(void); int b(void) { return ${internal}(); }`, 'B_1 { b; };', {
      'liba.so.1': a,
    })
    return { a, b, files: { [`${libraries}/liba.so.1`]: a, [`${libraries}/libb.so.1`]: b } }
  }
  const newer = build('inside_two', 2, 'A_1 { a; }; A_2 { newer; }; A_PRIVATE { INTERNAL; };')
  const older = build('inside_one', 1, 'A_1 { a; }; A_PRIVATE { INTERNAL; };')
  const app = program(
    `${SAY}int fflush(void *), execl(const char *, const char *, ...), a(void), newer(void);
    int main(void) { printf("app %d\\n", newer() ? a() : 0); fflush(0); return execl("/usr/bin/tool", "tool", (char *)0); }`,
    { 'liba.so.1': newer.a },
  )
  const tool = program(`${SAY}int b(void); int main(void) { return printf("tool %d\\n", b()) < 0; }`, {
    'libb.so.1': older.b,
  })
  const home = tree({ '/usr/bin/app': app, ...newer.files })
  const host = tree({ '/usr/bin/tool': tool, ...older.files })
  const outcome = mix(home, host)
  t.same(outcome.private, ['liba.so.1', 'libb.so.1'])
  t.match(outcome.why('liba.so.1'), 'versions: app (private) needs A_2')
  t.equal(
    outcome.why('libb.so.1'),
    'lockstep: libb.so.1 and liba.so.1 (private) are of one build: they share private symbols',
  )
  t.match(outcome.run(), { status: 0, stdout: 'app 2\ntool 2\n' })

  const torn = tree({ '/usr/bin/tool': tool, ...older.files, [`${libraries}/liba.so.1`]: newer.a })
  t.match(
    inTree(torn, '/usr/bin/tool', { LD_BIND_NOW: '1' }),
    { status: 127, stderr: /undefined symbol: inside_one/ },
    'one of them alone',
  )
  t.same(
    mix(tree({ '/usr/bin/app': tool, ...older.files }), host).private,
    [],
    'a program that the host’s serves takes neither',
  )
})

t.test('case 15: a private version that both builds define ties to neither: where it comes from does', async t => {
  // Every version and symbol resolves with the host's, whose build means something else by them.
  const versions = 'A_1 { a; }; A_PRIVATE { inside; };'
  const build = (value: number) =>
    library('liba.so.1', `int a(void) { return 1; } int inside(void) { return ${value}; }`, versions)
  const [ours, theirs] = [build(7), build(8)]
  const source = `${SAY}int inside(void); int main(void) { return printf("%d\\n", inside()) < 0; }`
  const home = tree({ '/usr/bin/app': program(source, { 'liba.so.1': ours }), [`${libraries}/liba.so.1`]: ours })
  const host = tree({ [`${libraries}/liba.so.1`]: theirs })
  const outcome = mix(home, host)
  t.same(outcome.private, ['liba.so.1'])
  t.match(outcome.why('liba.so.1'), "lockstep: app (private) and liba.so.1 (the host's) share A_PRIVATE")
  t.match(outcome.run(), { status: 0, stdout: '7\n' })
  t.match(withoutOthers(home, host), { status: 0, stdout: '8\n' }, 'the host’s would have answered otherwise')
})

t.test('case 16: a container of a newer C library takes it, and the loader, in one mount', async t => {
  const { libc, version, symbol } = newerLibc()
  const app = compile(
    `${SAY}extern void newest(void) __asm__("${symbol}"); void *volatile use;
    int main(void) { use = newest; return printf("runs\\n") < 0; }`,
    [],
    { 'libc.so.6': libc },
  )
  const home = tree({ '/usr/bin/app': app }, glibc(libraries, libc))
  const host = tree({})
  const outcome = mix(home, host)
  t.same(outcome.private, ['ld-linux-x86-64.so.2', 'libc.so.6'])
  t.match(outcome.why('libc.so.6'), `versions: app (private) needs ${version}; the host's ends at GLIBC_2.`)
  t.match(outcome.why('ld-linux-x86-64.so.2'), 'lockstep: ')
  t.match(withoutOthers(home, host), { status: 1, stderr: `version \`${version}' not found` })
  t.match(outcome.run(), { status: 0, stdout: 'runs\n' })
  t.same(
    new Set(
      [...outcome.decision.placement.keys()]
        .filter(path => /lib(c|64)|ld-/.test(path))
        .map(path => path.replace(/\/[^/]*$/, '')),
    ),
    new Set([libraries]),
  )
})

t.test('case 20: the same name-space without private versions: of the family where the package is', async t => {
  const a = library(
    'liba.so.1',
    'int a(void) { return 1; } int inside(void) { return 1; }',
    'A_1 { a; }; A_PRIVATE { inside; };',
  )
  const b = library('libb.so.1', 'int inside(void); int b(void) { return inside(); }', '', { 'liba.so.1': a })
  const plain = library('libplain.so.1', 'int plain(void) { return 1; }', 'A_1 { plain; };')
  const foreign = library('libforeign.so.1', 'int foreign(void) { return 1; }', 'A_1 { foreign; };')
  const linked = { 'liba.so.1': a, 'libb.so.1': b, 'libplain.so.1': plain, 'libforeign.so.1': foreign }
  const app = program(
    'int a(void), b(void), plain(void), foreign(void); int main(void) { return a() + b() + plain() + foreign() - 4; }',
    linked,
  )
  const at = (files: Record<string, Buffer>) =>
    Object.fromEntries(Object.entries(files).map(([name, file]) => [`${libraries}/${name}`, file]))
  const home = debian([
    {
      control: { Package: 'liba1', 'Multi-Arch': 'same' },
      files: at({ 'liba.so.1': a, 'libb.so.1': b, 'libplain.so.1': plain }),
    },
    { control: { Package: 'libforeign1' }, files: at({ 'libforeign.so.1': foreign }) },
    { control: { Package: 'app', Depends: 'liba1, libforeign1' }, files: { '/usr/bin/app': app } },
  ])
  // The host has all of them but libb.
  const outcome = mix(home, tree(at({ 'liba.so.1': a, 'libplain.so.1': plain, 'libforeign.so.1': foreign })))
  t.same(outcome.private, ['liba.so.1', 'libb.so.1', 'libplain.so.1'])
  t.match(outcome.run(), { status: 0 })
})
