import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  constants,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { decodePlan } from '../../lib/plan/file.js'
import { guardOf, guardsOf } from '../../lib/plan/guards.js'
import type { Guard } from '../../lib/plan/types.js'
import { library } from '../container/tree.js'
import { debian, fresh, launch, libraries, newStore, packInto, program, put } from '../decide/scenario.js'

t.setTimeout(300_000)

const { S_IFMT, S_IFLNK } = constants

/** A `node` that only says that it was called: so it shows whether the launcher plans anew, without waiting for it. */
const called = 99
const fakeNode = fresh()
put(fakeNode, '/node', `#!/bin/sh\nexit ${called}\n`)

t.test('guards of what is there, and of what is not', async t => {
  const root = fresh()
  put(root, '/usr/lib/file', 'x')
  put(root, '/usr/lib/link', { link: 'file' })
  const evidence = ['/usr/lib/file', '/usr/lib/link', '/usr/lib/none', '/opt/a/b/c', '/opt/a/d', '/usr/lib/file/below']
  const guards = guardsOf(root, evidence, path => path.startsWith('/usr/'))
  t.match(guards[0], { kind: 'identity', path: `${root}/usr/lib/file`, size: 1, seenAs: '/usr/lib/file' })
  t.match(
    guards[1],
    { kind: 'identity', path: `${root}/usr/lib/link`, seenAs: '/usr/lib/link', size: 4 },
    'not followed',
  )
  t.same(
    guards.slice(2),
    ['/opt', '/usr/lib/file/below', '/usr/lib/none'].map(path => ({
      kind: 'absent',
      path: root + path,
      seenAs: path === '/opt' ? null : path,
    })),
  )
  const stat = lstatSync(join(root, 'usr/lib/file'), { bigint: true })
  t.match(guards[0], {
    dev: stat.dev,
    ino: stat.ino,
    mode: Number(stat.mode),
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
  })
})

t.test('whatever a plan rests on is changed: the launcher plans anew', async t => {
  const lib = (name: string, extra = '') => library(`lib${name}.so.1`, `int ${name}(void) { return 1; } ${extra}`)
  const newer = lib('taken', 'int new(void) { return 1; }')
  const app = program(
    'int shared(void), taken(void), new(void); int main(void) { return shared() + taken() + new() - 3; }',
    {
      'libshared.so.1': lib('shared'),
      'libtaken.so.1': newer,
    },
    ['-Wl,-rpath,/opt/app/lib'],
  )
  const files = (taken: Buffer) => ({
    [`${libraries}/libshared.so.1.1`]: lib('shared'),
    [`${libraries}/libshared.so.1`]: { link: 'libshared.so.1.1' },
    [`${libraries}/libtaken.so.1`]: taken,
  })
  const libraryPackage = (taken: Buffer) => ({ control: { Package: 'libs' }, files: files(taken) })
  const home = debian([
    libraryPackage(newer),
    { control: { Package: 'app', Depends: 'libs' }, files: { '/usr/bin/app': app } },
  ])
  const host = debian([libraryPackage(lib('taken'))])
  put(host, '/etc/ld.so.conf', 'include /etc/ld.so.conf.d/*.conf\n')
  put(host, '/etc/ld.so.conf.d/local.conf', '/usr/local/lib\n')
  execFileSync('ldconfig', ['-r', host])

  const store = newStore()
  packInto(store, home)
  const cold = () => launch(store, host, [], { PATH: fakeNode }).status === called
  const plans = () => readdirSync(join(store.home, 'plans')).map(name => join(store.home, 'plans', name))
  const prepare = () => t.match(launch(store, host), { status: 0, stderr: '' })
  const guards = () => decodePlan(readFileSync(plans()[0] as string)).guards

  t.ok(cold(), 'without a plan')
  prepare()
  t.notOk(cold(), 'with one')
  const first = guards()
  const paths = first
    .flatMap(guard => (guard.kind === 'names' ? guard.names.map(({ name }) => join(guard.path, name)) : [guard.path]))
    .map(path => (path.startsWith(host) ? path.slice(host.length) : path))
  for (const path of [
    `${libraries}/libshared.so.1`,
    `${libraries}/libshared.so.1.1`,
    `${libraries}/libtaken.so.1`,
    `${libraries}/libc.so.6`,
    '/lib64',
    '/etc/ld.so.cache',
    '/etc/ld.so.conf',
    '/etc/ld.so.preload',
    '/var/lib/dpkg/status',
    '/opt',
    join(store.home, 'refs/app'),
  ])
    t.ok(paths.includes(path), `${path} is guarded`)

  for (const guard of first) {
    for (const [what, change] of Object.entries(changesOf(guard, fresh()))) {
      const undo = change()
      t.ok(cold(), `${what}: ${guard.path}`)
      undo()
      // All is as before but for times or inodes: the same decision, under new guards.
      prepare()
      t.notOk(cold(), `planned anew after ${what}`)
    }
  }
  t.equal(plans().length, 1)
})

t.test('where the host has but a dangling link of that name, what it leads to is awaited', async t => {
  const taken = library('libtaken.so.1', 'int taken(void) { return 0; }')
  const app = program('int taken(void); int main(void) { return taken(); }', { 'libtaken.so.1': taken })
  const own = { '/usr/bin/app': app, [`${libraries}/libtaken.so.1`]: taken }
  const host = debian([])
  put(host, `${libraries}/libtaken.so.1`, { link: 'behind/second' })
  put(host, `${libraries}/behind/second`, { link: '../behind/libtaken.so.1.0' })
  const store = newStore()
  packInto(store, debian([{ control: { Package: 'app' }, files: own }]))
  const cold = () => launch(store, host, [], { PATH: fakeNode }).status === called
  t.match(launch(store, host), { status: 0, stderr: '' })
  t.notOk(cold())
  put(host, `${libraries}/behind/libtaken.so.1.0`, taken)
  t.ok(cold())
  // Nor is a link on the way to be exchanged unseen.
  rmSync(join(host, libraries, 'behind/libtaken.so.1.0'))
  t.notOk(cold())
  rmSync(join(host, libraries, 'behind/second'))
  put(host, `${libraries}/behind/second`, { link: 'elsewhere' })
  t.ok(cold())
})

t.test('each private file is looked at, and costs no guard besides', async t => {
  const lib = (name: string) => library(`lib${name}.so.1`, `int ${name}(void) { return 0; }`)
  const loaded = lib('loaded')
  const app = program('int loaded(void); int main(void) { return loaded(); }', { 'libloaded.so.1': loaded })
  const host = debian([])
  const guardsWith = (others: readonly string[]) => {
    const files = Object.fromEntries(others.map(name => [`${libraries}/lib${name}.so.1`, lib(name)]))
    const own = { '/usr/bin/app': app, [`${libraries}/libloaded.so.1`]: loaded }
    const store = newStore()
    packInto(store, debian([{ control: { Package: 'app' }, files: { ...own, ...files } }]))
    t.match(launch(store, host), { status: 0, stderr: '' })
    const [name = ''] = readdirSync(join(store.home, 'plans'))
    const { guards, objects } = decodePlan(readFileSync(join(store.home, 'plans', name)))
    t.equal(objects.files.length, 2 + Object.keys(files).length)
    // Names and links are guarded with their directories, or each alone, as these have changed a while ago or just now.
    return guards.filter(guard => guard.kind === 'identity' && (guard.mode & S_IFMT) !== S_IFLNK).length
  }
  t.equal(guardsWith(['one', 'two', 'three', 'four', 'five']), guardsWith(['one']))
})

type Change = () => () => void

/** Ways in which the path of a guard can become another, each giving back how it is undone. */
function changesOf(guard: Guard, aside: string): Readonly<Record<string, Change>> {
  const { path } = guard
  if (guard.kind === 'absent') return appearancesAt(path)
  if (guard.kind === 'names') {
    const ways = guard.names.flatMap(({ name, link }) => {
      const at = join(path, name)
      const all = Object.entries(link === null ? appearancesAt(at) : changesOfLink(at))
      return all.map(([what, way]) => [`${name}: ${what}`, way] as const)
    })
    return Object.fromEntries(ways)
  }
  const stat = lstatSync(path)
  if (stat.isDirectory()) {
    const added: Change = () => {
      writeFileSync(join(path, '.added'), '')
      return () => rmSync(join(path, '.added'))
    }
    return { added }
  }
  if (stat.isSymbolicLink()) return changesOfLink(path)
  const replaced: Change = () => {
    // The same bytes and times in another inode, as a package's reinstallation leaves them.
    const copy = join(aside, 'copy')
    cpSync(path, copy, { preserveTimestamps: true })
    renameSync(copy, path)
    return () => {}
  }
  const touched: Change = () => {
    utimesSync(path, stat.atime, new Date())
    return () => utimesSync(path, stat.atime, stat.mtime)
  }
  const mode: Change = () => {
    chmodSync(path, stat.mode ^ 0o010)
    return () => chmodSync(path, stat.mode)
  }
  return { replaced, touched, mode, removed: removal(path) }
}

function removal(path: string): Change {
  return () => {
    const kept = join(dirname(path), `.kept-${process.pid}`)
    renameSync(path, kept)
    return () => renameSync(kept, path)
  }
}

function changesOfLink(path: string): Readonly<Record<string, Change>> {
  const target = readlinkSync(path)
  const linked = (to: string) => {
    rmSync(path)
    symlinkSync(to, path)
  }
  const redirected: Change = () => {
    linked('/etc/ld.so.conf')
    return () => linked(target)
  }
  return { redirected, removed: removal(path) }
}

function appearancesAt(path: string): Readonly<Record<string, Change>> {
  const make = (create: () => void) => () => {
    mkdirSync(dirname(path), { recursive: true })
    create()
    return () => rmSync(path, { recursive: true })
  }
  return {
    created: make(() => writeFileSync(path, '')),
    'a dangling link': make(() => symlinkSync('nowhere', path)),
    'a directory': make(() => mkdirSync(path)),
  }
}

t.test('a path that cannot be looked at is absent, as it is to the loader', async t => {
  const root = fresh()
  put(root, '/loop', { link: 'loop' })
  for (const path of [join(root, 'loop/below'), join(root, 'x'.repeat(256))])
    t.same(guardOf(path, null), { kind: 'absent', path, seenAs: null })
  t.same(
    guardsOf(root, [`/${'long/'.repeat(1000)}`], () => true),
    [],
    'and no path is longer than PATH_MAX',
  )
})
