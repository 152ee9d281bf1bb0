import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { HOST_BELOW } from '../../lib/container/excluded.js'
import { addon } from '../../lib/launch/addon.js'
import { buildView } from '../../lib/plan/view.js'
import { objectPath } from '../../lib/store/objects.js'
import { type Store, withLock } from '../../lib/store/store.js'
import { newStore } from '../decide/scenario.js'
import { bundled } from '../support/bundled.js'
import { temporaryDirectory } from '../support/fixtures.js'
import { fill, layersFor } from './layers.js'

t.setTimeout(180_000)
const builder = bundled(new URL('./build-view.js', import.meta.url), temporaryDirectory())

function filled(): Store {
  const store = newStore()
  fill(store)
  return store
}

const build = (store: Store) => buildView(store, addon(), 'c', layersFor()).layers

function checkView(t: Test, store: Store, directory: string): void {
  const whiteout = lstatSync(join(directory, 'gone'))
  t.ok(whiteout.isCharacterDevice() && whiteout.rdev === 0)
  const files = { one: 'one', alias: 'one', 'deep/er/three': 'three', run: 'one' }
  for (const [name, text] of Object.entries(files)) t.equal(readFileSync(join(directory, name), 'utf8'), text)
  const inode = (name: string) => lstatSync(join(directory, name)).ino
  t.equal(inode('alias'), inode('one'), 'one file under two names is one for the loader')
  t.not(inode('run'), inode('one'), 'an inode has one mode')
  t.equal(lstatSync(join(directory, 'run')).mode & 0o777, 0o555)
  t.equal(lstatSync(join(directory, 'one')).mode & 0o777, 0o444)
  t.equal(readlinkSync(join(directory, 'link')), 'one')
  t.same(readdirSync(join(directory, 'empty')), [])
  t.ok(lstatSync(join(directory, HOST_BELOW)).isDirectory())
  t.equal(lstatSync(directory).mode & 0o7777, 0o1775, 'as the host has it')
  for (const name of [HOST_BELOW, 'deep', 'deep/er']) t.equal(lstatSync(join(directory, name)).mode & 0o7777, 0o755)
  const all = readdirSync(directory, { recursive: true }).length
  t.equal(all, (layersFor()[0]?.nodes.size as number) + 3, 'and nothing else but HOST_BELOW, deep and deep/er')
  t.equal(dirname(dirname(dirname(directory))), join(store.home, 'views'))
}

t.test('hard links of the store’s objects, links, whiteouts', async t => {
  const store = filled()
  const layers = withLock(store, 'shared', () => build(store))
  t.same(
    layers.map(({ target }) => target),
    ['/usr/lib', '/opt'],
  )
  t.same(
    layers.map(({ directory }) => basename(directory)),
    ['0', '1'],
  )
  checkView(t, store, layers[0]?.directory as string)
  const one = join(layers[0]?.directory as string, 'one')
  const [file] = [layersFor()[0]?.nodes.get('one')]
  if (file?.kind !== 'file') throw new Error('a file')
  t.equal(lstatSync(one).ino, lstatSync(objectPath(store, file.file.sha256, false)).ino)
  t.same(readdirSync(join(store.home, 'tmp')), [])
})

t.test('modes do not depend on the umask: root’s view is everybody’s /usr', async t => {
  const store = filled()
  const before = process.umask(0o077)
  t.teardown(() => process.umask(before))
  const layers = withLock(store, 'shared', () => build(store))
  checkView(t, store, layers[0]?.directory as string)
  const above = dirname(layers[0]?.directory as string)
  for (const path of [above, dirname(above)]) t.equal(lstatSync(path).mode & 0o7777, 0o755)
})

t.test('the same decision has the same view, another one another', async t => {
  const store = filled()
  const first = withLock(store, 'shared', () => build(store))
  const born = lstatSync(first[0]?.directory as string, { bigint: true })
  t.same(build(store), first)
  t.equal(lstatSync(first[0]?.directory as string, { bigint: true }).ctimeNs, born.ctimeNs, 'untouched')
  const [lib, opt] = layersFor()
  if (!lib || !opt) throw new Error('two layers')
  const others = [
    [lib],
    [opt, lib],
    [{ ...lib, target: '/usr/lib2' }, opt],
    [{ ...lib, nodes: new Map([...lib.nodes].filter(([name]) => name !== 'gone')) }, opt],
    [{ ...lib, nodes: new Map([...lib.nodes].map(([name, node]) => [name === 'link' ? 'link2' : name, node])) }, opt],
    [{ ...lib, nodes: new Map([...lib.nodes, ['link', { kind: 'symlink', target: 'two' }] as const]) }, opt],
  ]
  const places = others.map(layers => dirname(buildView(store, addon(), 'c', layers).layers[0]?.directory as string))
  t.equal(new Set([...places, dirname(first[0]?.directory as string)]).size, others.length + 1)
})

t.test('an object that is missing from the store', async t => {
  const store = filled()
  const node = layersFor()[0]?.nodes.get('deep/er/three')
  if (node?.kind !== 'file') throw new Error('a file')
  rmSync(objectPath(store, node.file.sha256, false))
  t.throws(() => build(store), { code: 'STORE_CORRUPT', hint: /appc repair/ })
  t.notOk(existsSync(join(store.home, 'views/c')) && readdirSync(join(store.home, 'views/c')).length > 0)
  t.same(readdirSync(join(store.home, 'tmp')), [])
})

t.test('built by several processes at once, it is one', async t => {
  const store = filled()
  const builders = Array.from({ length: 6 }, () =>
    spawn(process.execPath, [builder, store.home], { stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  const results = await Promise.all(
    builders.map(async child => {
      const chunks: string[] = []
      child.stdout.on('data', chunk => chunks.push(String(chunk)))
      const [status] = await once(child, 'close')
      return `${status} ${chunks.join('')}`
    }),
  )
  t.equal(new Set(results).size, 1, results.join())
  t.match(results[0], /^0 /)
  checkView(t, store, results[0]?.slice(2).trim() as string)
  t.same(readdirSync(join(store.home, 'tmp')), [])
})

t.test('killed anywhere, it leaves a part of the view, which the next completes', async t => {
  for (const call of ['mkdir', 'link', 'symlink', 'mknod,mknodat', 'chmod', 'syncfs', 'fsync']) {
    let kills = 0
    for (let nth = 1; ; nth++) {
      const store = filled()
      const inject = [
        '-f',
        '-qq',
        '-o',
        '/dev/null',
        '-e',
        `trace=${call}`,
        '-e',
        `inject=${call}:signal=SIGKILL:when=${nth}`,
      ]
      const { status, signal, stdout } = spawnSync('strace', [...inject, process.execPath, builder, store.home], {
        encoding: 'utf8',
      })
      const left = readdirSync(store.home, { recursive: true, encoding: 'utf8' })
      const layers = withLock(store, 'shared', () => build(store))
      checkView(t, store, layers[0]?.directory as string)
      const whole = readdirSync(store.home, { recursive: true, encoding: 'utf8' })
      t.same(
        left.filter(path => !whole.includes(path)),
        [],
        'nothing else is left',
      )
      // What was acknowledged was there, and untouched since.
      if (stdout !== '') t.same(left, whole)
      const killed = signal === 'SIGKILL' || status === 137
      t.ok(killed || status === 0, `${call} ${nth}`)
      if (!killed) break
      kills++
    }
    t.ok(kills > 0, `${call} is called`)
  }
})

t.test('a part that was left behind: what is not the store’s any more is replaced', async t => {
  const store = filled()
  const [layer] = withLock(store, 'shared', () => build(store))
  const directory = layer?.directory as string
  rmSync(join(dirname(directory), '1', HOST_BELOW), { recursive: true })
  for (const name of ['one', 'deep/er/three']) {
    rmSync(join(directory, name))
    writeFileSync(join(directory, name), 'half')
  }
  withLock(store, 'shared', () => build(store))
  checkView(t, store, directory)
})
