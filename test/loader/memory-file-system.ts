import { chmodSync } from 'node:fs'
import t from 'tap'
import { errorCode } from '../../lib/loader/file-system.js'
import { directory, file, hardLink, memoryFileSystem, symlink } from '../../lib/loader/memory-file-system.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { FileSystem } from '../../lib/loader/types.js'
import { temporaryDirectory } from '../support/fixtures.js'
import { openTree, writeTree } from '../support/written-tree.js'

const bytes = Buffer.from('contents')

/** The bits for owner and others are the same, so that it does not matter who runs this. */
const tree = {
  '/usr/lib/liba.so': bytes,
  '/usr/lib/libb.so': file(bytes, 0o444),
  '/usr/lib/libc.so': file(bytes, 0o111),
  '/usr/lib/libd.so': hardLink('/usr/lib/liba.so'),
  '/usr/lib/libe.so': symlink('liba.so'),
  '/usr/lib/libf.so': symlink('ümlaut'),
  '/empty': directory(),
  '/searched': directory(0o111),
  '/searched/liba.so': bytes,
  '/listed': directory(0o444),
  '/listed/liba.so': bytes,
  '/closed': directory(0o000),
  '/closed/below/liba.so': bytes,
}

/** All that can be asked about a path, each as what it gives or the error's code. */
function answers(fs: FileSystem, path: string): Record<string, unknown> {
  const answer = (ask: () => unknown) => {
    try {
      return ask()
    } catch (error) {
      return errorCode(error)
    }
  }
  return {
    kind: answer(() => fs.lstat(path)?.kind),
    permissions: answer(() => (fs.lstat(path)?.mode ?? 0) & 0o444),
    size: answer(() => (fs.lstat(path)?.kind === 'directory' ? null : fs.lstat(path)?.size)),
    target: answer(() => fs.readlink(path)),
    names: answer(() => fs.readdir(path)?.toSorted()),
    bytes: answer(() => {
      const open = fs.open(path)
      const buffer = Buffer.alloc(20)
      const count = open.read(buffer, 3)
      open.close()
      return [open.size, buffer.toString('utf8', 0, count)]
    }),
  }
}

t.test('a tree in memory answers as the kernel does for the same tree', async t => {
  const root = temporaryDirectory()
  chmodSync(root, 0o755)
  writeTree(tree, root)
  const real = rootFileSystem(root)
  const made = memoryFileSystem(tree)
  const isRoot = process.geteuid?.() === 0
  const paths = [...Object.keys(tree), '/', '/usr', '/none', '/none/none', '/closed/none', '/usr/lib/liba.so/none']
  // Root may read everything: so nobody in particular looks.
  if (isRoot) process.seteuid?.(65_534)
  const kernel = paths.map(path => answers(real, path))
  if (isRoot) process.seteuid?.(0)
  openTree(tree, root)
  for (const [index, path] of paths.entries()) t.same(answers(made, path), kernel[index], path)
})

t.test('one inode for the names of one file, and for nothing else', async t => {
  const inode = (fs: FileSystem, path: string) => `${fs.lstat(path)?.dev}:${fs.lstat(path)?.ino}`
  const [fs, other] = [memoryFileSystem(tree), memoryFileSystem(tree)]
  t.equal(inode(fs, '/usr/lib/libd.so'), inode(fs, '/usr/lib/liba.so'))
  const paths = Object.keys(tree).filter(path => path !== '/usr/lib/libd.so' && !/^.(listed|closed)./.test(path))
  const all = [fs, other].flatMap(fs => [...paths, '/usr', '/'].map(path => inode(fs, path)))
  t.equal(new Set(all).size, all.length)
})

t.test('a tree that cannot be', async t => {
  const refused = { code: 'FIXTURE_INVALID' }
  t.throws(() => memoryFileSystem({ 'lib/x': bytes }), refused)
  t.throws(() => memoryFileSystem({ '/lib//x': bytes }), refused)
  t.throws(() => memoryFileSystem({ '/lib/../x': bytes }), refused)
  t.throws(() => memoryFileSystem({ '/lib/': bytes }), refused)
  t.throws(() => memoryFileSystem({ '/lib': bytes, '/lib/x': bytes }), refused)
  t.throws(() => memoryFileSystem({ '/lib': symlink('usr/lib'), '/lib/x': bytes }), refused)
  t.throws(() => memoryFileSystem({ '/a': hardLink('/b') }), refused)
  t.throws(() => memoryFileSystem({ '/a': hardLink('/b'), '/b': symlink('c') }), refused)
  t.equal(memoryFileSystem({}).lstat('/')?.kind, 'directory')
  t.equal(memoryFileSystem({ '/..x/...': bytes }).lstat('/..x/...')?.kind, 'file')
})
