import t from 'tap'
import { library } from '../container/tree.js'
import { type Content, debian, libraries, mix, program, put, tree, withoutOthers } from './scenario.js'

const SAY = 'int printf(const char *, ...);\n'

/** A library that knows its version, and a program that insists on the one that it was built with, as sqlite3 does. */
const libid = (id: number) => library('libid.so.1', `int id(void) { return ${id}; }`)
const insists = (id: number) =>
  program(
    `${SAY}int id(void); int main(void) { printf(id() == ${id} ? "runs\\n" : "header and source version mismatch\\n"); return id() != ${id}; }`,
    { 'libid.so.1': libid(id) },
  )
const libidPackage = (version: number, name = 'libid1') => ({
  control: { Package: name, Version: `${version}.0`, 'Multi-Arch': 'same' },
  files: { [`${libraries}/libid.so.1`]: libid(version) },
})
const appPackage = (depends: string, files: Record<string, Content>) => ({
  control: { Package: 'app', Depends: depends },
  files,
})

t.test('an exact dependency: resolves every symbol, and refuses to run', async t => {
  const home = debian([libidPackage(2), appPackage('libid1 (= 2.0)', { '/usr/bin/app': insists(2) })])
  const host = debian([libidPackage(1)])
  const outcome = mix(home, host)
  t.same(outcome.private, ['libid.so.1'])
  t.equal(outcome.why('libid.so.1'), 'lockstep: app (private) depends on libid1 (= 2.0); the host has libid1 1.0')
  t.match(withoutOthers(home, host), { status: 1, stdout: 'header and source version mismatch\n' })
  t.match(outcome.run(), { status: 0, stdout: 'runs\n' })
  t.same(mix(home, debian([libidPackage(2)])).private, [])
})

t.test('a least version of a package of libraries: resolves every symbol, and refuses to run', async t => {
  const home = debian([libidPackage(2), appPackage('libid1 (>= 2.0)', { '/usr/bin/app': insists(2) })])
  const host = debian([libidPackage(1)])
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.packages()], [['libid.so.1'], ['app', 'libid1']])
  t.equal(outcome.why('libid.so.1'), 'versions: app (private) depends on libid1 (>= 2.0); the host has libid1 1.0')
  t.match(withoutOthers(home, host), { status: 1, stdout: 'header and source version mismatch\n' })
  t.match(outcome.run(), { status: 0, stdout: 'runs\n' })
  t.same(mix(home, debian([libidPackage(3)])).private, [], 'a host that has a newer one')
})

t.test('a dependency on libraries that the host has under another package name takes nothing', async t => {
  const home = debian([libidPackage(2, 'libid1t64'), appPackage('libid1t64 (>= 2)', { '/usr/bin/app': insists(2) })])
  // Debian 13 renamed hundreds of packages when time_t grew, most of them without any change on 64-bit machines.
  const renamed = {
    control: { Package: 'libid1', Version: '1.9', 'Multi-Arch': 'same' },
    files: { [`${libraries}/libid.so.1`]: libid(2) },
  }
  const outcome = mix(home, debian([renamed]))
  t.same([outcome.private, outcome.packages(), outcome.problems()], [[], ['app'], []])
  t.match(outcome.run(), { status: 0, stdout: 'runs\n' })
  t.same(mix(home, debian([])).private, ['libid.so.1'], 'a host that has none of it')
})

t.test('a host’s package that depends on exactly the version that is replaced is replaced too', async t => {
  const tool = (version: number) => ({
    control: { Package: 'id-tool', Version: `${version}.0`, Depends: `libid1 (= ${version}.0)` },
    files: { '/usr/bin/id-tool': insists(version), '/usr/share/id-tool/data': `${version}` },
  })
  const app = program(
    `${SAY}int id(void), fflush(void *), execl(const char *, const char *, ...);
    int main(void) { printf("app %d\\n", id()); fflush(0); return execl("/usr/bin/id-tool", "id-tool", (char *)0); }`,
    { 'libid.so.1': libid(2) },
  )
  const home = debian([libidPackage(2), tool(2), appPackage('libid1 (= 2.0), id-tool', { '/usr/bin/app': app })])
  const host = debian([libidPackage(1), tool(1)])
  const outcome = mix(home, host)
  t.same(outcome.packages(), ['app', 'id-tool', 'libid1'])
  t.match(
    outcome.decision.packages.find(({ name }) => name === 'id-tool')?.reasons[0]?.text,
    "the host's id-tool 1.0 depends on libid1 (= 1.0), and libid1 is the container's 2.0",
  )
  t.match(outcome.run(), { status: 0, stdout: 'app 2\nruns\n' })
})

t.test('the own package is private as a whole, its libraries too, whatever the host has', async t => {
  const files = { '/usr/bin/app': insists(2), [`${libraries}/libid.so.1`]: libid(2), '/usr/share/app/data': 'home' }
  const home = debian([appPackage('libc6', files)])
  const host = debian([appPackage('libc6', { ...files, '/usr/share/app/data': 'host', '/usr/share/app/old': 'host' })])
  const outcome = mix(home, host)
  t.same(outcome.private, ['libid.so.1'])
  t.equal(outcome.why('libid.so.1'), 'policy: app 1.0 is what was packed')
  t.ok(outcome.decision.placement.get('/usr/share/app/data'))
  t.same(outcome.hidden(), ['/usr/share/app/old'])
  t.match(outcome.run(), { status: 0, stdout: 'runs\n' })
})

t.test('a package that is no library: the host’s where its version does, else as a whole', async t => {
  // Prints each file of the two directories with its first word.
  const list = `#include <dirent.h>
    #include <stdio.h>
    #include <stdlib.h>
    int main(void) {
      const char *directories[] = { "/usr/share/data", "/usr/share/both" };
      for (int d = 0; d < 2; d++) {
        struct dirent **found;
        int count = scandir(directories[d], &found, 0, alphasort);
        for (int i = 0; i < count; i++) {
          char path[512], word[64] = "-";
          if (found[i]->d_name[0] == '.') continue;
          snprintf(path, sizeof path, "%s/%s", directories[d], found[i]->d_name);
          FILE *file = fopen(path, "r");
          if (file && fscanf(file, "%63s", word) != 1) word[0] = '-';
          printf("%s %s\\n", path + 11, word);
        }
      }
    }`
  const data = (version: number, files: Record<string, Content>) => ({
    control: { Package: 'data', Version: `${version}.0`, Architecture: 'all' },
    files: { '/usr/share/data/kept': `v${version}`, '/usr/share/data/sub/kept': `v${version}`, ...files },
  })
  const homeWith = (wanted: string) =>
    debian([
      data(2, { '/usr/share/data/new': 'v2', '/usr/share/both/of-data': 'v2' }),
      appPackage(`data (${wanted}), libc6`, { '/usr/bin/app': program(list) }),
    ])
  const host = debian([
    data(1, {
      '/usr/share/data/gone': 'v1',
      '/usr/share/both/of-data': 'v1',
      '/usr/share/both/old-of-data': 'v1',
      '/usr/share/doc/data/copyright': 'v1',
      '/etc/data.conf': 'v1',
    }),
    {
      control: { Package: 'other' },
      files: { '/usr/share/both/of-other': 'other', '/usr/share/data/plugin/of-other': 'other' },
    },
  ])
  // Made when the package was set up (a cache, compiled modules): belongs to the version that is there.
  put(host, '/usr/share/data/cache', 'generated')
  put(host, '/usr/share/data/sub/cache', 'generated')
  put(host, '/usr/share/both/local', 'of-nobody')

  const satisfied = mix(homeWith('>= 1'), host)
  t.same([satisfied.packages(), satisfied.hidden()], [['app'], []])
  t.match(satisfied.run(), { stdout: /data\/gone v1\n.*data\/kept v1\n/s })

  const unsatisfied = mix(homeWith('>= 2'), host)
  t.same(unsatisfied.packages(), ['app', 'data'])
  // Whose /usr/share/data/cache is cannot be known, since another package ships something beside it.
  t.same(unsatisfied.hidden(), ['/usr/share/both/old-of-data', '/usr/share/data/gone', '/usr/share/data/sub/cache'])
  t.equal(
    unsatisfied.run().stdout,
    'data/cache generated\ndata/kept v2\ndata/new v2\ndata/plugin -\ndata/sub -\nboth/local of-nobody\nboth/of-data v2\nboth/of-other other\n',
  )
})

t.test('what a recorded run opened, and nothing depends on: the host’s where it has it', async t => {
  const plugin = library('libplugin.so.1', 'int plugin(void) { return 1; }')
  const opens = program(
    `${SAY}void *dlopen(const char *, int); void *fopen(const char *, const char *);
    int main(void) { printf("%d %d\\n", dlopen("libplugin.so.1", 1) != 0, fopen("/usr/share/table/data", "r") != 0); }`,
  )
  const pluginPackage = (name: string) => ({
    control: { Package: name },
    files: { [`${libraries}/libplugin.so.1`]: plugin, '/usr/share/plugin/data': 'x' },
  })
  const table = { control: { Package: 'table' }, files: { '/usr/share/table/data': 'x', '/usr/share/table/more': 'x' } }
  const home = debian([pluginPackage('libplugin1'), table, appPackage('libc6', { '/usr/bin/app': opens })])
  const opened = [`${libraries}/libplugin.so.1`, '/usr/share/table/data']

  const without = mix(home, debian([]), ['app'], opened)
  t.same([without.packages(), without.private], [['app', 'libplugin1', 'table'], ['libplugin.so.1']])
  t.equal(
    without.why('libplugin.so.1'),
    `presence: ${libraries}/libplugin.so.1 was opened by the recorded run; the host has none`,
  )
  t.ok(without.decision.placement.get('/usr/share/table/more'), 'a package is private as a whole')
  t.match(without.run(), { status: 0, stdout: '1 1\n' })

  const renamed = mix(home, debian([pluginPackage('libplugin1t64'), table]), ['app'], opened)
  t.same([renamed.packages(), renamed.private], [['app'], []])
  t.match(renamed.run(), { status: 0, stdout: '1 1\n' })
  const { '/usr/share/table/more': more } = table.files
  const older = mix(home, debian([{ ...table, files: { '/usr/share/table/more': more } }]), ['app'], opened)
  t.same(older.packages(), ['app', 'libplugin1', 'table'], 'a host’s version without the file that was opened')

  const bare = tree({ '/usr/bin/app': opens, [`${libraries}/libplugin.so.1`]: plugin, '/usr/share/table/data': 'x' })
  const byPath = mix(bare, tree({}), ['app'], opened)
  t.same(byPath.private, ['libplugin.so.1'], 'where there are no packages')
  t.match(byPath.run(), { status: 0, stdout: '1 1\n' })
  t.match(mix(home, debian([])).run(), { status: 0, stdout: '0 0\n' }, 'not recorded')
})
