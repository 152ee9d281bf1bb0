import { chmodSync, chownSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { users } from '../native/fixture.js'
import { temporaryDirectory } from '../support/fixtures.js'
import { Site } from '../support/site.js'
import { makeSmallTree } from '../support/small-tree.js'

const skip = process.geteuid?.() === 0 ? false : 'only root makes files of others'

t.test('what is somebody else’s is left, and the rest is mended', { skip }, async t => {
  const root = temporaryDirectory()
  makeSmallTree(root)
  chmodSync(root, 0o755)
  copyFileSync('/bin/dash', join(root, 'usr/bin/sh'))
  const texts = ['damaged', 'owner', 'directory']
  for (const text of texts) writeFileSync(join(root, 'etc', text), text)
  const site = new Site(users.at(-1)?.[1] ?? { uid: -1, gid: -1 })
  t.teardown(() => site.remove())
  const include = texts.flatMap(text => ['--include', `/etc/${text}`])
  t.match(await site.appc('pack', '--root', root, '--name', 'app', 'sh', ...include), { status: 0 })
  const objects = site.listing().filter(path => /^objects\/..\/./.test(path))
  const [damaged = '', owner = '', directory = ''] = texts.map(text => {
    const found = objects.find(path => readFileSync(join(site.store, path), 'latin1') === text)
    return join(site.store, found ?? '')
  })
  for (const path of [damaged, directory]) {
    chmodSync(path, 0o644)
    writeFileSync(path, 'other')
  }
  chownSync(owner, 0, 0)
  chownSync(join(directory, '..'), 0, 0)
  const { status, stdout, stderr } = await site.appc('repair', '--full', '--from', root)
  t.match({ status, stderr }, { status: 1, stderr: '' })
  t.match(stdout, /have root give back what is somebody else’s/)
  t.equal(readFileSync(damaged, 'latin1'), 'damaged')
  t.equal(readFileSync(directory, 'latin1'), 'other')
})
