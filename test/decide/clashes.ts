import t from 'tap'
import { library } from '../container/tree.js'
import { debian, libraries, mix, program, tree, withoutOthers } from './scenario.js'

const SAY = 'int printf(const char *, ...);\n'
const at = (files: Record<string, Buffer>) =>
  Object.fromEntries(Object.entries(files).map(([name, file]) => [`${libraries}/${name}`, file]))

// At home both libraries use libcore.so.1; on the host, libmid.so.1 was built against libcore.so.2, which keeps a state of its own.
const core = (version: number) =>
  library(`libcore.so.${version}`, `int state = ${version}; int core(void) { return state; }`)
const mid = (version: number) =>
  library('libmid.so.1', `int core(void); int mid(void) { return core() * 10 + ${version}; }`, '', {
    [`libcore.so.${version}`]: core(version),
  })
const app = program(
  `${SAY}int core(void), mid(void); int main(void) { return printf("%d %d\\n", core(), mid()) < 0; }`,
  {
    'libmid.so.1': mid(1),
    'libcore.so.1': core(1),
  },
)
const home = tree({ '/usr/bin/app': app, ...at({ 'libmid.so.1': mid(1), 'libcore.so.1': core(1) }) })

t.test('two sonames of one library in a process are avoided where the container can', async t => {
  const host = tree(at({ 'libmid.so.1': mid(2), 'libcore.so.2': core(2), 'libcore.so.1': core(1) }))
  const outcome = mix(home, host)
  t.same(outcome.private, ['libmid.so.1'])
  t.match(
    outcome.why('libmid.so.1'),
    /^symbols: libcore\.so\.1 \(the host's\) and libcore\.so\.2 \(the host's\), in one process, are one library under two sonames: libcore\.so\.1 is brought by the program, libcore\.so\.2 by libmid\.so\.1$/m,
  )
  t.match(withoutOthers(home, host), { status: 0, stdout: '1 12\n' }, 'the second libmid calls the first libcore')
  t.match(outcome.run(), { status: 0, stdout: '1 11\n' })
})

t.test('where nothing can avoid it, it is told, and runs', async t => {
  const alone = tree({
    '/usr/bin/app': program(`${SAY}int core(void); int main(void) { return printf("%d\\n", core()) < 0; }`, {
      'libcore.so.1': core(1),
    }),
    ...at({ 'libcore.so.1': core(1) }),
  })
  const extra = library('libcore.so.1', 'int other(void); int core(void) { return other(); }', '', {
    'libother.so.1': library('libother.so.1', 'int other(void) { return 5; } int core(void) { return 6; }'),
  })
  const other = library('libother.so.1', 'int other(void) { return 5; } int core(void) { return 6; }')
  const outcome = mix(alone, tree(at({ 'libcore.so.1': extra, 'libother.so.1': other })))
  t.same(outcome.private, ['libcore.so.1'], 'the container’s own brings nothing along')
  t.match(outcome.run(), { status: 0, stdout: '1\n' })
})

t.test('what was together at home is no clash', async t => {
  const both = { 'libmid.so.1': mid(2), 'libcore.so.2': core(2), 'libcore.so.1': core(1) }
  const from = tree({ '/usr/bin/app': app, ...at(both) })
  const outcome = mix(from, tree(at(both)))
  t.same([outcome.private, outcome.problems()], [[], []])
})

t.test('libraries of one source that hold a copy of the same are meant to be together', async t => {
  const client = (more = '') =>
    library('libclient.so.0', `int helper(void) { return 1; } int client(void) { return 2; } ${more}`)
  const server = library('libserver.so.0', 'int helper(void) { return 1; } int server(void) { return 3; }')
  // On the host something brings the second along.
  const tool = (linked: Readonly<Record<string, Buffer>>) =>
    library(
      'libtool.so.1',
      'int server(void); int tool(void) { return 4; } int with(void) { return server(); }',
      '',
      linked,
    )
  const own = library('libtool.so.1', 'int tool(void) { return 4; }')
  const application = program(
    `${SAY}int newer(void), tool(void); int main(void) { return printf("%d %d\\n", newer(), tool()) < 0; }`,
    { 'libclient.so.0': client('int newer(void) { return 5; }'), 'libtool.so.1': own },
  )
  const packages = (source: string, version: string, files: Readonly<Record<string, Buffer>>, toolFile: Buffer) => [
    ...Object.entries(files).map(([name, file]) => ({
      control: { Package: name.split('.')[0] as string, Source: source, Version: version },
      files: at({ [name]: file }),
    })),
    { control: { Package: 'libtool1', Version: version }, files: at({ 'libtool.so.1': toolFile }) },
  ]
  const host = debian(
    packages('wire', '1', { 'libclient.so.0': client(), 'libserver.so.0': server }, tool({ 'libserver.so.0': server })),
  )
  const control = { Package: 'app', Depends: 'libclient, libserver, libtool1, libc6' }
  const homeOf = (source: string) =>
    debian([
      ...packages(source, '2', { 'libclient.so.0': client('int newer(void) { return 5; }') }, own),
      ...packages('wire', '2', { 'libserver.so.0': server }, own).slice(0, 1),
      { control, files: { '/usr/bin/app': application } },
    ])
  const outcome = mix(homeOf('wire'), host)
  t.same([outcome.private, outcome.problems()], [['libclient.so.0'], []])
  t.match(outcome.run(), { status: 0, stdout: '5 4\n' })
  t.same(mix(homeOf('another'), host).private, ['libclient.so.0', 'libtool.so.1'], 'two strangers')
})
