import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Container } from '../../lib/container/containers.js'
import { decodeManifest, encodeManifest } from '../../lib/container/manifest.js'
import { type PackRequest, packContainer } from '../../lib/container/pack.js'
import { applicationFiles } from '../../lib/container/record.js'
import { createStore } from '../../lib/store/store.js'
import { installPackages } from '../host/debian.js'
import { system } from '../store/system.js'
import { compile, hostLoader, library } from './tree.js'

const { directory, loader, libc } = hostLoader()
const base = t.testdir({})
const tree = join(base, 'tree')
mkdirSync(tree)

const main = 'int main(void) { return 0; }'
const deep = library('libdeep.so.1', 'int deep(void) { return 1; }')
const files = {
  [`${directory}/libplugin.so.1.0`]: library('libplugin.so.1', 'int deep(void); int p(void) { return deep(); }', '', {
    'libdeep.so.1': deep,
  }),
}
installPackages(tree, [
  { control: { Package: 'base-files', Essential: 'yes' }, files: { '/usr/local/share/.keep': '', '/etc/issue': 'x' } },
  {
    control: { Package: 'libc6' },
    files: {
      [`${directory}/libc.so.6`]: libc,
      [`${directory}/ld-linux-x86-64.so.2`]: loader,
      '/lib64/ld-linux-x86-64.so.2': { link: `${directory}/ld-linux-x86-64.so.2` },
    },
  },
  { control: { Package: 'app', Depends: 'libc6' }, files: { '/usr/bin/app': compile(main, []) } },
  {
    control: { Package: 'libplugin1', Depends: 'plugin-data' },
    files: { ...files, [`${directory}/libplugin.so.1`]: { link: 'libplugin.so.1.0' }, '/usr/share/plugin/more': 'x' },
  },
  { control: { Package: 'libdeep1' }, files: { [`${directory}/libdeep.so.1`]: deep } },
  { control: { Package: 'plugin-data' }, files: { '/usr/share/plugin-data/table': 'x' } },
  {
    control: { Package: 'data' },
    files: {
      '/usr/share/data/table': 'x',
      '/usr/share/data/other': 'x',
      '/usr/share/doc/data/manual': 'x',
      '/usr/share/locale/de/LC_MESSAGES/data.mo': 'x',
      '/etc/data.conf': 'x',
      '/usr/lib/data/module.py': 'x',
    },
  },
  {
    control: { Package: 'toolbox', Essential: 'yes' },
    files: {
      '/usr/bin/toolbox': compile(main, []),
      '/usr/share/toolbox/data': 'x',
      [`${directory}/libtoolbox.so.1`]: library('libtoolbox.so.1', 'int t(void) { return 1; }'),
    },
  },
  { control: { Package: 'interpreter' }, files: { '/usr/bin/interpreter': compile(main, []) } },
  { control: { Package: 'helper' }, files: { '/usr/lib/helper/helper': '#!/usr/bin/interpreter -x\n' } },
])
for (const place of ['home/me', 'opt/site', 'usr/lib/data/__pycache__'])
  mkdirSync(join(tree, place), { recursive: true })
writeFileSync(join(tree, 'usr/share/data/cache'), 'generated')
writeFileSync(join(tree, 'usr/lib/data/__pycache__/module.cpython-313.pyc'), 'generated')
writeFileSync(join(tree, 'usr/lib/data/__pycache__/lost.cpython-313.pyc'), 'generated')
writeFileSync(join(tree, 'usr/local/share/site'), 'x')
writeFileSync(join(tree, 'opt/site/file'), 'x')
symlinkSync('../../usr/share/data/other', join(tree, 'opt/site/link'))
writeFileSync(join(tree, 'home/me/script'), '#!/usr/bin/interpreter\n')

let stores = 0
function pack(
  opened: readonly (string | readonly [string, string])[],
  executed: readonly string[] = [],
  more: Partial<PackRequest> = {},
): Container {
  const store = { home: join(base, `store-${stores++}`), system }
  createStore(store, 0)
  const pairs = opened.map(names => (typeof names === 'string' ? ([names, names] as const) : names))
  const recording = { files: new Map(pairs), programs: new Set(executed), counts: applicationFiles([]) }
  const usual = {
    root: tree,
    name: 'app',
    include: [],
    withEssential: false,
    withDocumentation: false,
    withLocales: false,
  }
  return packContainer({ ...usual, entries: ['app'], record: () => recording, ...more }, store)
}

/** Packages beside those of the entry, and the files that are marked. */
function took({ manifest }: Container): { packages: string[]; recorded: string[] } {
  t.same(decodeManifest(encodeManifest(manifest)), manifest)
  return {
    packages: manifest.packages.filter(({ own }) => !own).flatMap(({ name }) => (name === 'libc6' ? [] : [name])),
    recorded: manifest.files.flatMap(file => (file.type === 'file' && file.recorded ? [file.path] : [])),
  }
}

t.test('a library that nothing needs by name comes with its closure and its package, and is one', async t => {
  const real = `${directory}/libplugin.so.1.0`
  const container = pack([[`/lib/${directory.slice(9)}/libplugin.so.1`, real]])
  t.same(took(container), { packages: ['libplugin1', 'plugin-data'], recorded: [real] })
  const paths = container.manifest.files.map(({ path }) => path)
  for (const path of [`${directory}/libplugin.so.1`, `${directory}/libdeep.so.1`, '/usr/share/plugin/more']) {
    t.ok(paths.includes(path), path)
  }
  const elf = container.manifest.files.find(({ path }) => path === real)
  t.match(elf, { elf: { role: 'library', resolved: { 'libdeep.so.1': `${directory}/libdeep.so.1` } } })
})

t.test('data of a package brings the package; what no package owns is taken by itself', async t => {
  t.same(took(pack(['/usr/share/data/table'])), { packages: ['data'], recorded: ['/usr/share/data/table'] })
  t.same(took(pack(['/opt/site/file', '/usr/local/share/site'])), {
    packages: [],
    recorded: ['/opt/site/file', '/usr/local/share/site'],
  })
  const linked = pack([['/opt/site/link', '/usr/share/data/other']])
  t.same(took(linked), { packages: ['data'], recorded: ['/usr/share/data/other'] })
  t.match(
    linked.manifest.files.find(({ path }) => path === '/opt/site/link'),
    { type: 'symlink', package: null },
  )
  t.same(took(pack(['/usr/bin/app'])), { packages: [], recorded: ['/usr/bin/app'] }, "the entry's own")
})

t.test('what was generated is of the package that it was generated from', async t => {
  const container = pack(['/usr/share/data/cache'])
  t.same(took(container), { packages: ['data'], recorded: [] })
  t.match(
    container.manifest.files.find(({ path }) => path === '/usr/share/data/cache'),
    { package: 'data' },
  )
  t.same(took(pack(['/usr/lib/data/__pycache__/module.cpython-313.pyc'])).recorded, ['/usr/lib/data/module.py'])
  const lost = '/usr/lib/data/__pycache__/lost.cpython-313.pyc'
  t.same(took(pack([lost])), { packages: ['data'], recorded: [] })
})

t.test('essential packages are left to the host, but for their libraries', async t => {
  const opened = ['/usr/share/toolbox/data', `${directory}/libtoolbox.so.1`]
  t.same(took(pack(opened, ['/usr/bin/toolbox'])), { packages: [], recorded: [`${directory}/libtoolbox.so.1`] })
  t.same(took(pack(opened, ['/usr/bin/toolbox'], { withEssential: true })), {
    packages: ['toolbox'],
    recorded: ['/usr/bin/toolbox', `${directory}/libtoolbox.so.1`, '/usr/share/toolbox/data'],
  })
})

t.test('documentation and translations on request', async t => {
  const opened = ['/usr/share/doc/data/manual', '/usr/share/locale/de/LC_MESSAGES/data.mo']
  t.same(took(pack(opened)).recorded, [])
  t.same(took(pack(opened, [], { withDocumentation: true, withLocales: true })).recorded, opened)
})

t.test('what is not the application’s, not there or no file', async t => {
  const names = ['/usr/share/absent', '/usr/share/data', '/usr/share/data/table/x', '/usr/bin/nothing']
  t.same(took(pack(names, names)), { packages: [], recorded: [] })
  t.same(took(pack([['/usr/share/data/table', '/usr/share/elsewhere']])).recorded, [], 'another root’s')
  t.same(took(pack([['/usr/share/fd/3', '/usr/share/data/table']])).recorded, ['/usr/share/data/table'])
  t.throws(() => pack([], [], { entries: ['ap'], record: () => t.fail('run for nothing') as never }), {
    code: 'FILE_MISSING',
  })
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/usr/share/data/d`), Buffer.of(0xff)]), '')
  t.throws(() => pack(['/usr/share/data/d\ufffd']), { code: 'FILE_UNREADABLE', because: /not UTF-8/ })
  t.same(took(pack(['/usr/share/data/gone\ufffd'])).recorded, [], 'but it must be there')
})

t.test('what was executed, and what runs it', async t => {
  t.same(took(pack([], ['/usr/lib/helper/../helper/helper'])), {
    packages: ['helper', 'interpreter'],
    recorded: ['/usr/bin/interpreter', '/usr/lib/helper/helper'],
  })
  t.same(took(pack([], ['/home/me/script'])), { packages: ['interpreter'], recorded: ['/usr/bin/interpreter'] })
})

t.test('whose files are not the application’s', async t => {
  const counts = applicationFiles(['/work/me', '/data/home'])
  const those = [
    '/usr/x',
    '/opt/x',
    '/usr/lib/x',
    '/worker',
    '/work/other',
    '/x',
    '/etcetera',
    '/usr/lib/localed',
    '/usr/lib/gconv/UTF-7.so',
  ]
  for (const path of those) t.ok(counts(path), path)
  const others = [
    '/proc/1/maps',
    '/etc/hosts',
    '/etc',
    '/var/lib/x',
    '/home/me/x',
    '/work/me',
    '/work/me/x',
    '/data/home/x',
  ]
  for (const path of [
    ...others,
    '/usr/lib/locale/locale-archive',
    '/usr/lib/gconv/gconv-modules.cache',
    '/tmp/x',
    '/root/x',
  ])
    t.notOk(counts(path), path)
  for (const directory of ['/', '/usr', '/usr/share', '/opt/app', '/lib64', '/bin']) {
    t.ok(applicationFiles([directory])('/usr/share/x'), `from ${directory}`)
    t.ok(applicationFiles([directory])(join(directory, 'x')), `from ${directory}`)
  }
})
