import { chmodSync, copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { collect, generations, list, pack, remove, repair, rollback, verify } from '../lib/index.js'
import { objectPath } from '../lib/store/objects.js'
import { temporaryDirectory } from './support/fixtures.js'
import { makeSmallTree } from './support/small-tree.js'

t.test('a container’s life, from Node', async t => {
  const directory = temporaryDirectory()
  const [root, store] = [join(directory, 'tree'), join(directory, 'store')]
  makeSmallTree(root)
  copyFileSync('/bin/dash', join(root, 'usr/bin/shell'))
  writeFileSync(join(root, 'etc/data'), 'data')
  const { digest } = pack({ root, name: 'box', entries: ['shell'], include: ['/etc/data'], store })
  t.match(generations('box', { store }), [{ number: 1, by: 'pack', container: digest }])
  t.throws(() => rollback('box', 3, { store }), { code: 'GENERATION_UNKNOWN' })
  t.match(rollback('box', 1, { store }), { number: 1, same: 1 }, 'it is so already')
  t.match(await verify({ store, full: true }), { problems: [] })

  const data = list({ store })[0]?.manifest.files.find(({ path }) => path === '/etc/data')
  if (data?.type !== 'file') throw new Error('it is not packed')
  const object = objectPath({ home: store }, data.sha256, false)
  chmodSync(object, 0o644)
  writeFileSync(object, 'DATA')
  t.match(await verify({ store, full: true }), { problems: [{ path: object }, {}] })
  t.match(await repair({ store, from: [root] }), { left: [] })
  t.match(await verify({ store, full: true }), { problems: [] })

  t.match(collect({ store, dryRun: true }), { objects: 0, generations: [] })
  remove('box', { store })
  t.same(list({ store }), [])
  t.match(collect({ store, grace: 0, keep: 1 }), { objects: 0, unreadable: [] })
})
