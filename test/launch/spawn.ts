import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'
import type { Launched, LaunchOptions } from '../../lib/index.js'
import { temporaryDirectory } from '../support/fixtures.js'
import { finished, forEachPerson, type Site } from '../support/site.js'
import { makeSmallTree } from '../support/small-tree.js'

const checkout = fileURLToPath(new URL('../../..', import.meta.url))

/** The API of the site's own installation, which its person may read. */
async function apiOf({ installation }: Site): Promise<typeof import('../../lib/index.js')> {
  const lib = join(installation, 'dist/lib')
  if (!existsSync(lib)) {
    cpSync(join(checkout, 'dist/lib'), lib, { recursive: true })
    symlinkSync(join(checkout, 'node_modules'), join(installation, 'node_modules'))
  }
  return import(pathToFileURL(join(lib, 'index.js')).href)
}

type Event = readonly [name: string, ...args: unknown[]]

/** What a launch emits until it is closed. */
async function eventsOf(
  child: Launched,
  names: readonly string[] = ['spawn', 'exit', 'error'],
): Promise<readonly Event[]> {
  const events: Event[] = []
  for (const name of names) child.on(name, (...args: readonly unknown[]) => events.push([name, ...args]))
  child.stdout?.resume()
  child.stderr?.on('data', part => events.push(['stderr', String(part)]))
  // Not once(), which is over at an error.
  await new Promise(resolve => child.on('close', resolve))
  return events
}

const tree = temporaryDirectory()
makeSmallTree(tree)
chmodSync(tree, 0o755)
copyFileSync('/bin/dash', join(tree, 'usr/bin/shell'))

forEachPerson((who, makeSite) =>
  t.test(`launches from Node, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    await site.pack(tree, 'box', 'shell')
    const api = await apiOf(site)
    const options = (more: LaunchOptions = {}): LaunchOptions => ({
      ...site.user,
      cwd: site.home,
      store: site.store,
      env: site.environment,
      ...more,
    })
    const spawn = (subject: string, args: readonly string[], more: LaunchOptions = {}) =>
      api.spawn(subject, args, options(more))
    const forget = () => rmSync(join(site.store, 'plans'), { recursive: true, force: true })

    for (const planned of ['without a plan', 'with one']) {
      t.test(`streams, status and descriptors are the program’s, ${planned}`, async t => {
        if (planned === 'without a plan') forget()
        const script =
          'cat; echo no >&2; for fd in 0 1 2 3 4 5 6; do if [ -e /proc/$$/fd/$fd ]; then echo $fd; fi; done; exit 7'
        const child = spawn('box', ['-c', script])
        t.equal(child.stdio.length, 3)
        const ran = finished(child, 'in\n')
        await child.started
        t.same(await ran, { status: 7, signal: null, stdout: 'in\n0\n1\n2\n', stderr: 'no\n' })

        if (planned === 'without a plan') forget()
        const wide = spawn('box', ['-c', 'readlink /proc/$$/fd/3; echo $$ >&4; exec sleep 100'], {
          stdio: ['ignore', 'pipe', 'inherit', 'ignore', 'pipe'],
        })
        t.equal(wide.stdio.length, 5)
        const fourth = wide.stdio[4] as Readable
        const [[line]] = await Promise.all([once(fourth, 'data'), wide.started])
        t.equal(Number(String(line)), wide.pid, 'the child is the program')
        wide.kill('SIGTERM')
        t.same(await eventsOf(wide), [['exit', null, 'SIGTERM']])
      })
    }

    t.test('`spawn` and `exit` come in this order', async t => {
      t.same(await eventsOf(spawn('box', ['-c', 'exit 3'])), [['spawn'], ['exit', 3, null]])
    })

    t.test('it is the same for who does not listen for `spawn`', async t => {
      const names = ['exit', 'error', 'close']
      const child = spawn('box', ['-c', 'exit 3'])
      t.same(await eventsOf(child, names), [
        ['exit', 3, null],
        ['close', 3, null],
      ])
      await child.started
      const failed = spawn('other', [])
      const [first, second, ...more] = await eventsOf(failed, names)
      t.match(first, ['error', { code: 'CONTAINER_UNKNOWN' }])
      t.match(second, ['close'])
      t.same(more, [])
      await t.rejects(failed.started, { code: 'CONTAINER_UNKNOWN' })
      t.same(await eventsOf(spawn('box', ['-c', 'kill -TERM $$']), names), [
        ['exit', null, 'SIGTERM'],
        ['close', null, 'SIGTERM'],
      ])
    })

    t.test('a program that runs for long takes none of the caller’s descriptors', async t => {
      const open = () => readdirSync('/proc/self/fd').length
      await finished(spawn('box', ['-c', 'true']))
      const before = open()
      const children = Array.from({ length: 10 }, () => spawn('box', ['-c', 'exec sleep 100'], { stdio: 'ignore' }))
      t.teardown(() => children.forEach(child => void child.kill()))
      while (open() > before) await setTimeout(10)
      t.same(
        children.map(({ exitCode }) => exitCode),
        children.map(() => null),
      )
    })

    t.test('`close` comes last, also of one that was killed while it was set up', async t => {
      const { launch } = await import(pathToFileURL(join(site.installation, 'dist/lib/launch/spawn.js')).href)
      const { store, ...rest } = options()
      const env = { ...rest.env, APPC_HOME: store }
      await finished(launch(['--sandbox', 'box', '-c', 'true'], { ...rest, env }))
      for (let delay = 0; delay < 20; delay += 0.5) {
        const child: Launched = launch(['--sandbox', 'box', '-c', 'exec sleep 100'], { ...rest, env, stdio: 'ignore' })
        const names = eventsOf(child, ['spawn', 'exit', 'error', 'close']).then(events => events.map(([name]) => name))
        await setTimeout(delay)
        child.kill('SIGKILL')
        t.match((await names).join(), /^(spawn,)?exit,close$/, `after ${delay} ms`)
      }
    })

    t.test('what was planned for is launched by its container’s name', async t => {
      // As this person: a store is nobody else's.
      const script = `const api = await import(process.argv[1]); const decided = api.plan('box');
        api.spawn(decided, ['-c', 'echo planned'], { stdio: 'inherit' })`
      const index = join(site.installation, 'dist/lib/index.js')
      const { stdout, stderr } = await site.command(process.execPath, ['--input-type=module', '-e', script, index])
      t.same({ stdout, stderr }, { stdout: 'planned\n', stderr: '' })
    })

    t.test('a failure is an AppcError, by `error` and by `started`, and nothing else', async t => {
      const program = join(site.home, 'program')
      writeFileSync(program, 'no program\n', { mode: 0o755 })
      const { ENOENT } = constants.errno
      const none = { step: null, path: null, errno: null }
      const cases: readonly (readonly [string, LaunchOptions, object])[] = [
        ['other', {}, { code: 'CONTAINER_UNKNOWN', hint: String, ...none }],
        ['Other', {}, { code: 'NAME_INVALID', ...none }],
        ['box/other', {}, { code: 'ENTRY_UNKNOWN', message: 'no such program in the container: other', ...none }],
        ['./other', {}, { code: 'FILE_MISSING', because: 'No such file or directory', ...none }],
        [program, {}, { code: 'ENTRY_INVALID' }],
        [
          'box',
          { root: '/nonexistent' },
          { code: 'LAUNCH_FAILED', step: 'openDirectory', path: '/nonexistent', errno: ENOENT },
        ],
        ['box', { cwd: '/nonexistent' }, { code: 'LAUNCH_FAILED', because: /ENOENT/, hint: /working directory/ }],
      ]
      for (const [subject, more, expected] of cases) {
        const [event, ...others] = await eventsOf(spawn(subject, [], more))
        t.match(event, ['error', { name: 'AppcError', ...expected }], subject)
        t.same(others, [], `nothing else of ${subject}`)
        const silent = spawn(subject, [], more)
        await t.rejects(silent.started, { name: 'AppcError', ...expected }, subject)
      }
    })

    t.test('a launcher that ends without a word has not started the program', async t => {
      const bin = join(site.home, 'bin')
      mkdirSync(bin)
      writeFileSync(join(bin, 'node'), '#!/bin/sh\necho ill >&2; exit 3\n', { mode: 0o755 })
      const env = { ...site.environment, PATH: `${bin}:/usr/bin:/bin` }
      forget()
      const failure = { code: 'LAUNCH_FAILED', because: 'its launcher ended with 3, and did not say why' }
      t.match(await eventsOf(spawn('box', [], { env })), [
        ['stderr', 'ill\n'],
        ['error', failure],
      ])
      // Killed while it is planned for: as if the program had been.
      writeFileSync(join(bin, 'node'), '#!/bin/sh\nkill -KILL $$\n', { mode: 0o755 })
      const child = spawn('box', [], { env })
      const started = child.started
      const [events] = await Promise.all([
        eventsOf(child),
        t.rejects(started, { code: 'LAUNCH_FAILED', because: 'SIGKILL ended its launcher' }),
      ])
      t.same(events, [['exit', null, 'SIGKILL']])
    })

    t.test('other errors of a child are what they are', async t => {
      const abort = new AbortController()
      const child = spawn('box', ['-c', 'exec sleep 100'], { signal: abort.signal })
      await child.started
      const events = eventsOf(child)
      abort.abort()
      t.match(await events, [
        ['error', { name: 'AbortError' }],
        ['exit', null, 'SIGTERM'],
      ])
    })
  }),
)
