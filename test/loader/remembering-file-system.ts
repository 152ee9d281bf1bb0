import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { rememberingFileSystem } from '../../lib/loader/remembering-file-system.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { temporaryDirectory } from '../support/fixtures.js'

t.test('what was seen once is seen so, until the file is opened', async t => {
  const root = temporaryDirectory()
  writeFileSync(join(root, 'file'), 'one')
  symlinkSync('file', join(root, 'link'))
  const fs = rememberingFileSystem(rootFileSystem(root))
  const before = fs.lstat('/file')
  t.equal(before?.size, 3)
  t.equal(fs.lstat('/none'), null)
  t.same([...(fs.readdir('/') ?? [])].sort(), ['file', 'link'])
  t.equal(fs.readlink('/link'), 'file')
  writeFileSync(join(root, 'other'), 'another')
  renameSync(join(root, 'other'), join(root, 'file'))
  writeFileSync(join(root, 'none'), '')
  rmSync(join(root, 'link'))
  t.equal(fs.lstat('/file'), before)
  t.equal(fs.lstat('/none'), null)
  t.same([...(fs.readdir('/') ?? [])].sort(), ['file', 'link'])
  t.equal(fs.readlink('/link'), 'file')
  fs.open('/file').close()
  t.equal(fs.lstat('/file')?.size, 7, 'who compares what it was before and after sees that it is another')
})
