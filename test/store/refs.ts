import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkName, listRefs, refPath, unknownContainer } from '../../lib/store/refs.js'
import { createStore } from '../../lib/store/store.js'
import { system } from './system.js'

t.test('names', async t => {
  for (const name of ['a', '0', 'curl13', 'a.b_c-d', 'a'.repeat(128)]) t.doesNotThrow(() => checkName(name), name)
  for (const name of ['', 'A', '-a', '.a', '_a', 'a/b', 'a b', 'a@b', 'a~b', '..', 'ä', 'a\n', 'a\0', 'a'.repeat(129)])
    t.throws(() => checkName(name), { code: 'NAME_INVALID' }, JSON.stringify(name))
  t.throws(() => checkName('My App!'), { code: 'NAME_INVALID', hint: 'for example "my-app"' })
})

t.test('which names there are', async t => {
  const store = { home: t.testdir({}), system }
  t.same(listRefs({ home: join(store.home, 'nowhere') }), [])
  createStore(store, 0)
  t.match(unknownContainer([store], 'app'), { code: 'CONTAINER_UNKNOWN', hint: 'appc pack makes one' })
  for (const name of ['b', 'a', '.hidden', 'A']) writeFileSync(join(store.home, 'refs', name), '')
  t.same(listRefs(store), ['a', 'b'])
  t.match(unknownContainer([store], 'app'), { hint: 'there are: a, b' })
  t.throws(() => refPath(store, '../lock'), { code: 'NAME_INVALID' })
})
