import t from 'tap'
import { decodeManifest, encodeManifest } from '../../lib/container/manifest.js'
import { decide } from '../../lib/decide/decide.js'
import { hostAt } from '../../lib/launch/machine.js'
import { library } from '../container/tree.js'
import { debian, inTree, libraries, mix, newStore, openIn, packInto, program, tree, withoutOthers } from './scenario.js'

const SAY = 'int printf(const char *, ...);\n'

t.test('a host that has everything: all shared, and nothing is laid over it', async t => {
  const one = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
  const app = program(`${SAY}int one(void); int main(void) { return printf("%d\\n", one()) < 0; }`, {
    'libone.so.1': one,
  })
  const files = { '/usr/bin/app': app, [`${libraries}/libone.so.1`]: one }
  const outcome = mix(tree(files), tree(files))
  t.same([outcome.private, outcome.shared, outcome.problems()], [[], ['libone.so.1'], []])
  t.same([...outcome.decision.placement.keys()], ['/usr/bin/app'], 'but the program')
  t.equal(
    outcome.why('libone.so.1'),
    [
      `presence: the host has it at ${libraries}/libone.so.1`,
      'versions: it defines the one version asked of it, ONE_1',
      'symbols: every symbol that resolved at home resolves to it here',
    ].join('\n'),
  )
  // A program that is the host's own needs not even that.
  const { container, host } = outcome
  const inPlace = decide(container.manifest, host, openIn(newStore()), new Set(['/usr/bin/app']))
  t.same([...inPlace.placement.keys()], [])
})

t.test('a plugin that takes its symbols from the program, and from a library of its own', async t => {
  const lib = (value: number, extra = '') => library('libplug.so.1', `int plug(void) { return ${value}; } ${extra}`)
  const newer = lib(3, 'int plug_two(void) { return 4; }')
  const plugin = library(
    'plugin',
    'int offered(void), plug_two(void); int run(void) { return offered() + plug_two(); }',
    '',
    {
      'libplug.so.1': newer,
    },
  )
  const app = program(
    `${SAY}void *dlopen(const char *, int), *dlsym(void *, const char *); char *dlerror(void);
    int offered(void) { return 10; }
    int main(void) {
      void *plugin = dlopen("/usr/lib/app/plugin.so", 2);
      if (!plugin) { printf("%s\\n", dlerror()); return 1; }
      return printf("%d\\n", ((int (*)(void))dlsym(plugin, "run"))()) < 0;
    }`,
    {},
    ['-rdynamic'],
  )
  const libPackage = (file: Buffer) => ({
    control: { Package: 'libplug1' },
    files: { [`${libraries}/libplug.so.1`]: file },
  })
  const home = debian([
    libPackage(newer),
    {
      control: { Package: 'app', Depends: 'libplug1, libc6' },
      files: { '/usr/bin/app': app, '/usr/lib/app/plugin.so': plugin },
    },
  ])
  const host = debian([libPackage(lib(1))])
  t.match(inTree(home, '/usr/bin/app'), { status: 0, stdout: '14\n' })
  const outcome = mix(home, host)
  t.same([outcome.private, outcome.problems()], [['libplug.so.1'], []], 'its program’s symbols are not missed')
  t.match(outcome.why('libplug.so.1'), 'symbols: plugin (private) needs the symbol plug_two')
  t.match(outcome.run(), { status: 0, stdout: '14\n' })
})

t.test('a library that nothing but another program’s RUNPATH finds is no plugin of the entry’s: a note', async t => {
  const inner = library('libinner.so', 'int inner(void) { return 5; }')
  const core = library('libcore.so', 'int inner(void); int core(void) { return inner(); }', '', {
    'libinner.so': inner,
  })
  const linked = { 'libcore.so': core, 'libinner.so': inner }
  const helper = program(`${SAY}int core(void); int main(void) { return printf("%d\\n", core()) < 0; }`, linked, [
    '-Wl,--disable-new-dtags,-rpath,/usr/lib/app',
  ])
  const files = {
    '/usr/bin/app': program(
      `${SAY}int main(void) { return puts("app") < 0; }`.replace('int printf', 'int puts(const char *), printf'),
    ),
    '/usr/lib/app/helper': helper,
    '/usr/lib/app/libcore.so': core,
    '/usr/lib/app/libinner.so': inner,
  }
  const outcome = mix(debian([{ control: { Package: 'app', Depends: 'libc6' }, files }]), debian([]))
  t.same(outcome.problems(), ['note: libcore.so needs libinner.so, which nothing supplies'])
  t.match(outcome.run(), { status: 0, stdout: 'app\n' })
})

t.test('a plugin is judged in the process of the program that loads it, whichever entry that is', async t => {
  const lib = (extra: string) => library('libp.so.1', `int base(void) { return 1; } ${extra}`)
  const newer = lib('int fresh(void) { return 5; }')
  // It names no library: its program brings what it needs.
  const plugin = library('plugin', 'int fresh(void); int run(void) { return fresh(); }')
  const loads = program(
    `${SAY}void *dlopen(const char *, int), *dlsym(void *, const char *); char *dlerror(void);
    int base(void);
    int main(void) {
      void *plugin = dlopen("/usr/lib/app/plugin.so", 2);
      if (!plugin) { printf("%s\\n", dlerror()); return 1; }
      return printf("%d\\n", base() + ((int (*)(void))dlsym(plugin, "run"))()) < 0;
    }`,
    { 'libp.so.1': newer },
  )
  const libPackage = (file: Buffer) => ({ control: { Package: 'libp1' }, files: { [`${libraries}/libp.so.1`]: file } })
  const files = {
    '/usr/bin/other': program('int main(void) { return 0; }'),
    '/usr/bin/loads': loads,
    '/usr/lib/app/plugin.so': plugin,
  }
  const home = debian([libPackage(newer), { control: { Package: 'app', Depends: 'libp1, libc6' }, files }])
  const host = debian([libPackage(lib(''))])
  for (const entries of [['loads'], ['loads', 'other'], ['other', 'loads']]) {
    const outcome = mix(home, host, entries)
    t.same([outcome.private, outcome.problems()], [['libp.so.1'], []], entries.join())
  }
  t.match(mix(home, host, ['loads', 'other']).run(), { status: 0, stdout: '6\n' })
})

t.test('a RUNPATH of its own: found beside the program, and no candidate', async t => {
  const inner = library('libinner.so.1', 'int inner(void) { return 4; }')
  const app = program(
    `${SAY}int inner(void); int main(void) { return printf("%d\\n", inner()) < 0; }`,
    { 'libinner.so.1': inner },
    ['-Wl,-rpath,$ORIGIN/../lib/app', '-Wl,--enable-new-dtags'],
  )
  const files = { '/usr/bin/app': app, '/usr/lib/app/libinner.so.1': inner }
  const home = debian([{ control: { Package: 'app', Depends: 'libc6' }, files }])
  const other = library('libinner.so.1', 'int inner(void) { return 5; }')
  const outcome = mix(
    home,
    debian([{ control: { Package: 'inner' }, files: { [`${libraries}/libinner.so.1`]: other } }]),
  )
  t.same([outcome.private, outcome.problems()], [['libinner.so.1'], []])
  t.match(outcome.run(), { status: 0, stdout: '4\n' })
})

t.test('the same answer whatever the order of the files, and every time', async t => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const lib = (name: string, extra: string) => library(`lib${name}.so.1`, `int ${name}(void) { return 1; } ${extra}`)
  const newer = Object.fromEntries(
    names.map(name => [`lib${name}.so.1`, lib(name, `int ${name}_new(void) { return 1; }`)]),
  )
  const calls = names.map((name, at) => (at % 2 === 0 ? `${name}_new()` : `${name}()`)).join(' + ')
  const declared = names.map(name => `int ${name}(void), ${name}_new(void);`).join(' ')
  const app = program(`${SAY}${declared} int main(void) { return printf("%d\\n", ${calls}) < 0; }`, newer)
  const at = (files: Record<string, Buffer>) =>
    Object.fromEntries(Object.entries(files).map(([name, file]) => [`${libraries}/${name}`, file]))
  const home = debian([
    ...names.map(name => ({
      control: { Package: `lib${name}1` },
      files: at({ [`lib${name}.so.1`]: newer[`lib${name}.so.1`] as Buffer }),
    })),
    {
      control: { Package: 'app', Depends: `${names.map(name => `lib${name}1`).join(', ')}, libc6` },
      files: { '/usr/bin/app': app },
    },
  ])
  const host = debian(
    names.map(name => ({ control: { Package: `lib${name}1` }, files: at({ [`lib${name}.so.1`]: lib(name, '') }) })),
  )
  const store = newStore()
  const { manifest } = packInto(store, home)
  const told = (files: typeof manifest.files, packages = manifest.packages) => {
    const { placement, ...rest } = decide({ ...manifest, files, packages }, hostAt(host, {}), openIn(store))
    // Packages are told in the manifest's order, and reasons in the order in which they came up.
    const order = <T extends readonly [string, unknown] | { readonly name: string }>(a: T, b: T) =>
      key(a) < key(b) ? -1 : 1
    const key = (item: readonly [string, unknown] | { readonly name: string }) => ('name' in item ? item.name : item[0])
    return { ...rest, packages: [...rest.packages].sort(order), placement: [...placement].sort(order) }
  }
  const expected = told(manifest.files)
  t.same(told(manifest.files), expected)
  t.same(told(decodeManifest(encodeManifest(manifest)).files), expected)
  t.same(told([...manifest.files].reverse()), expected)
  for (let turn = 1; turn < manifest.files.length; turn++) {
    const turned = [...manifest.files.slice(turn), ...manifest.files.slice(0, turn)]
    t.same(told(turned, [...manifest.packages].reverse()), expected)
  }
  t.same(mix(home, host).private, ['liba.so.1', 'libc.so.1', 'libe.so.1'])
  t.match(withoutOthers(home, host), { status: 127, stderr: /undefined symbol/ })
  t.match(mix(home, host).run(), { status: 0, stdout: '6\n' })
})
