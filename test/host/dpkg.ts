import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type PackageDatabase, readPackageDatabase, satisfiers } from '../../lib/host/dpkg.js'
import type { Dependency } from '../../lib/host/packages.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { installPackages } from './debian.js'

function read(root: string): PackageDatabase {
  const database = readPackageDatabase(rootFileSystem(root))
  if (database === null) throw new Error('no database')
  return database
}

function names(database: PackageDatabase, dependency: Partial<Dependency>, architecture = 'amd64'): string[] {
  const full = { name: '', relation: null, version: null, ...dependency }
  return satisfiers(full, { architecture }, database).map(({ name, architecture }) => `${name}:${architecture}`)
}

t.test('files and owners agree with dpkg, in a merged and in a split tree', async t => {
  for (const merged of [true, false]) {
    const root = installPackages(
      t.testdir({}),
      [
        {
          control: { Package: 'libone', 'Multi-Arch': 'same' },
          files: { '/lib/x/libone.so.1': 'x', '/usr/share/one/data': 'x' },
        },
        { control: { Package: 'tool' }, files: { '/bin/tool': 'x', '/usr/share/one/more': 'x' } },
      ],
      merged,
    )
    const database = read(root)
    const prefix = merged ? '/usr' : ''
    t.same(
      database.packages.map(({ name }) => name),
      ['libone', 'tool'],
    )
    t.same(
      database.ownersOf(`${prefix}/lib/x/libone.so.1`).map(({ name }) => name),
      ['libone'],
    )
    t.same(
      database.ownersOf('/usr/share/one').map(({ name }) => name),
      ['libone', 'tool'],
    )
    t.same(database.ownersOf('/usr/share/none'), [])
    // Before a list of all owners was made, and behind it.
    for (const asked of [read(root), database]) {
      const [one] = asked.named.get('libone') ?? []
      const file = `${prefix}/lib/x/libone.so.1`
      for (const likely of ['libone', 'tool', 'none', null])
        t.same(
          asked.ownersOfFile(file, likely).map(({ name }) => name),
          ['libone'],
        )
      const own = new Set(one && [one])
      t.same(
        [file, '/usr/share/one', '/usr/share/none'].map(path => [
          asked.isShippedByOthers(path, own),
          asked.isShippedByOthers(path, new Set()),
        ]),
        [
          [false, true],
          [true, true],
          [false, false],
        ],
      )
    }
    for (const pkg of database.packages) {
      const listed = execFileSync('dpkg', [`--root=${root}`, '-L', pkg.name], { encoding: 'utf8' })
      const expected = listed
        .trim()
        .split('\n')
        .filter(path => path !== '/.')
      t.same(
        [...database.filesOf(pkg)],
        expected.map(path => path.replace(/^\/(lib|bin)\b/, `${prefix}/$1`)),
      )
    }
  }
})

t.test("a diversion moves everybody's file but the diverter's", async t => {
  const root = installPackages(t.testdir({}), [{ control: { Package: 'old' }, files: { '/usr/bin/tool': 'old' } }])
  const divert = ['--package', 'new', '--rename', '--divert', '/usr/bin/tool.old', '/usr/bin/tool']
  execFileSync('dpkg-divert', ['--admindir', join(root, 'var/lib/dpkg'), '--instdir', root, ...divert], {
    stdio: 'pipe',
  })
  const database = read(root)
  t.same(
    database.ownersOf('/usr/bin/tool.old').map(({ name }) => name),
    ['old'],
  )
  t.same(database.ownersOf('/usr/bin/tool'), [])
  t.same(
    ['/usr/bin/tool.old', '/usr/bin/tool'].map(path => read(root).isShippedByOthers(path, new Set())),
    [true, false],
  )
})

t.test('relations', async t => {
  const database = read(
    installPackages(t.testdir({}), [
      {
        control: {
          Package: 'app',
          'Pre-Depends': 'a',
          Depends: 'b (>= 1~), c:any (<< 2)|\n d (= 1:2-3) , e\n | f',
          Essential: 'yes',
        },
        files: {},
      },
      { control: { Package: 'real', Version: '2.0' }, files: {} },
      { control: { Package: 'giver', Provides: 'virtual, exact (= 3.0), real (= 9)' }, files: {} },
      { control: { Package: 'script', Architecture: 'all', 'Multi-Arch': 'foreign' }, files: {} },
      { control: { Package: 'plain', Architecture: 'all' }, files: {} },
      { control: { Package: 'other', Architecture: 'i386' }, files: {} },
      { control: { Package: 'interpreter', 'Multi-Arch': 'allowed', Architecture: 'i386' }, files: {} },
    ]),
  )
  const app = database.named.get('app')?.[0]
  t.equal(app?.essential, true)
  t.same(app?.depends, [
    [{ name: 'a', relation: null, version: null }],
    [{ name: 'b', relation: '>=', version: '1~' }],
    [
      { name: 'c', architecture: 'any', relation: '<<', version: '2' },
      { name: 'd', relation: '=', version: '1:2-3' },
    ],
    [
      { name: 'e', relation: null, version: null },
      { name: 'f', relation: null, version: null },
    ],
  ])
  t.equal(database.architecture, 'amd64')
  t.same(names(database, { name: 'real' }), ['real:amd64', 'giver:amd64'])
  t.same(names(database, { name: 'real', relation: '>>', version: '2.0' }), ['giver:amd64'])
  t.same(names(database, { name: 'virtual' }), ['giver:amd64'])
  t.same(
    names(database, { name: 'virtual', relation: '>=', version: '0' }),
    [],
    'an unversioned name satisfies no version',
  )
  t.same(names(database, { name: 'exact', relation: '=', version: '3.0' }), ['giver:amd64'])
  t.same(names(database, { name: 'other' }), [], 'of another architecture')
  t.same(names(database, { name: 'other' }, 'i386'), ['other:i386'])
  t.same(names(database, { name: 'plain' }, 'i386'), [], 'all counts as the native architecture')
  t.same(names(database, { name: 'script' }, 'i386'), ['script:all'])
  t.same(names(database, { name: 'interpreter' }), [])
  t.same(names(database, { name: 'interpreter', architecture: 'any' }), ['interpreter:i386'])
})

t.test('what counts as installed', async t => {
  const root = t.testdir({ var: { lib: { dpkg: { status: '', info: {} } } } })
  const status = join(root, 'var/lib/dpkg/status')
  const states = [
    'not-installed',
    'config-files',
    'half-installed',
    'unpacked',
    'half-configured',
    'triggers-awaited',
    'triggers-pending',
    'installed',
  ]
  writeFileSync(
    status,
    states
      .map(
        state =>
          `Package: p-${state}\nStatus: install ok ${state}\nArchitecture: all\nVersion: 1\nDescription: x\n Depends: no\n .\n`,
      )
      .join('\n'),
  )
  t.same(
    read(root).packages.map(({ name }) => name),
    ['p-half-configured', 'p-installed', 'p-triggers-awaited', 'p-triggers-pending', 'p-unpacked'],
  )
})

t.test('no database, and damaged ones', async t => {
  t.equal(readPackageDatabase(rootFileSystem(t.testdir({}))), null)
  const root = t.testdir({ var: { lib: { dpkg: {} } } })
  const database = join(root, 'var/lib/dpkg')
  const good = 'Package: p\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n'
  writeFileSync(join(database, 'status'), '')
  t.equal(readPackageDatabase(rootFileSystem(root)), null, 'an empty status file')
  for (const damaged of [
    'rubbish\n',
    '\0\0\0\0',
    good.replace('Package: p\n', ''),
    good.replace('Package: p', 'Package: ../p'),
    good.replace('Status: install ok installed\n', ''),
    good.replace('Version: 1\n', ''),
    `${good}Version: 2\n`,
    `${good}Depends: a (>= 1\n`,
    `${good}Depends: a b\n`,
  ]) {
    writeFileSync(join(database, 'status'), damaged)
    t.throws(() => readPackageDatabase(rootFileSystem(root)), { code: 'PACKAGE_DATABASE' }, JSON.stringify(damaged))
  }
  writeFileSync(join(database, 'status'), good)
  writeFileSync(join(database, 'diversions'), '/a\n/b\n')
  t.throws(() => readPackageDatabase(rootFileSystem(root)), { code: 'PACKAGE_DATABASE' })
  rmSync(join(database, 'diversions'))
  const { packages, filesOf, ownersOf } = read(root)
  t.throws(() => ownersOf('/x'), { code: 'PACKAGE_DATABASE' }, 'a list that is missing')
  mkdirSync(join(database, 'info'))
  for (const path of ['relative', '/a/../b', '/a//b', '/nul\0']) {
    writeFileSync(join(database, 'info/p.list'), `/.\n${path}\n`)
    t.throws(() => packages.forEach(filesOf), { code: 'PACKAGE_DATABASE' }, JSON.stringify(path))
  }
})

t.test("this machine's own database, as dpkg-query reads it", async t => {
  const database = readPackageDatabase(rootFileSystem('/'))
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
  const format = '${db:Status-Status} ${binary:Package} ${Version} ${Essential}\n'
  const lines = execFileSync('dpkg-query', ['-W', '-f', format], { encoding: 'utf8' }).trim().split('\n')
  const expected = lines.filter(line => line.startsWith('installed ')).map(line => line.split(' ').slice(1).join(' '))
  const native = database?.architecture
  const found = database?.packages.map(({ name, version, essential, multiArch, architecture }) => {
    const qualified =
      multiArch === 'same' || (architecture !== native && architecture !== 'all') ? `${name}:${architecture}` : name
    return `${qualified} ${version} ${essential ? 'yes' : 'no'}`
  })
  t.same(found?.sort(), expected.sort())
  const owner = database?.ownersOf('/usr/bin/dpkg')[0]
  t.equal(owner?.name, 'dpkg')
})
