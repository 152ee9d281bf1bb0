import { lstatSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  isSecretOf,
  isSoundSecret,
  listSecrets,
  newSecretId,
  readSecretFacts,
  stageSecret,
} from '../../lib/store/secrets.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { system } from './system.js'

const bytes = Buffer.from('hidden')
const access = { mode: 0o640, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }

function newStore(home: string): { readonly store: Store; readonly id: string } {
  const store = { home, system }
  createStore(store, 0)
  const id = newSecretId()
  // As commands give it: with more than is asked for.
  stageSecret(join(home, 'secrets'), id, bytes, { ...access, bytes } as typeof access)
  return { store, id }
}

t.test('what is beside a secret does not hold it', async t => {
  const { store, id } = newStore(t.testdir({}))
  const [facts = ''] = readFileSync(join(store.home, 'secrets', `${id}.json`), 'utf8').split('\n')
  t.same(Object.keys(JSON.parse(facts)).sort(), ['gid', 'id', 'mode', 'sha256', 'size', 'uid'])
  t.ok(isSoundSecret(store, id))
})

t.test('the same secret is known again', async t => {
  const { store, id } = newStore(t.testdir({}))
  t.ok(isSecretOf(store, id, bytes, access))
  t.notOk(isSecretOf(store, id, Buffer.from('Hidden'), access))
  t.notOk(isSecretOf(store, id, bytes, { ...access, mode: 0o600 }))
  t.notOk(isSecretOf(store, newSecretId(), bytes, access))
})

t.test('what nobody may read is for its owner to read, who cannot do without as root can', async t => {
  const { geteuid } = process
  t.teardown(() => Object.assign(process, { geteuid }))
  for (const [euid, mode, kept] of [
    [1, 0, 0o400],
    [1, 0o040, 0o440],
    [0, 0o040, 0o040],
  ] as const) {
    Object.assign(process, { geteuid: () => euid })
    const { store } = newStore(t.testdir({}))
    const id = newSecretId()
    stageSecret(join(store.home, 'secrets'), id, bytes, { ...access, mode })
    t.equal(readSecretFacts(store, id).mode, kept)
    t.equal(lstatSync(join(store.home, 'secrets', id)).mode & 0o777, kept)
    t.ok(isSecretOf(store, id, bytes, { ...access, mode }), 'and is known again')
  }
})

t.test('half a secret, as whoever was killed leaves it, is listed', async t => {
  for (const lost of ['', '.json']) {
    const { store, id } = newStore(t.testdir({}))
    t.same(listSecrets(store), [id])
    rmSync(join(store.home, 'secrets', `${id}${lost}`))
    t.same(listSecrets(store), [id])
    t.notOk(isSecretOf(store, id, bytes, access))
  }
})
