import { linkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { DescribedDirectory } from '../../lib/host/described.js'
import { knownFileSystem } from '../../lib/host/known-file-system.js'
import { Survey } from '../../lib/host/survey.js'
import { join as joinPath } from '../../lib/loader/file-system.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { FileSystem } from '../../lib/loader/types.js'
import { libraries, tree } from '../decide/scenario.js'

const unknown = {
  symbols: () => {
    throw new Error('nobody asks')
  },
  sha256: () => '',
}

function knownFrom(survey: Survey): FileSystem {
  return knownFileSystem({ ...JSON.parse(JSON.stringify(survey.result())), contents: [] }, unknown)
}

function everyPath(fs: FileSystem, directory = '/'): readonly string[] {
  const below = (fs.readdir(directory) ?? []).map(name => joinPath(directory, name))
  return [directory, ...below.flatMap(path => (fs.lstat(path)?.kind === 'directory' ? everyPath(fs, path) : [path]))]
}

t.test('a tree is as it is there', async t => {
  const root = tree({
    [`${libraries}/libone.so.1`]: 'one',
    [`${libraries}/libone.so`]: { link: 'libone.so.1' },
    '/usr/bin/two': '#!two',
    '/opt/empty/.keep': '',
    '/etc/nowhere': { link: '/nowhere' },
  })
  linkSync(join(root, libraries, 'libone.so.1'), join(root, libraries, 'libalso.so.1'))
  const fs = rootFileSystem(root)
  const known = knownFrom(new Survey(fs))
  t.same(everyPath(known), everyPath(fs))
  const shape = (fs: FileSystem, path: string) => {
    const stat = fs.lstat(path)
    const size = stat?.kind === 'directory' ? null : stat?.size
    const links = stat?.kind === 'file' ? stat.links : null
    return { kind: stat?.kind, mode: stat?.mode, size, links, target: stat?.kind === 'symlink' && fs.readlink(path) }
  }
  for (const path of everyPath(fs)) t.same(shape(known, path), shape(fs, path), path)
  const [one, also] = ['libone.so.1', 'libalso.so.1'].map(name => known.lstat(join(libraries, name))?.ino)
  t.equal(one, also)
  t.equal(known.lstat('/usr/bin/other'), null)
  t.equal(known.readdir('/usr/bin/two'), null)
  t.throws(() => known.open('/usr'), { code: 'EISDIR' })
  t.throws(() => known.open('/usr/bin/other'), { code: 'ENOENT' })
  t.throws(() => known.readlink('/usr/bin/two'), { code: 'EINVAL' })
})

const row = (path: string, more: Partial<DescribedDirectory> = {}): DescribedDirectory => ({
  path,
  mode: 0o755,
  files: {},
  links: {},
  others: [],
  ...more,
})
const made = (
  directories: readonly DescribedDirectory[],
  more: Partial<Parameters<typeof knownFileSystem>[0]> = {},
): FileSystem => knownFileSystem({ directories, sameFiles: [], closed: {}, contents: [], ...more }, unknown)

t.test('bytes are those that were noted', async t => {
  const parts = [
    { at: 0, text: 'ab' },
    { at: 4, base64: Buffer.from('ef').toString('base64') },
  ]
  const fs = made([row('/', { files: { noted: [8, 0o644], other: [8, 0o644] } })], {
    contents: [{ path: '/noted', parts }],
  })
  const read = (path: string, at: number) => {
    const buffer = Buffer.alloc(8)
    return buffer.toString('latin1', 0, fs.open(path).read(buffer, at))
  }
  t.same([read('/noted', 0), read('/noted', 1), read('/noted', 4), read('/noted', 8)], ['ab', 'b', 'ef', ''])
  t.throws(() => read('/noted', 3), { code: 'ELF_NOT' })
  t.throws(() => read('/other', 0), { code: 'ELF_NOT' })
})

t.test('what was closed to whoever described it is closed', async t => {
  const fs = made([row('/'), row('/closed'), row('/open', { files: { secret: [1, 0o600] } })], {
    closed: { '/closed': 'EACCES', '/open/secret': 'EACCES' },
  })
  t.throws(() => fs.readdir('/closed'), { code: 'EACCES' })
  t.throws(() => fs.lstat('/closed/in'), { code: 'EACCES' })
  t.equal(fs.lstat('/closed')?.kind, 'directory')
  t.throws(() => fs.open('/open/secret'), { code: 'EACCES' })
  t.throws(() => fs.symbols?.('/open/secret'), { code: 'EACCES' })
  t.equal(fs.lstat('/open/secret')?.size, 1)
})

t.test('descriptions that contradict themselves', async t => {
  const file = { files: { f: [1, 0o644] as const } }
  for (const build of [
    () => made([row('/'), row('/a/b')]),
    () => made([row('/a'), row('/')]),
    () => made([row('/'), row('/')]),
    () => made([row('/', file), row('/f')]),
    () => made([row('/', { ...file, links: { f: 'x' } })]),
    () => made([row('/', file)], { sameFiles: [['/f', '/g']] }),
    () => made([row('/'), row('/d')], { sameFiles: [['/d', '/d']] }),
    () => made([row('/')], { contents: [{ path: '/f', parts: [] }] }),
    () => made([row('/', file)], { contents: [{ path: '/f', parts: [{ at: 1, text: 'x' }] }] }),
  ])
    t.throws(build, { code: 'INVENTORY_INVALID' })
})
