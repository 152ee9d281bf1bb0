import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { resolvePath } from '../../lib/loader/file-system.js'
import { memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { overlayFileSystem } from '../../lib/loader/overlay-file-system.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { FileSystem } from '../../lib/loader/types.js'
import { temporaryDirectory } from '../support/fixtures.js'

const bytes = Buffer.from('contents')

function text(fs: FileSystem, path: string): string {
  const file = fs.open(path)
  const buffer = Buffer.alloc(file.size)
  file.read(buffer, 0)
  file.close()
  return buffer.toString()
}

t.test('symlinks stay inside the root, as the kernel has it after chroot', async t => {
  const root = temporaryDirectory()
  for (const directory of ['a/b', 'usr/lib', 'usr/bin']) mkdirSync(join(root, directory), { recursive: true })
  writeFileSync(join(root, 'a/b/file'), '')
  const links = {
    lib: 'usr/lib',
    'a/abs': '/a/b/file',
    'a/up': '../../../../a/b',
    'usr/lib/chain': '/a/up/file',
    'a/dangling': '/nowhere/x',
    'a/loop': 'loop',
    'a/through': 'b/file/x',
    'a/dot': './/b/./file',
  }
  for (const [path, target] of Object.entries(links)) symlinkSync(target, join(root, path))
  const fs = rootFileSystem(root)
  const paths = [
    '/a/abs',
    '/a/up/file',
    '/lib/chain',
    '/a/../a/b/..//b/file',
    '/../../a/b/file',
    '/a/dangling',
    '/a/through',
    '/a/dot',
    '/a/b/file/',
    '/a/b/',
    '/a/b/file/..',
    '/',
    '/lib/../bin',
    '/none/../a',
  ]
  const kernel = realpathsIn(root, paths)
  for (const [index, path] of paths.entries()) t.equal(resolvePath(fs, path).path, kernel[index] as string | null, path)
  t.throws(() => resolvePath(fs, '/a/loop'), { code: 'ELOOP' })
  t.same(resolvePath(fs, '/lib/chain').links, ['/lib', '/usr/lib/chain', '/a/up'])
  t.equal(resolvePath(fs, '/a/dangling').missing, '/nowhere')
  t.throws(() => rootFileSystem(join(root, 'a/b/file')), { code: 'ROOT_INVALID' })
})

/** Where the kernel finds paths in a root, by chroot; null where stat fails. */
function realpathsIn(root: string, paths: readonly string[]): (string | null)[] {
  const script = `
import json, os, sys
def find(path):
  try: os.stat(path)
  except OSError: return None
  return os.path.realpath(path)
os.chroot(sys.argv[1])
print(json.dumps([find(path) for path in sys.argv[2:]]))`
  const args = ['--map-root-user', 'python3', '-c', script, root, ...paths]
  return JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }))
}

t.test('paths of many components, and through links of many: as the kernel has them', async t => {
  const root = temporaryDirectory()
  mkdirSync(join(root, 'end'))
  writeFileSync(join(root, 'end/file'), '')
  const dots = './'.repeat(2000)
  for (let i = 0; i < 3; i++) symlinkSync(i === 0 ? `end/${dots}` : `link${i - 1}/${dots}`, join(root, `link${i}`))
  const paths = [`/${dots}end/file`, '/link2/file', `/link2/${dots}file`, `/${'a/'.repeat(2000)}b`]
  const kernel = realpathsIn(root, paths)
  for (const [index, path] of paths.entries())
    t.equal(resolvePath(rootFileSystem(root), path).path, kernel[index] as string | null, path.slice(0, 20))
  const longest = `/${'./'.repeat(2045)}end`
  t.equal(Buffer.byteLength(longest), 4094)
  t.equal(resolvePath(rootFileSystem(root), longest).path, '/end')
  t.equal(resolvePath(rootFileSystem(root), `/${longest}`).path, '/end')
  t.throws(() => resolvePath(rootFileSystem(root), `//${longest}`), { code: 'ENAMETOOLONG' })
  t.throws(() => statSync(`//${longest}`), { code: 'ENAMETOOLONG' })
})

t.test('a tree is never left, even by a path with a link before its end', async t => {
  const base = temporaryDirectory()
  const outside = join(base, 'outside')
  mkdirSync(join(base, 'root/opt'), { recursive: true })
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret'), 'secret')
  symlinkSync(outside, join(base, 'root/opt/absolute'))
  symlinkSync('../../outside', join(base, 'root/opt/relative'))
  symlinkSync(join(outside, 'secret'), join(base, 'root/opt/file'))
  const fs = rootFileSystem(join(base, 'root'))
  for (const directory of ['/opt/absolute', '/opt/relative']) {
    t.equal(fs.lstat(directory)?.kind, 'symlink')
    t.equal(fs.lstat(`${directory}/secret`), null)
    t.equal(fs.lstat(`${directory}/..`), null)
    t.equal(fs.readdir(directory), null)
    t.throws(() => fs.open(`${directory}/secret`), { code: 'ENOENT' })
    t.throws(() => fs.readlink(`${directory}/secret`), { code: 'ENOENT' })
  }
  t.throws(() => fs.open('/opt/file'), { code: 'ELOOP' })
})

t.test('symlink chains of forty are walked, longer ones are not', async t => {
  const tree = Object.fromEntries(Array.from({ length: 41 }, (_, index) => [`/l${index}`, { target: `l${index + 1}` }]))
  const fs = memoryFileSystem({ ...tree, '/l41': { bytes } })
  t.equal(resolvePath(fs, '/l1').path, '/l41')
  t.throws(() => resolvePath(fs, '/l0'), { code: 'ELOOP' })
})

t.test('an overlay', async t => {
  const lower = memoryFileSystem({
    '/usr/lib/liba.so': { bytes: Buffer.from('host a') },
    '/usr/lib/libb.so': { target: 'liba.so' },
    '/usr/lib/deep/x': { bytes },
    '/opt/link': { target: '/usr/lib' },
    '/etc/passwd': { bytes },
  })
  const layer = memoryFileSystem({ '/a': { bytes: Buffer.from('own a') } })
  const fs = overlayFileSystem(
    lower,
    new Map([
      ['/usr/lib/liba.so', { kind: 'file', from: layer, path: '/a' }],
      ['/usr/lib/liba.so.1', { kind: 'file', from: layer, path: '/a' }],
      ['/usr/lib/deep', { kind: 'whiteout' }],
      ['/usr/share/new/link', { kind: 'symlink', target: '../../lib/libb.so' }],
      ['/opt/link', { kind: 'directory' }],
      ['/nowhere/gone', { kind: 'whiteout' }],
    ]),
  )
  t.equal(text(fs, resolvePath(fs, '/usr/share/new/link').path as string), 'own a')
  t.equal(fs.lstat('/usr/lib/liba.so')?.ino, fs.lstat('/usr/lib/liba.so.1')?.ino, 'one backing file, one inode')
  t.equal(fs.lstat('/usr/lib/deep'), null)
  t.equal(fs.lstat('/usr/lib/deep/x'), null, 'what a whiteout hides is hidden with all below it')
  t.same([...(fs.readdir('/usr/lib') ?? [])].sort(), ['liba.so', 'liba.so.1', 'libb.so'])
  t.same(fs.readdir('/usr/share'), ['new'])
  t.same(fs.readdir('/opt/link'), [], 'a directory over a symlink does not merge with what that led to')
  t.equal(fs.lstat('/opt/link/liba.so'), null)
  t.equal(fs.lstat('/nowhere'), null, 'a whiteout makes no directories')
  t.equal(text(fs, '/etc/passwd'), 'contents')
  t.same([...(fs.readdir('/') ?? [])].sort(), ['etc', 'opt', 'usr'])
  t.equal(fs.lstat('/etc/passwd')?.ino, lower.lstat('/etc/passwd')?.ino)
})

t.test('only regular files are opened, and nothing waits for a FIFO', async t => {
  const root = temporaryDirectory()
  execFileSync('mkfifo', [join(root, 'fifo')])
  const fs = rootFileSystem(root)
  t.throws(() => fs.open('/fifo'), { code: 'EINVAL' })
  t.throws(() => fs.open('/'), { code: 'EISDIR' })
  t.equal(fs.lstat('/none/x'), null)
  t.equal(fs.readdir('/none'), null)
})
