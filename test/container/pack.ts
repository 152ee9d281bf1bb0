import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Container, readContainer } from '../../lib/container/containers.js'
import { encodeManifest } from '../../lib/container/manifest.js'
import { type PackRequest, packContainer } from '../../lib/container/pack.js'
import { NO_SETTINGS } from '../../lib/container/settings.js'
import type { PackedFile } from '../../lib/container/types.js'
import { objectPath } from '../../lib/store/objects.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { system } from '../store/system.js'
import { compile, exampleTree, hostLoader } from './tree.js'

const { directory } = hostLoader()
const base = t.testdir({})
const tree = join(base, 'tree')
mkdirSync(tree)
exampleTree(tree)
mkdirSync(join(tree, 'etc/alternatives'), { recursive: true })
symlinkSync('/usr/bin/app', join(tree, 'etc/alternatives/app'))

let stores = 0
function emptyStore(): Store {
  const store = { home: join(base, `store-${stores++}`), system }
  createStore(store, 0)
  return store
}

function pack(request: Partial<PackRequest>, store = emptyStore()): Container {
  const usual = {
    root: tree,
    name: 'app',
    include: [],
    withEssential: false,
    withDocumentation: false,
    withLocales: false,
  }
  return packContainer({ ...usual, entries: ['app'], ...request }, store)
}

/** Everything that is in a store, by path. */
function contentOf(store: Store): string[] {
  return readdirSync(store.home, { recursive: true, encoding: 'utf8' })
    .filter(
      path =>
        statSync(join(store.home, path)).isFile() &&
        !['lock', 'turn', 'publishing', 'links', 'planning'].includes(path),
    )
    .sort()
}

function file(container: Container, path: string): PackedFile | undefined {
  return container.manifest.files.find(file => file.path === path)
}

function paths(container: Container): string[] {
  return container.manifest.files.map(({ path }) => path)
}

function packages(container: Container): string[] {
  return container.manifest.packages.map(({ name, own }) => (own ? `${name}*` : name))
}

t.test('a program, its packages, its libraries', async t => {
  const store = emptyStore()
  const app = pack({}, store)
  t.same(packages(app), ['app*', 'app-data', 'libc6', 'libone1'])
  t.same(app.manifest.entries, [{ name: 'app', path: '/usr/bin/app' }])
  t.same(
    paths(app).filter(path => !path.startsWith(directory)),
    [
      '/etc/app.conf',
      '/usr/bin/app',
      '/usr/bin/app-alias',
      '/usr/lib/app',
      '/usr/lib/app/empty',
      '/usr/lib/app/empty/.keep',
      '/usr/lib/app/extended.so',
      '/usr/lib/app/plugin.so',
      '/usr/lib/app/script',
      '/usr/lib/app/shared',
      '/usr/lib/locale/C.utf8/LC_CTYPE',
      '/usr/lib64/ld-linux-x86-64.so.2',
      '/usr/share/app',
      '/usr/share/app/data',
    ],
  )
  t.match(file(app, '/usr/bin/app'), {
    type: 'file',
    mode: 0o755,
    package: 'app',
    elf: {
      role: 'program',
      resolved: { 'libone.so.1': `${directory}/libone.so.1.2`, 'libc.so.6': `${directory}/libc.so.6` },
    },
  })
  t.match(file(app, `${directory}/libone.so.1.2`), {
    elf: { role: 'library', symbols: { exports: [{ name: 'one', version: 'ONE_1' }] } },
  })
  t.match(file(app, `${directory}/libone.so.1`), {
    type: 'symlink',
    target: 'libone.so.1.2',
    end: `${directory}/libone.so.1.2`,
  })
  t.match(file(app, '/usr/lib/app/plugin.so'), { elf: { role: 'module', needed: ['libabsent.so.9'] } })
  const plugin = file(app, '/usr/lib/app/plugin.so')
  t.notOk(plugin?.type === 'file' && plugin.elf?.resolved['libabsent.so.9'], 'a plugin may lack what it needs')
  t.match(file(app, `${directory}/libc.so.6`), { elf: { role: 'library' } }, 'a library, though it can be started')
  t.match(
    file(app, `${directory}/libextra.so.1`),
    { package: 'libextra1', elf: { role: 'library' } },
    'of an essential package: alone',
  )
  t.match(file(app, '/usr/lib/locale/C.utf8/LC_CTYPE'), { package: 'libc6' })
  t.match(app.manifest.source, { machine: 62, os: null, loader: { kind: 'glibc' } })

  t.same(readContainer(store, 'app'), {
    name: 'app',
    store: store.home,
    digest: app.digest,
    manifest: app.manifest,
    generation: 1,
    settings: NO_SETTINGS,
  })
  for (const packed of app.manifest.files) {
    if (packed.type !== 'file') continue
    const object = readFileSync(objectPath(store, packed.sha256, (packed.mode & 0o111) !== 0))
    t.ok(object.equals(readFileSync(join(tree, packed.path))), packed.path)
  }
})

t.test('the needed libraries of the entry are those that the real loader loads', async t => {
  const app = pack({ root: '/', entries: ['/bin/ls'], name: 'ls' })
  const program = file(app, '/usr/bin/ls') ?? file(app, '/bin/ls')
  const elf = program?.type === 'file' ? program.elf : undefined
  const listed = execFileSync('/lib64/ld-linux-x86-64.so.2', ['--list', '/bin/ls'], { encoding: 'utf8' })
  for (const line of listed.split('\n')) {
    const [, path] = /=> (\S+)/.exec(line) ?? []
    if (path === undefined) continue
    const real = execFileSync('realpath', [path], { encoding: 'utf8' }).trim()
    t.ok(paths(app).includes(real), real)
  }
  t.same(Object.keys(elf?.resolved ?? {}).sort(), [...(elf?.needed ?? [])].sort())
})

t.test('the same tree has the same digest, whatever the order in its directories and the time', async t => {
  const copy = join(base, 'copy')
  mkdirSync(copy)
  cpSync(tree, copy, { recursive: true, verbatimSymlinks: true })
  t.equal(pack({ root: copy }).digest, pack({}).digest)
  t.ok(encodeManifest(pack({ root: copy }).manifest).equals(encodeManifest(pack({}).manifest)))
})

t.test('options', async t => {
  t.same(packages(pack({ withEssential: true })), ['app*', 'app-data', 'dash', 'libc6', 'libone1'])
  const whole = pack({ withDocumentation: true, withLocales: true })
  t.same(
    paths(whole).filter(path => /man1\/|copyright|\.mo$/.test(path)),
    ['/usr/share/doc/libone1/copyright', '/usr/share/locale/de/LC_MESSAGES/app.mo', '/usr/share/man/man1/app.1'],
  )
  t.same(
    paths(whole).filter(path => path.startsWith('/var')),
    [],
  )
})

t.test('includes bring the packages that ship them, as own', async t => {
  mkdirSync(join(tree, 'opt/site/sub'), { recursive: true })
  writeFileSync(join(tree, 'opt/site/sub/file'), 'x')
  symlinkSync('/usr/share/extra/data', join(tree, 'opt/site/link'))
  const app = pack({ include: ['/opt/site', '/usr/bin/recommended'] })
  t.same(packages(app), ['app*', 'app-data', 'libc6', 'libextra1*', 'libone1', 'recommended*'])
  t.match(file(app, '/opt/site/sub'), { type: 'directory', package: null })
  t.match(file(app, '/opt/site/link'), { type: 'symlink', end: '/usr/share/extra/data' })
  t.throws(() => pack({ include: ['/usr/bin/recomended'] }), { code: 'FILE_MISSING', hint: /recommended/ })
  t.throws(() => pack({ include: ['../x'] }), { code: 'USAGE' })
  t.throws(() => pack({ include: ['/'] }), { code: 'USAGE' })
})

t.test('an entry that is a link', async t => {
  const app = pack({ entries: ['app-alias', '/bin/app'] })
  t.same(app.manifest.entries, [
    { name: 'app-alias', path: '/usr/bin/app-alias' },
    { name: 'app', path: '/usr/bin/app' },
  ])
  t.match(file(app, '/etc/alternatives/app'), { type: 'symlink', target: '/usr/bin/app', package: null })
})

t.test('a link to the root, which no container has as a file', async t => {
  const linked = join(base, 'linked')
  cpSync(tree, linked, { recursive: true, verbatimSymlinks: true })
  mkdirSync(join(linked, 'opt/linked'), { recursive: true })
  symlinkSync('/', join(linked, 'opt/linked/root'))
  const store = emptyStore()
  pack({ root: linked, name: 'linked', include: ['/opt/linked'] }, store)
  const container = readContainer(store, 'linked')
  t.match(file(container, '/opt/linked/root'), { type: 'symlink', target: '/' })
  t.notOk(paths(container).includes('/'))
})

t.test("an entry's own name means the whole package, where only its bare minimum holds the program", async t => {
  t.same(packages(pack({ entries: ['whole'] })), ['libc6', 'whole*', 'whole-minimal*'])
})

t.test('scripts bring their interpreters', async t => {
  const script = pack({ entries: ['script'] })
  t.same(
    packages(script),
    ['app-data', 'dash', 'libc6', 'libone1', 'script*'].filter(name => name !== 'libone1'),
  )
  t.match(file(script, '/usr/bin/sh'), { type: 'symlink', package: 'dash' })
  t.match(file(script, '/usr/bin/dash'), { elf: { role: 'program' } })

  mkdirSync(join(tree, 'opt/bin'), { recursive: true })
  const write = (name: string, line: string): string => {
    writeFileSync(join(tree, 'opt/bin', name), line, { mode: 0o755 })
    return `/opt/bin/${name}`
  }
  t.same(packages(pack({ entries: [write('a', '#!/usr/bin/env -S X=1 app -u\n')] })), [
    'app*',
    'app-data',
    'libc6',
    'libone1',
  ])
  t.throws(() => pack({ entries: [write('b', '#!/usr/bin/env nothing\n')] }), { code: 'FILE_MISSING' })
  t.throws(() => pack({ entries: [write('c', '#!/opt/bin/c\n')] }), { code: 'ENTRY_INVALID', because: /circle/ })
})

t.test('without a package database: the closure and the family', async t => {
  const root = join(base, 'bare')
  mkdirSync(root)
  cpSync(tree, root, { recursive: true, verbatimSymlinks: true })
  writeFileSync(join(root, 'var/lib/dpkg/status'), '')
  cpSync(join(directory, 'libpthread.so.0'), join(root, directory, 'libpthread.so.0'), { dereference: true })
  const app = pack({ root })
  t.same(app.manifest.packages, [])
  t.same(
    paths(app),
    [
      '/usr/bin/app',
      '/usr/lib64/ld-linux-x86-64.so.2',
      `${directory}/gconv/gconv-modules`,
      `${directory}/ld-linux-x86-64.so.2`,
      `${directory}/libc.so.6`,
      `${directory}/libone.so.1`,
      `${directory}/libone.so.1.2`,
      `${directory}/libpthread.so.0`,
    ].sort(),
  )
})

t.test('a name that is taken', async t => {
  const store = emptyStore()
  const first = pack({}, store)
  const before = contentOf(store)
  t.equal(pack({}, store).digest, first.digest, 'by the same content: fine')
  t.throws(() => pack({ entries: ['recommended'] }, store), { code: 'CONTAINER_EXISTS' })
  t.same(contentOf(store), before)
  t.equal(readContainer(store, 'app').digest, first.digest)
})

t.test('packing again mends what was damaged', async t => {
  const store = emptyStore()
  const app = pack({}, store)
  const damaged = contentOf(store)
    .filter(path => path.startsWith('objects/'))
    .map(path => join(store.home, path))
  for (const path of damaged) {
    chmodSync(path, 0o644)
    truncateSync(path, 1)
  }
  t.throws(() => readContainer(store, 'app'), { code: 'STORE_CORRUPT' })
  pack({}, store)
  t.same(readContainer(store, 'app').manifest, app.manifest)
})

t.test('bad input is one clear error and leaves the store as it was', async t => {
  const store = emptyStore()
  const put = (name: string, content: string | Buffer, mode = 0o755): string => {
    writeFileSync(join(tree, 'opt', name), content, { mode })
    return `/opt/${name}`
  }
  const elf = readFileSync(join(tree, 'usr/bin/app'))
  const foreign = Buffer.from(elf)
  foreign.writeUInt16LE(183, 18)
  const needy = compile('int absent(void); int main(void) { return absent(); }', [], {
    'libabsent.so.9': compile('int absent(void) { return 1; }', ['-shared', '-fPIC', '-Wl,-soname,libabsent.so.9']),
  })
  execFileSync('mkfifo', ['-m', '755', join(tree, 'opt/fifo')])
  const cases: readonly [Partial<PackRequest>, string][] = [
    [{ root: join(tree, 'usr/bin/app') }, 'ROOT_INVALID'],
    [{ root: join(tree, 'nowhere') }, 'ROOT_INVALID'],
    [{ name: 'Not A Name' }, 'NAME_INVALID'],
    [{ entries: [] }, 'USAGE'],
    [{ entries: ['ap'] }, 'FILE_MISSING'],
    [{ entries: ['/usr/bin/apq'] }, 'FILE_MISSING'],
    [{ entries: ['/opt/fifo'] }, 'ENTRY_INVALID'],
    [{ entries: ['/usr/bin'] }, 'ENTRY_INVALID'],
    [{ entries: ['/etc/app.conf'] }, 'ENTRY_INVALID'],
    [{ entries: [put('text', 'no program')] }, 'ENTRY_INVALID'],
    [{ entries: [put('empty', '')] }, 'ENTRY_INVALID'],
    [{ entries: [put('plain', elf, 0o644)] }, 'ENTRY_INVALID'],
    [{ entries: [put('library', readFileSync(join(tree, directory, 'libone.so.1')))] }, 'ENTRY_INVALID'],
    [{ entries: [put('short', elf.subarray(0, 100))] }, 'ELF_MALFORMED'],
    [{ entries: [put('foreign', foreign)] }, 'ELF_FOREIGN'],
    [{ entries: [put('needy', needy)] }, 'LIBRARY_MISSING'],
    [{ entries: [put('app', elf), '/usr/bin/app'] }, 'NAME_INVALID'],
    [{ entries: [put('with blank', elf)] }, 'NAME_INVALID'],
  ]
  for (const [request, code] of cases)
    t.throws(() => pack(request, store), { code, name: 'AppcError' }, JSON.stringify(request))
  t.throws(() => pack({ entries: ['/usr/bin/apq'] }, store), {
    code: 'FILE_MISSING',
    hint: 'did you mean /usr/bin/app?',
  })
  t.same(contentOf(store), [])
})

t.test('setuid is not kept', async (t: Test) => {
  chmodSync(join(tree, 'usr/bin/recommended'), 0o6755)
  t.match(file(pack({ entries: ['recommended'] }), '/usr/bin/recommended'), { mode: 0o755 })
  t.ok(existsSync(join(tree, 'usr/bin/recommended')))
})

/** A path of bytes, which Node's own decoding would not give back. */
function raw(...parts: readonly (string | number)[]): Buffer {
  return Buffer.concat(parts.map(part => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part))))
}

t.test('nothing outside of the tree is packed, wherever its links lead on the machine', async t => {
  const root = join(base, 'leaving')
  const outside = join(base, 'outside')
  for (const directory of [root, outside]) mkdirSync(directory)
  exampleTree(root)
  writeFileSync(join(outside, 'secret'), 'secret')
  mkdirSync(join(root, 'opt'))
  symlinkSync(outside, join(root, 'opt/link'))
  t.throws(() => pack({ root, include: ['/opt/link/secret'] }), { code: 'FILE_MISSING' })
  const packed = pack({ root, include: ['/opt'] })
  t.same(
    paths(packed).filter(path => path.startsWith('/opt/')),
    ['/opt/link'],
  )
})

t.test('a name that is not UTF-8 is not left out in silence', async t => {
  const root = join(base, 'bytes')
  mkdirSync(root)
  exampleTree(root)
  mkdirSync(join(root, 'opt/data/deep'), { recursive: true })
  writeFileSync(join(root, 'opt/data/plain'), '')
  execFileSync('mkfifo', [join(root, 'opt/data/fifo')])
  const including = () => pack({ root, include: ['/opt/data'] })
  const packed = including().manifest.files.filter(({ path }) => path.startsWith('/opt/data/'))
  t.same(
    packed.map(({ path }) => path),
    ['/opt/data/deep', '/opt/data/plain'],
    'nor does a FIFO belong into a container',
  )

  const refused = { code: 'FILE_UNREADABLE', because: /not UTF-8/, hint: /rename/ }
  const file = raw(root, '/opt/data/deep/d', 0xff)
  writeFileSync(file, '')
  t.throws(including, { ...refused, message: /^\/opt\/data\/deep\/d\ufffd/ })
  t.throws(() => pack({ root, include: ['/opt/data/deep/d\ufffd'] }), { code: 'FILE_MISSING', because: /not UTF-8/ })
  t.ok(pack({ root, include: ['/opt/data/plain'] }), 'by naming the others')
  rmSync(file)
  symlinkSync(raw('gone', 0xff), join(root, 'opt/data/deep/link'))
  t.throws(including, { ...refused, message: /^\/opt\/data\/deep\/link/ })
})

t.test('the same of what a package lists, if it is there and not to be left out', async t => {
  const root = join(base, 'listed-bytes')
  mkdirSync(root)
  exampleTree(root)
  const list = join(root, 'var/lib/dpkg/info/app.list')
  const lines = (name: string) => raw('/usr/lib/app/', name, 0xff, '\n/usr/share/man/man1/', name, 0xff, '\n')
  appendFileSync(list, lines('absent'))
  writeFileSync(raw(root, '/usr/share/man/man1/absent', 0xff), '')
  t.ok(pack({ root }), 'trees may lack what is listed, and manuals are left out')
  appendFileSync(list, lines('there'))
  writeFileSync(raw(root, '/usr/lib/app/there', 0xff), '')
  t.throws(() => pack({ root }), {
    code: 'FILE_UNREADABLE',
    message: '/usr/lib/app/there\ufffd cannot be packed',
    because: /not UTF-8/,
    hint: /rename/,
  })
})
