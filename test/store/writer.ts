import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
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

const skip = process.geteuid?.() !== 0 || !existsSync('/dev/loop-control') ? 'only root mounts a file system' : false

/** Calls `fn` with a file system that takes bytes and cannot write them later, as it is in a file that has not the room until `heal`. */
function onFailingFileSystem(place: string, fn: (mounted: string, heal: () => void) => void): void {
  const [small, mounted, image] = [join(place, 'small'), join(place, 'mounted'), join(place, 'small/image')]
  const filler = join(small, 'filler')
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=60M', 'tmpfs', small])
  try {
    execFileSync('truncate', ['-s', '64M', image])
    execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', '-E', 'lazy_itable_init=0', image])
    writeFileSync(filler, Buffer.alloc(50 << 20))
    execFileSync('mount', ['-o', 'loop', image, mounted])
    try {
      fn(mounted, () => unlinkSync(filler))
    } finally {
      execFileSync('umount', [mounted])
    }
  } finally {
    execFileSync('umount', [small])
  }
}

t.test('that bytes did not reach the disk is told to each who wrote, not to the first who asks', { skip }, async t => {
  onFailingFileSystem(t.testdir({ small: {}, mounted: {} }), (mounted, heal) => {
    const store = emptyStore(join(mounted, 'store'))
    const write = (): void =>
      Writer.use(store, writer => {
        writer.add(bytesOf(randomBytes(30 << 20)), false)
        // Another process is told of it; what is written from then on does reach the disk.
        t.equal(spawnSync('sync', ['--file-system', mounted]).status, 1)
        heal()
        writer.commit()
      })
    t.throws(write, { code: 'STORE_UNWRITABLE' })
    t.same(objectsIn(store), [], 'nothing has a name that is not on the disk')
  })
})
