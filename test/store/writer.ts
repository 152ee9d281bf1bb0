import { createHash } from 'node:crypto'
import { chmodSync, linkSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { OpenFile } from '../../lib/loader/types.js'
import { objectPath, readObject } from '../../lib/store/objects.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { Writer } from '../../lib/store/writer.js'
import { system } from './system.js'

function emptyStore(home: string): Store {
  const store = { home, system }
  createStore(store, 0)
  return store
}

function bytesOf(text: string | Buffer): OpenFile {
  const bytes = Buffer.from(text)
  return { size: bytes.length, read: (buffer, position) => bytes.copy(buffer, 0, position), close: () => {} }
}

function digest(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex')
}

function objectsIn(store: Store): string[] {
  const directory = join(store.home, 'objects')
  return readdirSync(directory).flatMap(fanOut => readdirSync(join(directory, fanOut)).map(rest => fanOut + rest))
}

t.test('objects are named by their bytes and have the mode of their kind', async t => {
  const store = emptyStore(t.testdir({}))
  const large = Buffer.alloc(1_000_003, 'appc')
  Writer.use(store, writer => {
    t.same(writer.add(bytesOf('one'), false), { sha256: digest('one'), size: 3 })
    writer.add(bytesOf('one'), true)
    writer.add(bytesOf('one'), false)
    writer.add(bytesOf(large), false)
    t.same(objectsIn(store), [], 'nothing is visible before it is committed')
    writer.commit()
  })
  t.same(objectsIn(store).sort(), [digest('one'), `${digest('one')}.x`, digest(large)].sort())
  t.equal(statSync(objectPath(store, digest('one'), false)).mode & 0o7777, 0o444)
  t.equal(statSync(objectPath(store, digest('one'), true)).mode & 0o7777, 0o555)
  t.same(readObject(store, digest(large), false, 1 << 20), large)
  t.same(readdirSync(join(store.home, 'tmp')), [])
})

t.test('a file of the machine is copied', async t => {
  const store = emptyStore(t.testdir({ store: {}, source: 'one' }))
  const source = join(t.testdirName, 'source')
  Writer.use(store, writer => {
    t.same(writer.copy(source, true), { sha256: digest('one'), size: 3 })
    writer.commit()
  })
  const object = objectPath(store, digest('one'), true)
  t.equal(readFileSync(object, 'utf8'), 'one')
  t.equal(statSync(object).mode & 0o7777, 0o555)
  t.not(statSync(object).ino, statSync(source).ino)
})

t.test('what was not committed is gone', async t => {
  const store = emptyStore(t.testdir({}))
  t.throws(
    () =>
      Writer.use(store, writer => {
        writer.add(bytesOf('one'), false)
        throw new Error('on purpose')
      }),
    { message: 'on purpose' },
  )
  t.same(objectsIn(store), [])
  t.same(readdirSync(join(store.home, 'tmp')), [])
})

t.test('an object that is there keeps its inode if it is sound, and is replaced if not', async t => {
  const store = emptyStore(t.testdir({}))
  const write = (): void =>
    Writer.use(store, writer => {
      writer.add(bytesOf('sound'), false)
      writer.commit()
    })
  write()
  const path = objectPath(store, digest('sound'), false)
  const first = statSync(path)
  write()
  t.equal(statSync(path).ino, first.ino)

  for (const damage of ['soumd', '', 'sound and more']) {
    // A second name keeps the old inode, so that its number cannot come back.
    linkSync(path, join(store.home, `kept-${damage.length}-${damage}`))
    const damaged = statSync(path).ino
    chmodSync(path, 0o644)
    writeFileSync(path, damage)
    chmodSync(path, 0o444)
    t.throws(() => readObject(store, digest('sound'), false, 100), { code: 'STORE_CORRUPT' })
    write()
    t.equal(readFileSync(path, 'utf8'), 'sound')
    t.not(statSync(path).ino, damaged)
  }
})

t.test('absent and oversized objects', async t => {
  const store = emptyStore(t.testdir({}))
  t.throws(() => readObject(store, digest('none'), false, 100), { code: 'STORE_CORRUPT', because: 'it is not there' })
  Writer.use(store, writer => {
    writer.add(bytesOf('eleven here'), false)
    writer.commit()
  })
  t.throws(() => readObject(store, digest('eleven here'), false, 10), { code: 'STORE_CORRUPT' })
})
