import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { Alarm } from '../../lib/launch/alarm.js'
import { News } from '../../lib/launch/news.js'
import { verify } from '../../lib/launch/verify.js'
import { refPath, sparePath } from '../../lib/store/refs.js'
import { problem } from '../../lib/upkeep/problems.js'
import { APPC } from '../support/node.js'
import { refusing } from '../support/refusing.js'
import { digestOf, objectOf, packFiles, type SmallStore, smallStore } from '../support/small-store.js'
import { type Line, Watching } from '../support/watching.js'

const [A, B] = ['A'.repeat(5000), 'B'.repeat(5000)]
const FILES = { '/share/a': A, '/share/b': B }

// Some forty programs are started.
t.setTimeout(180_000)

interface Fixture extends SmallStore {
  readonly a: string
  readonly b: string
  readonly watching: Watching
  readonly first: Line | null
}

/** How the watching process is started, so that it watches in this way. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  fanotify: [],
  inotify: refusing('fanotify_init:EPERM'),
}

async function watched(t: Test, way: readonly string[] = [], before = (_: SmallStore) => {}): Promise<Fixture> {
  const small = smallStore()
  packFiles(small, 'one', FILES)
  before(small)
  const watching = Watching.start([...way, ...APPC, 'watch', '--json', '--from', small.tree], {
    APPC_HOME: small.store.home,
  })
  t.teardown(() => watching.end('SIGKILL'))
  const first = await watching.next()
  return { ...small, a: objectOf(small, A), b: objectOf(small, B), watching, first }
}

/** In place: with other bytes of the same size under the old time, if it can be. */
function overwrite(path: string): void {
  const { mode, size, atime, mtime } = statSync(path)
  chmodSync(path, 0o600)
  writeFileSync(path, 'X'.repeat(size), { flag: 'r+' })
  utimesSync(path, atime, mtime)
  chmodSync(path, mode & 0o7777)
}

const objectDamages: Readonly<Record<string, (path: string) => void>> = {
  overwritten: overwrite,
  'cut short': truncateSync,
  gone: path => rmSync(path),
  'its directory is gone': path => rmSync(dirname(path), { recursive: true }),
  'its directory is moved away': path => renameSync(dirname(path), `${dirname(path)}-away`),
  'another mode': path => chmodSync(path, 0o666),
  replaced: path => {
    writeFileSync(`${path}~`, 'X'.repeat(5000))
    chmodSync(`${path}~`, 0o444)
    renameSync(`${path}~`, path)
  },
  'a link': path => {
    rmSync(path)
    symlinkSync('/etc/passwd', path)
  },
  'a directory': path => {
    rmSync(path)
    mkdirSync(path)
  },
}

function isRight(path: string): boolean {
  return readFileSync(path, 'utf8') === A && (statSync(path).mode & 0o7777) === 0o444
}

for (const [method, way] of Object.entries(WAYS)) {
  t.test(method, async t => {
    t.test('objects', async t => {
      const fixture = await watched(t, way)
      const { a, b, watching, store, first } = fixture
      t.match(first, { schema: 'appc.watch/1', event: 'watching', method, store: store.home, objects: 4 })
      for (const [name, damage] of Object.entries(objectDamages)) {
        const began = performance.now()
        damage(a)
        let line = await watching.next()
        // What was moved away lies where nothing should; and between two calls of what damages it, it may have been mended already.
        while (line !== null && (line.path !== a || !isRight(a))) line = await watching.next()
        t.match(line, { event: 'mended', object: digestOf(A), neededBy: [{ name: 'one', path: '/share/a' }] }, name)
        t.comment(`${name}: ${Math.round(performance.now() - began)} ms`)
        if (method === 'fanotify') t.match(line?.culprits, [{ pid: process.pid, command: /node/ }], name)
        t.equal(readFileSync(a, 'utf8'), A, name)
        t.equal(statSync(a).mode & 0o7777, 0o444, name)
      }
      overwrite(b)
      t.match(await watching.next(), { path: b, kind: 'bytes' }, 'and nothing was told besides')
      t.same(await watching.end(), { rest: [], status: 0, stderr: '' })
      t.same((await verify(store, { full: true })).problems, [])
    })

    t.test('by another name, of an object that came later', async t => {
      const fixture = await watched(t, way)
      const C = 'C'.repeat(7000)
      packFiles(fixture, 'two', { '/share/c': C })
      const link = join(fixture.store.home, 'tmp/link')
      linkSync(objectOf(fixture, C), link)
      overwrite(link)
      t.match(await fixture.watching.next(), { event: 'mended', path: objectOf(fixture, C) })
      rmSync(link)
      t.same((await fixture.watching.end()).rest, [])
    })

    t.test('refs and directories', async t => {
      const { store, watching } = await watched(t, way)
      const ref = refPath(store, 'one')
      const right = readFileSync(ref)
      writeFileSync(ref, 'wrong')
      t.match(await watching.next(), { event: 'mended', kind: 'ref', path: ref })
      t.ok(readFileSync(ref).equals(right))
      rmSync(ref)
      t.match(await watching.next(), { event: 'mended', kind: 'ref', path: ref })
      writeFileSync(sparePath(store, 'one'), '')
      t.match(await watching.next(), { event: 'mended', kind: 'spare' })
      chmodSync(join(store.home, 'secrets'), 0o777)
      t.match(await watching.next(), { event: 'mended', kind: 'mode', path: join(store.home, 'secrets') })
      rmSync(join(store.home, 'spare'), { recursive: true })
      t.match([await watching.next(), await watching.next()].map(line => line?.kind).sort(), ['directory', 'spare'])
      writeFileSync(sparePath(store, 'one'), '')
      t.match(await watching.next(), { event: 'mended', kind: 'spare' }, 'the new one is watched, too')
      const lock = join(store.home, 'lock')
      mkdirSync(join(store.home, 'tmp/lock'))
      rmSync(lock)
      renameSync(join(store.home, 'tmp/lock'), lock)
      t.match(await watching.next(), { event: 'mended', kind: 'type', path: lock })
      t.same((await watching.end()).rest, [])
    })
  })
}

t.test('what is wrong already is mended first', async t => {
  const { a, watching } = await watched(t, [], small => overwrite(objectOf(small, A)))
  t.match(await watching.next(), { event: 'mended', path: a, milliseconds: null, culprits: [] })
  t.equal(readFileSync(a, 'utf8'), A)
})

t.test('nor can the store be opened', async t => {
  const { a, watching, store } = await watched(t, [], small => {
    overwrite(objectOf(small, A))
    rmSync(join(small.store.home, 'links'))
    mkdirSync(join(small.store.home, 'links'))
  })
  t.match(await watching.next(), { event: 'mended', kind: 'type', path: join(store.home, 'links') })
  t.match(await watching.next(), { event: 'mended', path: a })
})

t.test('nothing is told of what is right', async t => {
  const fixture = await watched(t)
  const { a, b, store, watching } = fixture
  const run = (...args: readonly string[]) =>
    execFileSync(APPC[0], [APPC[1], ...args], { env: { ...process.env, APPC_HOME: store.home } })
  linkSync(a, join(store.home, 'tmp/link'))
  rmSync(join(store.home, 'tmp/link'))
  utimesSync(a, 1, 1)
  copyFileSync(a, join(store.home, 'tmp/copy'))
  renameSync(join(store.home, 'tmp/copy'), a)
  packFiles(fixture, 'two', { '/share/c': 'C' })
  run('settings', 'one', 'set', '--env', 'A=b')
  run('copy', 'one', 'three')
  run('remove', 'two')
  run('gc', '--grace', '0')
  run('verify', '--full')
  overwrite(b)
  t.match(await watching.next(), { path: b })
  t.same((await watching.end()).rest, [])
})

t.test('what cannot be mended is told once, with who has it, until it is another', async t => {
  const { a, b, tree, watching } = await watched(t)
  rmSync(join(tree, 'share/a'))
  const file = openSync(a, 'r')
  const holder = spawn('cat', ['-'], { stdio: ['pipe', 'ignore', 'inherit', file] })
  t.teardown(() => holder.kill())
  await once(holder, 'spawn')
  closeSync(file)
  overwrite(a)
  const line = await watching.next()
  t.match(line, { event: 'left', path: a, kind: 'bytes' })
  t.match(line?.holders, [{ pid: holder.pid, command: 'cat -', container: null }])
  chmodSync(a, 0o400)
  t.match(await watching.next(), { event: 'mended', path: a, kind: 'mode' })
  truncateSync(a)
  t.match(await watching.next(), { event: 'left', path: a })
  writeFileSync(join(tree, 'share/a'), A)
  truncateSync(a, 1)
  t.match(await watching.next(), { event: 'mended', path: a })
  overwrite(b)
  t.match(await watching.next(), { path: b })
})

t.test('the store is taken away', async t => {
  const takeAway: Readonly<Record<string, (home: string) => void>> = {
    moved: home => renameSync(home, `${home}-away`),
    removed: home => rmSync(home, { recursive: true }),
  }
  for (const [method, way] of Object.entries(WAYS))
    for (const [how, take] of Object.entries(takeAway))
      t.test(`${how}, ${method}`, async t => {
        const { store, watching } = await watched(t, way)
        // Else it would mend what is being removed.
        process.kill(watching.pid, 'SIGSTOP')
        take(store.home)
        process.kill(watching.pid, 'SIGCONT')
        while ((await watching.next()) !== null);
        const { status, stderr } = await watching.ended()
        t.equal(status, 125)
        t.match(JSON.parse(stderr), { code: 'STORE_GONE', message: `the store at ${store.home} is no longer there` })
        t.notOk(existsSync(store.home), 'and is not made anew')
      })
})

t.test('what the kernel refuses', async t => {
  const refused = async (...rules: readonly string[]) => {
    const { watching, first } = await watched(t, refusing(...rules))
    if (first !== null) return first
    const { status, stderr } = await watching.ended()
    return { status, ...JSON.parse(stderr) }
  }
  for (const rule of [
    'fanotify_init:ENOSYS',
    'fanotify_init:EINVAL',
    'fanotify_mark:EPERM',
    'name_to_handle_at:EOPNOTSUPP',
  ])
    t.match(await refused(rule), { method: 'inotify', objects: 4 }, rule)
  const limits: Readonly<Record<string, string>> = {
    'fanotify_init:EMFILE': 'fs.fanotify.max_user_groups',
    'fanotify_mark:ENOSPC': 'fs.fanotify.max_user_marks',
  }
  for (const [rule, name] of Object.entries(limits))
    t.match(await refused(rule), { status: 125, code: 'WATCH_LIMIT', hint: new RegExp(`sysctl -w ${name}=`) }, rule)
  const inotify: Readonly<Record<string, string>> = {
    'inotify_init1:EMFILE': 'fs.inotify.max_user_instances',
    'inotify_add_watch:ENOSPC': 'fs.inotify.max_user_watches',
  }
  for (const [rule, name] of Object.entries(inotify))
    t.match(
      await refused('fanotify_init:EPERM', rule),
      { code: 'WATCH_LIMIT', hint: new RegExp(`sysctl -w ${name}=`) },
      rule,
    )
  t.match(await refused('fanotify_init:EPERM', 'inotify_init1:ENOSYS'), { status: 125, code: 'KERNEL_REFUSED' })
})

t.test('a service manager is told when it watches', async t => {
  const { store } = smallStore()
  for (const name of [join(store.home, '../socket'), `@appc-test-${process.pid}`]) {
    const receive = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace("@", "\\0", 1) if sys.argv[1][0] == "@" else sys.argv[1])
sys.stderr.write("ready")
sys.stderr.close()
print(s.recv(100).decode())`
    const manager = spawn('python3', ['-c', receive, name], { stdio: ['ignore', 'pipe', 'pipe'] })
    await once(manager.stderr, 'data')
    const watching = Watching.start([...APPC, 'watch', '--json'], { APPC_HOME: store.home, NOTIFY_SOCKET: name })
    t.equal(await text(manager.stdout), 'READY=1\n')
    t.match(await watching.end('SIGINT'), { status: 0, stderr: '' })
  }
  const watching = Watching.start([...APPC, 'watch', '--json'], { APPC_HOME: store.home, NOTIFY_SOCKET: '/none' })
  await watching.next()
  const { status, stderr } = await watching.ended()
  t.match([status, JSON.parse(stderr).code], [2, 'USAGE'])
})

t.test('news', async t => {
  const told = new News()
  const [a, b] = [problem('bytes', '/a', 'x', { object: 'a' }), problem('view', '/b', 'y')]
  t.same(told.newsIn([a, b], undefined), [a, b])
  t.same(told.newsIn([a, b], undefined), [])
  t.same(told.newsIn([b], new Set()), [], 'the object was not looked at')
  t.same(told.newsIn([a], new Set(['a'])), [], 'and so is known still')
  t.same(told.newsIn([a, b], new Set(['a'])), [b], 'it was right meanwhile')
  t.same(told.newsIn([], new Set(['a'])), [])
  t.same(told.newsIn([{ ...a, because: 'z' }], undefined), [{ ...a, because: 'z' }])
})

t.test('an alarm', async t => {
  const alarm = new Alarm()
  t.equal(await alarm.wait(0), false)
  alarm.ring()
  alarm.ring()
  t.equal(await alarm.wait(null), true)
  t.equal(await alarm.wait(0), false)
  const waiting = alarm.wait(null)
  alarm.ring()
  t.equal(await waiting, true)
})
