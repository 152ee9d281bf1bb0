import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { AppcError } from '../../lib/errors.js'
import {
  clearTemporary,
  createStore,
  ifAlone,
  LOCKS,
  storeHome,
  whileUnpublished,
  withLock,
  withPlanning,
  withPublishing,
} from '../../lib/store/store.js'
import { system } from './system.js'

t.test('where the store is', async t => {
  t.equal(storeHome({ APPC_HOME: '/srv/appc', HOME: '/root' }, 0), '/srv/appc')
  t.equal(storeHome({ HOME: '/root', XDG_DATA_HOME: '/x' }, 0), '/var/lib/appc')
  t.equal(storeHome({ HOME: '/home/u', XDG_DATA_HOME: '/data' }, 1000), '/data/appc')
  t.equal(storeHome({ HOME: '/home/u', XDG_DATA_HOME: 'relative' }, 1000), '/home/u/.local/share/appc')
  t.equal(storeHome({ HOME: '/home/u', APPC_HOME: '' }, 1000), '/home/u/.local/share/appc')
  t.throws(() => storeHome({ APPC_HOME: 'here' }, 0), { code: 'USAGE' })
  t.throws(() => storeHome({}, 1000), { code: 'STORE_UNWRITABLE' })
})

t.test("root's store may be read by all, a user's by nobody else, whatever the umask", async t => {
  const before = process.umask(0o077)
  t.teardown(() => process.umask(before))
  for (const [uid, mode] of [
    [0, 0o755],
    [1000, 0o700],
  ] as const) {
    const home = join(t.testdir({}), `store-of-${uid}`)
    createStore({ home, system }, uid)
    for (const name of ['', 'objects', 'refs', 'plans', 'tmp'])
      t.equal(statSync(join(home, name)).mode & 0o7777, mode, `${uid} ${name}`)
    for (const name of ['secrets', 'quarantine', 'views'])
      t.equal(statSync(join(home, name)).mode & 0o7777, 0o700, `${uid} ${name}`)
    for (const lock of LOCKS) t.equal(statSync(join(home, lock)).mode & 0o7777, 0o644)
    createStore({ home, system }, uid)
  }
})

t.test('a store that cannot be made is one clear error', async t => {
  const home = join(t.testdir({ file: '' }), 'file', 'store')
  t.throws(() => createStore({ home, system }, 0), { code: 'STORE_UNWRITABLE' })
  // Where a directory takes no others, whatever their name: with Node's own way, this would not end.
  for (const home of ['/proc/none', '/proc/none/store', '/proc/self/fd/none'])
    t.throws(() => createStore({ home, system }, 0), { code: 'STORE_UNWRITABLE' }, home)
})

t.test('exclusive means alone, shared does not', async t => {
  const store = { home: t.testdir({}), system }
  createStore(store, 0)
  const tryAlone = (): boolean => {
    let ran = false
    ifAlone(store, () => {
      ran = true
    })
    return ran
  }
  t.equal(
    withLock(store, 'shared', () => withLock(store, 'shared', tryAlone)),
    false,
  )
  t.equal(withLock(store, 'exclusive', tryAlone), false)
  t.throws(
    () =>
      withLock(store, 'exclusive', () => {
        throw new AppcError('INTERNAL', 'on purpose')
      }),
    { code: 'INTERNAL' },
  )
  t.equal(tryAlone(), true, 'released by return and by throw')
})

t.test('who waits to be alone is not passed by others, and not in the way of who is there', async t => {
  const store = { home: t.testdir({}), system }
  createStore(store, 0)
  const lib = new URL('../../lib', import.meta.url)
  const code = (mode: string, rest: string) => `
    import { readSync } from 'node:fs'
    import { addon } from '${lib}/launch/addon.js'
    import { withLock } from '${lib}/store/store.js'
    withLock({ home: '${store.home}', system: addon() }, '${mode}', () => {
      console.log('${mode}')
      ${rest}
    })`
  const start = (mode: string, rest = '') =>
    spawn(process.execPath, ['--input-type=module', '-e', code(mode, rest)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting = (name: string) => {
    const { ino } = statSync(join(store.home, name))
    return readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .filter(line => line.includes(' -> ') && line.includes(`:${ino} `)).length
  }
  const until = async (holds: () => boolean) => {
    while (!holds()) await setTimeout(20)
  }
  const order: string[] = []
  const first = start(
    'shared',
    `
      readSync(0, Buffer.alloc(1))
      withLock({ home: '${store.home}', system: addon() }, 'shared', () => console.log('once more'))`,
  )
  const note = (child: typeof first) => child.stdout.on('data', text => order.push(...String(text).trim().split('\n')))
  note(first)
  await until(() => order.length > 0)
  const alone = start('exclusive')
  note(alone)
  await until(() => waiting('lock') > 0)
  const late = start('shared')
  note(late)
  await until(() => waiting('turn') > 0)
  first.stdin.end('x')
  await Promise.all([first, alone, late].map(child => once(child, 'close')))
  t.same(order, ['shared', 'once more', 'exclusive', 'shared'])
})

t.test('no generation is made meanwhile', async t => {
  const store = { home: t.testdir({}), system }
  createStore(store, 0)
  const isFree = (mode: 'shared' | 'exclusive') => {
    const fd = openSync(join(store.home, 'publishing'), 'r')
    try {
      return system.flock(fd, mode, false)
    } finally {
      closeSync(fd)
    }
  }
  t.same(
    whileUnpublished(store, () => [isFree('shared'), isFree('exclusive')]),
    [true, false],
  )
  t.same(
    withPublishing(store, () => [isFree('shared'), isFree('exclusive')]),
    [false, false],
  )
  t.same([isFree('shared'), isFree('exclusive')], [true, true])
})

t.test('each plan has a lock of its own, and none leaves a file behind', async t => {
  const store = { home: t.testdir({}), system }
  createStore(store, 0)
  const before = readdirSync(store.home)
  const order: string[] = []
  withPlanning(store, 'one', () => withPlanning(store, 'two', () => order.push('two')))
  t.throws(
    () =>
      withPlanning(store, 'one', () => {
        throw new AppcError('INTERNAL', 'on purpose')
      }),
    { code: 'INTERNAL' },
  )
  withPlanning(store, 'one', () => order.push('one'))
  t.same(order, ['two', 'one'], 'released by return and by throw')
  t.same(readdirSync(store.home), before)
  t.equal(statSync(join(store.home, 'planning')).size, 0)
})

t.test('leftovers in tmp are cleared', async t => {
  const store = { home: t.testdir({}), system }
  createStore(store, 0)
  mkdirSync(join(store.home, 'tmp/write-dead/deep'), { recursive: true })
  writeFileSync(join(store.home, 'tmp/write-dead/0'), 'half')
  clearTemporary(store)
  t.notOk(existsSync(join(store.home, 'tmp/write-dead')))
})
