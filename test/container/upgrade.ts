import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { listContainers } from '../../lib/container/containers.js'
import { packContainer } from '../../lib/container/pack.js'
import { requireVersion, upgradeStore } from '../../lib/container/upgrade.js'
import { readGenerations, readSpare } from '../../lib/store/generations.js'
import { isSoundSecret, secretFactsPath, stageSecret } from '../../lib/store/secrets.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { system } from '../store/system.js'
import { compile } from '../support/fixtures.js'
import { makeSmallTree } from '../support/small-tree.js'

const tree = join(t.testdir({}), 'tree')
makeSmallTree(tree)
compile(tree, 'usr/bin/program', 'int main(void) { return 0; }')

/** A store as version 1 had it: a ref is the digest of a manifest. */
function oldStore(home: string): { readonly store: Store; readonly digests: readonly string[] } {
  const store = { home, system }
  createStore(store, 0)
  const base = { root: tree, entries: ['program'], include: [], withEssential: false, withDocumentation: false }
  const digests = ['one', 'two'].map(name => packContainer({ ...base, name, withLocales: false }, store).digest)
  for (const name of ['spare', 'secrets', 'quarantine', 'state', 'version'])
    rmSync(join(home, name), { recursive: true, force: true })
  for (const [at, name] of ['one', 'two'].entries()) writeFileSync(join(home, 'refs', name), `${digests[at]}\n`)
  return { store, digests }
}

t.test('a store of version 1 is brought up to date, with its containers', async t => {
  const { store, digests } = oldStore(t.testdir({}))
  t.throws(() => requireVersion(store), { code: 'STORE_VERSION', hint: /appc list/ })
  createStore(store, 0)
  upgradeStore(store)
  requireVersion(store)
  t.same(
    listContainers({ own: store, system: null }).map(({ digest, generation }) => [digest, generation]),
    [
      [digests[0], 1],
      [digests[1], 1],
    ],
  )
  t.same(readSpare(store, 'one'), readGenerations(store, 'one'))
  const ref = readFileSync(join(store.home, 'refs/one'))
  upgradeStore(store)
  t.same(readFileSync(join(store.home, 'refs/one')), ref, 'once')
})

t.test('one that was brought half the way is brought the rest', async t => {
  const { store } = oldStore(t.testdir({}))
  createStore(store, 0)
  upgradeStore(store)
  const done = readFileSync(join(store.home, 'refs/two'))
  const version = join(store.home, 'version')
  rmSync(version)
  // Killed right after the ref was replaced.
  rmSync(join(store.home, 'spare/two'))
  const synced: boolean[] = []
  const syncfs = (fd: number) => {
    system.syncfs(fd)
    synced.push(existsSync(version))
  }
  upgradeStore({ ...store, system: { ...system, syncfs } })
  t.same(readFileSync(join(store.home, 'refs/two')), done)
  t.same(readSpare(store, 'two'), readGenerations(store, 'two'))
  t.same(
    synced,
    [false],
    'what the one that was killed had not synced is synced before the version says that it is there',
  )
  t.equal(readFileSync(join(store.home, 'version'), 'utf8'), '3\n')
})

t.test('secrets of version 2 get their checksum', async t => {
  const { store } = oldStore(t.testdir({}))
  createStore(store, 0)
  upgradeStore(store)
  const [sound, damaged, half] = ['a', 'b', 'c'].map(digit => digit.repeat(32)) as [string, string, string]
  const access = { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  for (const id of [sound, damaged, half]) stageSecret(join(store.home, 'secrets'), id, Buffer.from('secret'), access)
  const facts = readFileSync(secretFactsPath(store, sound), 'utf8')
  writeFileSync(secretFactsPath(store, sound), `${facts.split('\n')[0]}\n`)
  writeFileSync(secretFactsPath(store, damaged), '{"id":1}\n')
  rmSync(secretFactsPath(store, half))
  writeFileSync(join(store.home, 'version'), '2\n')
  t.throws(() => isSoundSecret(store, sound), { code: 'STORE_CORRUPT' })
  for (let count = 0; count < 2; count++) {
    upgradeStore(store)
    t.ok(isSoundSecret(store, sound))
    t.equal(readFileSync(secretFactsPath(store, sound), 'utf8'), facts)
    t.equal(readFileSync(secretFactsPath(store, damaged), 'utf8'), '{"id":1}\n')
    // Killed before the version was written.
    writeFileSync(join(store.home, 'version'), '2\n')
  }
})

t.test('a damaged ref stays what it is, and keeps nobody else from being brought', async t => {
  const { store } = oldStore(t.testdir({}))
  writeFileSync(join(store.home, 'refs/two'), 'rubbish')
  rmSync(join(store.home, 'refs/three'), { force: true })
  mkdirSync(join(store.home, 'refs/three'))
  createStore(store, 0)
  upgradeStore(store)
  t.equal(readGenerations(store, 'one')?.length, 1)
  t.throws(() => readGenerations(store, 'two'), { code: 'STORE_CORRUPT' })
  t.same(readdirSync(join(store.home, 'refs')).sort(), ['one', 'three', 'two'])
})

t.test('what lies where a second copy is to be is for a repair', async t => {
  const { store } = oldStore(t.testdir({}))
  createStore(store, 0)
  upgradeStore(store)
  writeFileSync(join(store.home, 'version'), '2\n')
  rmSync(join(store.home, 'spare/two'))
  mkdirSync(join(store.home, 'spare/two'))
  upgradeStore(store)
  requireVersion(store)
  t.same(readdirSync(join(store.home, 'spare/two')), [])
})

t.test('a newer one is left alone', async t => {
  const store = { home: t.testdir({}), system }
  createStore(store, 0)
  for (const [version, because] of [
    ['4\n', /newer appc: its version is 4/],
    ['', /damaged/],
    ['2', /damaged/],
    ['x\n', /damaged/],
  ] as const) {
    writeFileSync(join(store.home, 'version'), version)
    t.throws(() => upgradeStore(store), { code: 'STORE_VERSION', because }, JSON.stringify(version))
  }
})
