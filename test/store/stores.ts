import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createStore, type Store, systemHome } from '../../lib/store/store.js'
import { listNames, requireOwn, storeOf } from '../../lib/store/stores.js'
import { system as calls } from './system.js'

function storeWith(home: string, ...names: readonly string[]): Store {
  mkdirSync(home)
  const store = { home, system: calls }
  createStore(store, 0)
  for (const name of names) writeFileSync(join(home, 'refs', name), `${'0'.repeat(64)}\n`)
  return store
}

function both(t: Test) {
  const base = t.testdir({})
  return {
    own: storeWith(join(base, 'own'), 'both', 'mine'),
    system: storeWith(join(base, 'system'), 'all', 'both', 'zero'),
  }
}

t.test('an ordinary user finds the system’s containers, unless a store is named', async t => {
  t.equal(systemHome({ HOME: '/home/u' }, 1000), '/var/lib/appc')
  t.equal(systemHome({ HOME: '/home/u', APPC_HOME: '' }, 1000), '/var/lib/appc')
  t.equal(systemHome({ HOME: '/home/u', APPC_HOME: '/srv' }, 1000), null)
  t.equal(systemHome({}, 0), null)
})

t.test('one’s own goes first', async t => {
  const stores = both(t)
  const { own, system } = stores
  t.equal(storeOf(stores, 'mine'), own)
  t.equal(storeOf(stores, 'both'), own)
  t.equal(storeOf(stores, 'all'), system)
  t.same(
    listNames(stores).map(({ name, store }) => [name, store.home]),
    [
      ['all', system.home],
      ['both', own.home],
      ['mine', own.home],
      ['zero', system.home],
    ],
  )
  t.same(
    listNames({ own, system: null }).map(({ name }) => name),
    ['both', 'mine'],
  )
  writeFileSync(join(own.home, 'refs/both'), 'damaged')
  t.equal(storeOf(stores, 'both'), own, 'damaged or not')
})

t.test('a name that nobody has', async t => {
  const stores = both(t)
  t.throws(() => storeOf(stores, 'other'), {
    code: 'CONTAINER_UNKNOWN',
    because: `the store at ${stores.own.home} and the store at ${stores.system.home} have no such name`,
    hint: 'there are: all, both, mine, zero',
  })
  t.throws(() => storeOf({ ...stores, system: null }, 'all'), {
    code: 'CONTAINER_UNKNOWN',
    because: `the store at ${stores.own.home} has no such name`,
    hint: 'there are: both, mine',
  })
  t.throws(() => storeOf(stores, '../lock'), { code: 'NAME_INVALID' })
})

t.test('what is the system’s is not the caller’s to change', async t => {
  const stores = both(t)
  for (const name of ['mine', 'both']) t.doesNotThrow(() => requireOwn(stores, name))
  t.throws(() => requireOwn(stores, 'all'), {
    code: 'STORE_UNWRITABLE',
    message: 'all is a container of the system',
    hint: 'make one of your own of it: appc copy all my-all',
  })
  t.throws(() => requireOwn(stores, 'other'), { code: 'CONTAINER_UNKNOWN' })
})
