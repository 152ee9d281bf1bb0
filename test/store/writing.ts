import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createStore, type Store } from '../../lib/store/store.js'
import { replaceIfPossible, writeDurably } from '../../lib/store/writing.js'
import { system } from './system.js'

function emptyStore(home: string): Store {
  const store = { home, system }
  createStore(store, 0)
  return store
}

const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).pathname)

/** Writes plans/p in a process of its own, below strace. */
function writeUnder(store: Store, ...options: readonly string[]) {
  const script = `
    import { addon } from ${module('../../lib/launch/addon.js')}
    import { writeDurably } from ${module('../../lib/store/writing.js')}
    const store = { home: ${JSON.stringify(store.home)}, system: addon() }
    writeDurably(store, ${JSON.stringify(join(store.home, 'plans/p'))}, 'new', 0o644)`
  const node = [process.execPath, '--input-type=module', '-e', script]
  const { status, signal, stderr } = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', ...options, ...node], {
    encoding: 'utf8',
  })
  return { ended: signal === 'SIGKILL' || status === 137 ? 'killed' : status, stderr }
}

t.test('a file is there as a whole, with its mode, for the first time and again', async t => {
  const store = emptyStore(t.testdir({}))
  const path = join(store.home, 'plans/p')
  const before = process.umask(0o077)
  t.teardown(() => process.umask(before))
  for (const content of ['one', 'and another']) {
    writeDurably(store, path, content, 0o644)
    t.equal(readFileSync(path, 'utf8'), content)
    t.equal(statSync(path).mode & 0o7777, 0o644)
  }
  t.same(readdirSync(join(store.home, 'tmp')), [])
  t.throws(() => writeDurably(store, join(store.home, 'nowhere/p'), 'x', 0o644), { code: 'STORE_UNWRITABLE' })
  t.same(readdirSync(join(store.home, 'tmp')), [])
})

t.test('whoever is killed before the file has a name leaves nothing', async t => {
  for (const old of [null, 'old']) {
    for (const call of ['fchmod', 'fsync']) {
      const store = emptyStore(t.testdir({}))
      const path = join(store.home, 'plans/p')
      if (old !== null) writeFileSync(path, old)
      t.equal(writeUnder(store, '-e', `inject=${call}:signal=SIGKILL:when=1`).ended, 'killed', call)
      t.same(readdirSync(join(store.home, 'tmp')), [])
      t.equal(existsSync(path) ? readFileSync(path, 'utf8') : null, old)
    }
  }
})

t.test('file systems without files that have no name', async t => {
  const store = emptyStore(t.testdir({}))
  const path = join(store.home, 'plans/p')
  writeFileSync(path, 'old')
  const inject = ['-P', join(store.home, 'tmp'), '-e', 'inject=openat,open:error=EOPNOTSUPP']
  t.same(writeUnder(store, ...inject), { ended: 0, stderr: '' })
  t.equal(readFileSync(path, 'utf8'), 'new')
  t.same(readdirSync(join(store.home, 'tmp')), [])
})

t.test('what only saves time: files that killed processes began go with the next', async t => {
  const directory = join(t.testdir({}), 'cache')
  mkdirSync(directory)
  const notKilled = [`facts.${process.ppid}`, 'facts.old', 'other.999999999']
  for (const name of ['facts.999999999', 'facts.999999998', ...notKilled]) writeFileSync(join(directory, name), '')
  replaceIfPossible(join(directory, 'facts'), 'new')
  t.same(readdirSync(directory).sort(), ['facts', ...notKilled].sort())
  t.equal(readFileSync(join(directory, 'facts'), 'utf8'), 'new')
})
