import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { users } from '../native/fixture.js'
import { compile } from '../support/fixtures.js'
import { Site } from '../support/site.js'
import { LIBRARIES, makeSmallTree, upgrade } from '../support/small-tree.js'
import { SystemStore } from '../support/system-store.js'

const LIBRARY = `${LIBRARIES}/libx.so.1`
/** Ends when its input does. */
const PROGRAM = `#include <stdio.h>
const char *whose(void);
int main(void) { puts(whose()); fflush(stdout); while (getchar() != EOF); return 0; }`
const ofWhom = (whose: string) => `const char *whose(void) { return "${whose}"; }`
const ordinary = users.at(-1)?.[1] ?? { uid: -1, gid: -1 }

t.test('a container of the system’s, for an ordinary user', async t => {
  const site = new Site(ordinary)
  const system = await SystemStore.open(site)
  t.teardown(() => {
    system.close()
    site.remove()
  })
  const origin = join(site.directory, 'origin')
  makeSmallTree(origin)
  /** The host lacks the library. */
  const host = join(site.directory, 'host')
  makeSmallTree(host)
  const own = join(site.home, '.local/share/appc')

  const appc = (...args: string[]): [string, string[]] => [process.execPath, [site.cli, ...args]]
  const asOwner = (...args: string[]) => system.asOwner(...appc(...args))
  const asUser = (...args: string[]) => system.asPerson(...appc(...args))
  const run = (env = {}) => system.asPerson(site.launcher, ['--root', host, 'program'], { env })
  /** A container `program` that prints this. */
  const pack = async (by: typeof asUser, whose: string) => {
    await by('remove', 'program')
    upgrade(origin, LIBRARY, ofWhom(whose))
    compile(origin, 'usr/bin/program', PROGRAM, [join(origin, LIBRARY)])
    t.match(await by('pack', '--root', origin, '--name', 'program', 'program'), { status: 0 })
  }
  const prints = async (t: Test, whose: string) => {
    t.match(await run(), { status: 0, stdout: `${whose}\n`, stderr: '' })
    t.match(await run({ PATH: '/nowhere' }), { status: 0, stdout: `${whose}\n`, stderr: '' }, 'by its plan')
  }
  const listed = async () => {
    const { stdout } = await asUser('list', '--json')
    return stdout
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line))
      .map(({ name, store }) => [name, store])
  }
  const systems = async () => (await system.asOwner('find', [SystemStore.home, '-printf', '%P %i %s %C@\n'])).stdout
  const viewed = () => readdirSync(join(own, 'views'))
  const objects = () =>
    readdirSync(join(own, 'objects')).flatMap(name => readdirSync(join(own, 'objects', name))).length

  await pack(asOwner, 'the system’s')

  t.test('runs, and what is made of it is the user’s own', async t => {
    const before = await systems()
    await prints(t, 'the system’s')
    t.equal(await systems(), before, 'nothing of the system’s was touched')
    const plan = statSync(join(own, 'plans', readdirSync(join(own, 'plans'))[0] ?? ''))
    t.equal(plan.uid, ordinary.uid)
    t.same(readdirSync(join(own, 'refs')), [])
    t.equal(objects(), 2, 'the program and the library')
  })

  t.test('damage of the user’s copy is mended from the system’s', async t => {
    const before = await systems()
    const [view = ''] = viewed()
    const copy = join(own, 'views', view)
    const library = readdirSync(copy, { recursive: true, encoding: 'utf8' }).find(path => path.endsWith('/libx.so.1'))
    const path = join(copy, library ?? '')
    const bytes = readFileSync(path)
    for (const damage of [() => truncateSync(path), () => writeFileSync(path, Buffer.alloc(bytes.length))]) {
      damage()
      await prints(t, 'the system’s')
      t.ok(readFileSync(path).equals(bytes))
    }
    t.equal(await systems(), before)
  })

  t.test('has its settings; what is secret is a file that nobody can open', async t => {
    const place = join(site.directory, 'settings')
    mkdirSync(place)
    for (const [name, mode] of [
      ['open', 0o644],
      ['secret', 0o600],
    ] as const) {
      writeFileSync(join(place, name), `${name}\n`, { mode })
      t.match(await asOwner('settings', 'program', 'set', `/etc/${name}.conf`, join(place, name)), { status: 0 })
    }
    await prints(t, 'the system’s')
    const found = (name: string) =>
      readdirSync(join(own, 'views'), { recursive: true, encoding: 'utf8' }).find(path =>
        path.endsWith(`/${name}.conf`),
      )
    t.equal(readFileSync(join(own, 'views', found('open') ?? ''), 'utf8'), 'open\n')
    t.match(statSync(join(own, 'views', found('secret') ?? '')), { size: 0, uid: ordinary.uid })
    t.equal(statSync(join(own, 'views', found('secret') ?? '')).mode & 0o777, 0)
    t.match(await asUser('settings', 'program', 'set', '/etc/x', join(place, 'open')), {
      status: 125,
      stderr: /is a container of the system[\s\S]*appc copy program/,
    })
    t.match(await asUser('copy', 'program', 'mine'), {
      status: 0,
      stdout: /left out, as it is secret: \/etc\/secret.conf/,
    })
    t.match(await asUser('settings', 'mine', '--json'), { stdout: /"path":"\/etc\/open.conf"/ })
    t.match(await asUser('remove', 'mine'), { status: 0 })
    t.match(await asOwner('rollback', 'program', '1'), { status: 0 })
    await prints(t, 'the system’s')
  })

  t.test('is listed with its store, planned for and explained', async t => {
    t.same(await listed(), [['program', SystemStore.home]])
    t.match(await asUser('list'), { status: 0, stdout: new RegExp(`^program .* ${SystemStore.home}\\n$`) })
    t.match(await asUser('plan', '--root', host, 'program'), { status: 0, stdout: /^program on .*: runs\n/ })
    t.match(await asUser('explain', '--root', host, 'program', 'libx.so.1'), {
      status: 0,
      stdout: /^libx.so.1: private/,
    })
  })

  t.test('is not the user’s to remove', async t => {
    const before = await systems()
    const refused = await asUser('remove', 'program', '--json')
    t.match(refused, { status: 125, stdout: '' })
    t.match(JSON.parse(refused.stderr), { code: 'STORE_UNWRITABLE', message: 'program is a container of the system' })
    t.equal(await systems(), before)
    await prints(t, 'the system’s')
  })

  t.test('is not found where a store is named', async t => {
    const named = { APPC_HOME: site.store }
    t.match(await run(named), {
      status: 125,
      stdout: '',
      stderr: /no container program: the store at \S+ has no such name/,
    })
    t.match(await system.asPerson(...appc('list'), { env: named }), { status: 0, stdout: '' })
  })

  t.test('the policy is that of its store', async t => {
    t.match(await asUser('policy', 'set', 'libx.so.1=shared'), { status: 0 })
    await prints(t, 'the system’s')
    t.match(await asOwner('policy', 'set', 'libx.so.1=shared'), { status: 0 })
    t.match(await run(), { status: 125, stderr: /program cannot run on this host/ })
    t.match(await asOwner('policy', 'unset', 'libx.so.1'), { status: 0 })
    t.match(await asUser('policy', 'unset', 'libx.so.1'), { status: 0 })
    await prints(t, 'the system’s')
  })

  t.test('gives way to one of the user’s own, and comes back', async t => {
    await pack(asUser, 'my own')
    await prints(t, 'my own')
    t.same(await listed(), [['program', own]])
    t.match(await asUser('remove', 'program'), { status: 0, stderr: '' })
    await prints(t, 'the system’s')
    t.same(await listed(), [['program', SystemStore.home]])
  })

  t.test('is replaced by another: that is noticed, and what was copied of the old one is freed', async t => {
    const [before] = viewed()
    const running = system.start(site.launcher, ['--root', host, 'program'])
    await once(running.stdout as NodeJS.ReadableStream, 'data')
    t.match(await asOwner('remove', 'program'), { status: 0 })
    t.match(await run(), {
      status: 125,
      stderr: new RegExp(`no container program: the store at ${own} and the store at ${SystemStore.home} have no`),
    })
    await pack(asOwner, 'the system’s next')
    await prints(t, 'the system’s next')
    t.equal(viewed().length, 2, 'a program runs with the old one')

    running.stdin?.end()
    t.same(await once(running, 'close'), [0, null])
    await pack(asOwner, 'the system’s next but one')
    await prints(t, 'the system’s next but one')
    t.equal(viewed().length, 1)
    t.not(viewed()[0], before)
    t.equal(objects(), 2, 'as many as at first')
  })

  t.test('is verified by its users, who may not see its secrets', async t => {
    const key = join(site.directory, 'key')
    await system.asOwner('sh', ['-c', `umask 077; echo secret >${key}`])
    t.match(await asOwner('settings', 'program', 'set', '/etc/key', key), { status: 0 })
    // Its view is the system's own then.
    t.match(await system.asOwner(site.launcher, ['--root', host, 'program']), { status: 0 })
    for (const verify of [asOwner, asUser])
      t.match(await verify('verify', 'program', '--full'), { status: 0, stderr: '' })
    await prints(t, 'the system’s next but one')
  })

  t.test('is damaged: told, with whose it is, and mended by packing it again', async t => {
    await system.asOwner('sh', [
      '-c',
      `for path in ${SystemStore.home}/objects/*/*.x; do chmod 755 $path; echo >>$path; done`,
    ])
    // All that is the user's can be thrown away.
    await system.asPerson('sh', ['-c', `chmod -R u+w ${own} && rm -r ${own}`])
    const object = `${SystemStore.home}/objects/`
    t.match(await run(), {
      status: 125,
      stderr: new RegExp(
        `/usr/bin/program of program is damaged: the store's object ${object}\\S+ is .+\\n\\nhint: have root`,
      ),
    })
    await pack(asOwner, 'the system’s last')
    await prints(t, 'the system’s last')
  })

  t.test('does not count where users may not look into the system’s store', async t => {
    await system.asOwner('chmod', ['000', `${SystemStore.home}/refs`])
    t.same(await listed(), [])
    t.match(await run(), { status: 125, stderr: /no container program: the store at \S+ has no such name/ })
    await system.asOwner('chmod', ['755', `${SystemStore.home}/refs`])
    await prints(t, 'the system’s last')
  })
})
