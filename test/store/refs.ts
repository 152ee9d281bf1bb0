import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkName, listRefs, readRef, requireRef } from '../../lib/store/refs.js'
import { createStore } from '../../lib/store/store.js'
import { system } from './system.js'

t.test('names', async t => {
  for (const name of ['a', '0', 'curl13', 'a.b_c-d', 'a'.repeat(128)]) t.doesNotThrow(() => checkName(name), name)
  for (const name of ['', 'A', '-a', '.a', '_a', 'a/b', 'a b', 'a@b', 'a~b', '..', 'ä', 'a\n', 'a\0', 'a'.repeat(129)])
    t.throws(() => checkName(name), { code: 'NAME_INVALID' }, JSON.stringify(name))
  t.throws(() => checkName('My App!'), { code: 'NAME_INVALID', hint: 'for example "my-app"' })
})

t.test('refs', async t => {
  const store = { home: t.testdir({}), system }
  t.same(listRefs({ home: join(store.home, 'nowhere'), system }), [])
  createStore(store, 0)
  t.equal(readRef(store, 'app'), null)
  t.throws(() => requireRef(store, 'app'), { code: 'CONTAINER_UNKNOWN', hint: 'appc pack makes one' })
  const digest = '0'.repeat(64)
  writeFileSync(join(store.home, 'refs/app'), `${digest}\n`)
  writeFileSync(join(store.home, 'refs/.hidden'), '')
  t.equal(readRef(store, 'app'), digest)
  t.same(listRefs(store), ['app'])
  t.throws(() => requireRef(store, 'other'), { code: 'CONTAINER_UNKNOWN', hint: 'there are: app' })
  t.throws(() => readRef(store, '../lock'), { code: 'NAME_INVALID' })
  for (const damaged of ['', digest, `${digest.slice(1)}\n`, `${digest}\n\n`, `${'g'.repeat(64)}\n`, '\0'.repeat(65)]) {
    writeFileSync(join(store.home, 'refs/app'), damaged)
    t.throws(() => readRef(store, 'app'), { code: 'STORE_CORRUPT' }, JSON.stringify(damaged))
  }
})

t.test('what is no file in place of a ref is damage, told at once', async t => {
  const store = { home: t.testdir({}), system }
  createStore(store, 0)
  execFileSync('mkfifo', [join(store.home, 'refs/fifo')])
  mkdirSync(join(store.home, 'refs/directory'))
  for (const name of ['fifo', 'directory'])
    t.throws(() => readRef(store, name), { code: 'STORE_CORRUPT', hint: new RegExp(`appc remove ${name}\\)`) })
})
