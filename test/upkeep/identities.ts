import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { createStore, type Store } from '../../lib/store/store.js'
import { Identities, objectKey, pathOf } from '../../lib/upkeep/identities.js'
import { type IdentityWords, identityWords } from '../../lib/upkeep/looks.js'
import { system } from '../store/system.js'
import { digestOf, later } from '../support/small-store.js'

function newStore(home: string): Store {
  const store = { home, system }
  createStore(store, process.geteuid?.() ?? 0)
  return store
}

function put(store: Store, content: string, executable = false): string {
  const key = objectKey(digestOf(content), executable)
  mkdirSync(dirname(pathOf(store, key)), { recursive: true })
  writeFileSync(pathOf(store, key), content)
  return key
}

function identityOf(store: Store, key: string): IdentityWords {
  return identityWords(lstatSync(pathOf(store, key), { bigint: true }))
}

const file = (store: Store) => join(store.home, 'cache/identities')

t.test('what changed just now is not kept: it may change again unseen', async t => {
  const store = newStore(t.testdir({}))
  const key = put(store, 'one')
  const identities = Identities.open(store)
  identities.record(key, identityOf(store, key), 7)
  t.equal(identities.isKnown(key, identityOf(store, key)), false)
})

t.test('from here on', async t => {
  later()
  t.end()
})

t.test('what was recorded is known in the next run, as it was and not otherwise', async t => {
  const store = newStore(t.testdir({}))
  const [one, two] = [put(store, 'one'), put(store, 'one', true)]
  const identity = identityOf(store, one)
  const identities = Identities.open(store)
  identities.record(one, identity, 7)
  identities.save()
  const next = Identities.open(store)
  t.equal(next.isKnown(one, identity), true)
  t.equal(next.readAt(one, identity), 7)
  t.equal(next.isKnown(two, identity), false, 'an executable one is another object')
  for (let word = 0; word < identity.length; word++) {
    const other = identity.slice()
    other[word] = (other[word] as number) + 1
    t.equal(next.isKnown(one, other), false, `word ${word}`)
    t.equal(next.readAt(one, other), 0)
  }
  next.forget(one)
  next.save()
  t.equal(Identities.open(store).isKnown(one, identity), false)
  t.same(readdirSync(join(store.home, 'cache')), ['identities'], 'nothing is left beside it')
})

t.test('found sound by way of memory, it was still read from the disk when it was', async t => {
  const store = newStore(t.testdir({}))
  const key = put(store, 'one')
  const identities = Identities.open(store)
  identities.record(key, identityOf(store, key), 7)
  linkSync(pathOf(store, key), join(store.home, 'tmp/link'))
  identities.record(key, identityOf(store, key))
  t.equal(identities.readAt(key, identityOf(store, key)), 7)
  rmSync(pathOf(store, key))
  put(store, 'one')
  identities.record(key, identityOf(store, key))
  t.equal(identities.isKnown(key, identityOf(store, key)), true)
  t.equal(identities.readAt(key, identityOf(store, key)), 0, 'another file was never read')
})

t.test('what others saved meanwhile is kept', async t => {
  const store = newStore(t.testdir({}))
  const [one, two] = [put(store, 'one'), put(store, 'two')]
  const [first, second] = [Identities.open(store), Identities.open(store)]
  first.record(one, identityOf(store, one), 1)
  second.record(two, identityOf(store, two), 2)
  first.save()
  second.save()
  for (const identities of [second, Identities.open(store)])
    t.same(
      [one, two].map(key => identities.readAt(key, identityOf(store, key))),
      [1, 2],
    )
  second.keepOnly(new Set([two]))
  second.save()
  t.same(
    [one, two].map(key => Identities.open(store).isKnown(key, identityOf(store, key))),
    [false, true],
  )
})

t.test('a run that finds nothing out writes nothing', async t => {
  const store = newStore(t.testdir({}))
  Identities.open(store).save()
  t.same(readdirSync(store.home).includes('cache'), false)
})

t.test('damage at any byte is noticed: then nothing is known', async t => {
  const store = newStore(t.testdir({}))
  const key = put(store, 'one')
  const identities = Identities.open(store)
  identities.record(key, identityOf(store, key), 7)
  identities.save()
  const whole = readFileSync(file(store))
  const damaged = [
    ...Array.from(whole, (byte, at) => Buffer.from(whole).fill(byte ^ (1 << (at % 8)), at, at + 1)),
    ...Array.from(whole, (_, length) => whole.subarray(0, length)),
    Buffer.concat([whole, whole]),
  ]
  const believed = damaged.filter(bytes => {
    writeFileSync(file(store), bytes)
    return Identities.open(store).isKnown(key, identityOf(store, key))
  })
  t.same(believed, [])
  writeFileSync(file(store), whole)
  t.equal(Identities.open(store).isKnown(key, identityOf(store, key)), true)
})

t.test('nobody else may write it, and failing to write it is no failure', async t => {
  const store = newStore(t.testdir({}))
  const key = put(store, 'one')
  const before = process.umask(0)
  t.teardown(() => process.umask(before))
  const identities = Identities.open(store)
  identities.record(key, identityOf(store, key))
  identities.save()
  t.equal(statSync(file(store)).mode & 0o777, 0o644)
  rmSync(dirname(file(store)), { recursive: true })
  writeFileSync(dirname(file(store)), 'a file in the directory’s place')
  identities.record(key, identityOf(store, key), 3)
  t.doesNotThrow(() => identities.save())
})

t.test('a time put back does not make it known: the change time cannot be', async t => {
  const store = newStore(t.testdir({}))
  const key = put(store, 'one')
  const { atime, mtime } = statSync(pathOf(store, key))
  const identities = Identities.open(store)
  identities.record(key, identityOf(store, key))
  writeFileSync(pathOf(store, key), 'onE')
  utimesSync(pathOf(store, key), atime, mtime)
  t.equal(identities.isKnown(key, identityOf(store, key)), false)
})
