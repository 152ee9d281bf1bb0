import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppcError } from '../../lib/errors.js'
import { collectGarbage } from '../../lib/store/garbage.js'
import { publish } from '../../lib/store/generations.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { Writer } from '../../lib/store/writer.js'
import { system } from './system.js'

t.test('nothing is collected where what could be read once cannot be read again', async t => {
  const store: Store = { home: t.testdir({}), system }
  createStore(store, 0)
  const bytes = Buffer.from('needed')
  const { sha256 } = Writer.use(store, writer => {
    const source = { size: bytes.length, read: (to: Buffer, at: number) => bytes.copy(to, 0, at), close: () => {} }
    const object = writer.add(source, false)
    writer.commit()
    return object
  })
  for (const number of [1, 2]) {
    const generation = { number, container: sha256, document: JSON.stringify({ number, container: sha256 }) }
    publish(store, 'app', generation)
  }
  // Two generations are looked at, and then the newest once more.
  let looks = 0
  const needsOf = () => {
    if (++looks === 3) throw new AppcError('FILE_UNREADABLE', 'the disk fails')
    return { objects: [{ sha256, executable: false }], secrets: [] }
  }
  const request = {
    needsOf,
    keep: 1,
    grace: 0,
    evidence: 0,
    plans: [],
    isViewNeeded: () => true,
    now: 0,
    dryRun: false,
  }
  t.match(collectGarbage(store, request), { unreadable: ['app'], objects: 0, generations: [] })
  t.equal(looks, 3)
  t.equal(readdirSync(join(store.home, 'objects', sha256.slice(0, 2))).length, 1)
})
