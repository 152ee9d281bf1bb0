import { chownSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openStoreAt } from '../../lib/launch/open-store.js'

t.test('a directory of the store that is a link is not followed', async t => {
  const directory = t.testdir({ victim: { precious: '' } })
  const home = join(directory, 'store')
  for (const name of ['tmp', 'plans', 'refs', 'secrets', 'state']) {
    mkdirSync(join(home, name), { recursive: true })
    const linked = join(directory, `with-${name}`)
    mkdirSync(linked)
    symlinkSync(join(directory, 'victim'), join(linked, name))
    t.throws(() => openStoreAt(linked), { code: 'STORE_CORRUPT', message: new RegExp(name) }, name)
  }
  t.same(readdirSync(join(directory, 'victim')), ['precious'])
})

t.test('root does nothing in a store that is somebody else’s', async t => {
  const home = t.testdir({})
  if (process.geteuid?.() !== 0) {
    t.ok(openStoreAt(home), 'who is not root has no store but his own')
    return
  }
  chownSync(home, 54321, 54321)
  t.throws(() => openStoreAt(home), { code: 'STORE_FOREIGN', hint: 'run appc as its owner' })
  t.same(readdirSync(home), [])
  writeFileSync(join(home, 'kept'), '')
  chownSync(home, 0, 0)
  t.ok(openStoreAt(home))
})
