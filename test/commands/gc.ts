import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { DECISION } from '../../lib/launch/kept.js'
import { lastingTree } from '../support/lasting.js'
import { Site } from '../support/site.js'

const root = lastingTree()
const user = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }

t.test('appc gc', async t => {
  const site = new Site(user)
  t.teardown(() => site.remove())
  await site.pack(root, 'one', 'lasting')
  t.match(await site.appc('gc'), { status: 0, stdout: 'nothing to collect\n', stderr: '' })
  for (const words of [
    ['--keep', '0'],
    ['--keep', 'x'],
    ['--grace', '-1'],
    ['--grace', '1.5'],
    ['--grace', '1e3'],
  ])
    t.match(
      await site.appc('gc', ...words),
      { status: 2, stdout: '', stderr: /is no number|USAGE|argument/ },
      words.join(' '),
    )

  await site.appc('settings', 'one', 'set', '--env', 'A=b')
  writeFileSync(join(site.home, 'conf'), 'x'.repeat(1000))
  await site.appc('settings', 'one', 'set', '/etc/one.conf', join(site.home, 'conf'))
  await site.appc('settings', 'one', 'unset', '/etc/one.conf')
  const dry = await site.appc('gc', '--keep', '1', '--dry-run')
  t.match(dry, {
    status: 0,
    stdout: 'would take out 3 generations, 1 object: 1.0 kB, which would go for good after 24 h\n',
  })
  const json = JSON.parse((await site.appc('gc', '--keep', '1', '--json')).stdout)
  t.match(json, { schema: 'appc.gc/1', dryRun: false, objects: 1, bytes: 1000, freed: 0, unreadable: [], unseen: [] })
  t.match(await site.appc('gc', '--grace', '0'), { status: 0, stdout: 'freed 1.0 kB\n' })

  rmSync(join(site.store, 'refs/one'))
  const before = site.listing()
  const refused = await site.appc('gc', '--grace', '0')
  t.match(refused, { status: 1, stdout: /^nothing is collected: it cannot be told what is needed by one\n/ })
  t.same(site.listing(), before)
  t.match(await site.appc('remove', 'one'), { status: 0 })
  t.notOk(existsSync(join(site.store, 'spare/one')))
  t.same(readdirSync(join(site.store, 'refs')), [])
})

t.test('a file system without room for one more name', async t => {
  const site = new Site(user)
  t.teardown(() => site.remove())
  await site.pack(root, 'one', 'lasting')
  const setAndUnset = async (text: string) => {
    writeFileSync(join(site.home, 'conf'), text)
    await site.appc('settings', 'one', 'set', '/etc/one.conf', join(site.home, 'conf'))
    await site.appc('settings', 'one', 'unset', '/etc/one.conf')
  }
  await setAndUnset('x'.repeat(1000))
  t.match(await site.appc('gc', '--keep', '1'), { status: 0, stdout: /^took out / })
  await setAndUnset('y'.repeat(1000))
  const full = `
    mount -t tmpfs -o nr_inodes=300 tmpfs "$1" && cp -a "$2" "$1/store" && chown "$(id -u)" "$1" && mkdir "$1/fill"
    number=0; while true 2>/dev/null >"$1/fill/$number"; do number=$((number + 1)); done 2>/dev/null
    APPC_HOME=$1/store exec "$3" "$4" gc --json --grace 0 --keep 1`
  const place = join(site.directory, 'place')
  mkdirSync(place)
  const words = ['--user', '--map-root-user', '--mount', 'sh', '-c', full, '-', place, site.store, process.execPath]
  const { status, stdout, stderr } = await site.command('unshare', [...words, site.cli])
  t.match({ status, stderr }, { status: 0, stderr: '' })
  t.match(JSON.parse(stdout), { objects: 1, freed: 2000 })
})

t.test('a plan that the disk does not give', async t => {
  const site = new Site(user)
  t.teardown(() => site.remove())
  await site.pack(root, 'one', 'lasting')
  t.match(await site.run(['one'], { input: '' }), { status: 0 })
  const failing = [
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-P',
    join(site.store, 'plans/one'),
    '-e',
    'inject=pread64:error=EIO',
  ]
  const { status, stdout } = await site.command('strace', [...failing, process.execPath, site.cli, 'gc'])
  t.match({ status, stdout }, { status: 0, stdout: /^took out 1 plan, 1 view/ })
})

t.test('decisions that nobody has asked for again', async t => {
  const site = new Site(user)
  t.teardown(() => site.remove())
  await site.pack(root, 'one', 'lasting')
  const kept = () => readdirSync(join(site.store, 'cache')).filter(name => name.startsWith(DECISION))
  const path = join(site.store, 'cache', `${DECISION}0123456789abcdef`)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, '')
  const daysAgo = (days: number) => utimesSync(path, 0, Date.now() / 1000 - days * 24 * 3600)
  daysAgo(29)
  await site.appc('gc')
  t.equal(kept().length, 1)
  daysAgo(31)
  await site.appc('gc', '--dry-run')
  t.equal(kept().length, 1)
  await site.appc('gc')
  t.same(kept(), [])
})
