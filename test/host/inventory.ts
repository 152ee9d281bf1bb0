import { execFileSync } from 'node:child_process'
import { realpathSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Inventory, type LibraryMemory, takeStock } from '../../lib/host/inventory.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { FileSystem } from '../../lib/loader/types.js'
import { library } from '../container/tree.js'
import { libraries, program, tree } from '../decide/scenario.js'

const nothing: LibraryMemory = { get: () => undefined, set: () => {} }
const machine = { kernel: { release: '6.1', features: { userNamespace: null } }, cpuLevel: 1 }
const stockOf = (root: string, memory = nothing): Inventory => takeStock(rootFileSystem(root), machine, memory)
const shell = program('int main(void) { return 0; }')
const one = (value: number) => library('libone.so.1', `int one(void) { return ${value}; }`, 'ONE_1 { one; };')

t.test('this machine: every library that its ldconfig lists', async t => {
  const inventory = stockOf('/')
  const paths = new Set(inventory.libraries.map(({ path }) => path))
  const listed = execFileSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).split('\n')
  for (const line of listed) {
    const [, flags = '', path = ''] = /\(([^)]*)\) => (\S+)/.exec(line) ?? []
    if (flags.includes('x86-64')) t.ok(paths.has(realpathSync(path)), path)
  }
  t.ok(inventory.libraries.find(({ soname }) => soname === 'libc.so.6')?.versions.includes('GLIBC_2.2.5'))
  t.same(
    inventory.libraries.map(({ path }) => path),
    [...paths].sort(),
  )
})

t.test('equal hosts, equal digests; any difference, another', async t => {
  const files = { '/usr/bin/sh': shell, [`${libraries}/libone.so.1`]: one(1), '/etc/os-release': 'ID=made\n' }
  const root = tree(files)
  const { digest } = stockOf(root)
  t.equal(stockOf(tree(files)).digest, digest)
  t.not(takeStock(rootFileSystem(root), { ...machine, cpuLevel: 2 }, nothing).digest, digest)
  const changes = [
    { ...files, '/etc/os-release': 'ID=other\n' },
    { ...files, [`${libraries}/libtwo.so.1`]: library('libtwo.so.1', 'int two(void) { return 2; }') },
    {
      ...files,
      [`${libraries}/libone.so.1`]: library('libone.so.1', 'int one(void) { return 1; }', 'ONE_2 { one; };'),
    },
  ]
  for (const changed of changes) t.not(stockOf(tree(changed)).digest, digest)
})

t.test('what is no library is passed over', async t => {
  const root = tree({
    '/usr/bin/sh': shell,
    [`${libraries}/libscript.so`]: 'INPUT(libc.so.6)',
    [`${libraries}/libcut.so.1`]: one(1).subarray(0, 100),
    [`${libraries}/libdangling.so.1`]: { link: 'nowhere' },
    [`${libraries}/libcircle.so.1`]: { link: 'libcircle.so.1' },
    [`${libraries}/libdirectory.so.1/file`]: '',
    [`${libraries}/libone.so`]: { link: 'libone.so.1' },
    [`${libraries}/libone.so.1`]: one(1),
    [`${libraries}/libprogram.so`]: program('int main(void) { return 0; }', {}, ['-static']),
  })
  const { libraries: found } = stockOf(root)
  t.same(
    found.filter(({ soname }) => !/^(libc|ld-)/.test(soname)).map(({ path }) => path),
    [`${libraries}/libone.so.1`],
  )
})

t.test('a root without a loader has no libraries', async t => {
  t.match(stockOf(tree({ [`${libraries}/libone.so.1`]: one(1) }, {})), {
    loader: null,
    libraries: [],
    os: null,
    cpu: { machine: 0 },
  })
})

t.test('what is remembered is not opened again, and is remembered of this very file', async t => {
  const root = tree({ '/usr/bin/sh': shell, [`${libraries}/libone.so.1`]: one(1), [`${libraries}/libtext.so`]: 'text' })
  const known = new Map<string, Parameters<LibraryMemory['set']>[1]>()
  const key = ({ dev, ino, size, mtimeNs, ctimeNs }: Parameters<LibraryMemory['get']>[0]) =>
    [dev, ino, size, mtimeNs, ctimeNs].join()
  const memory: LibraryMemory = {
    get: stat => known.get(key(stat)),
    set: (stat, library) => known.set(key(stat), library),
  }
  const opened: string[] = []
  const watched = (): FileSystem => {
    const fs = rootFileSystem(root)
    return {
      ...fs,
      open: path => {
        opened.push(path)
        return fs.open(path)
      },
    }
  }
  const first = takeStock(watched(), machine, memory)
  t.ok(opened.includes(`${libraries}/libone.so.1`))
  opened.length = 0
  t.same(takeStock(watched(), machine, memory), first)
  t.same(
    opened.filter(path => /libone|libtext/.test(path)),
    [],
  )
  // Replaced by another of the same size, as an upgrade does it.
  writeFileSync(join(root, 'new'), library('libone.so.1', 'int one(void) { return 1; }', 'ONE_7 { one; };'))
  renameSync(join(root, 'new'), join(root, libraries, 'libone.so.1'))
  t.not(takeStock(watched(), machine, memory).digest, first.digest)
  t.same(
    opened.filter(path => /libone|libtext/.test(path)),
    [`${libraries}/libone.so.1`],
  )
})
