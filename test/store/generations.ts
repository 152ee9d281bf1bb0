import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  currentOf,
  type Generation,
  generationsOrNone,
  publish,
  readGenerations,
  readSpare,
  requireCurrent,
  writeGenerations,
} from '../../lib/store/generations.js'
import { createStore, type Store } from '../../lib/store/store.js'
import { system } from './system.js'

function newStore(home: string): Store {
  createStore({ home, system }, 0)
  return { home, system }
}

function generation(number: number, container = 'a'.repeat(64)): Generation {
  return { number, container, document: JSON.stringify({ name: 'app', number, container, more: 'ä' }) }
}

t.test('each is published upon the last', async t => {
  const store = newStore(t.testdir({}))
  t.equal(currentOf(store, 'app'), null)
  t.throws(() => requireCurrent(store, 'app'), { code: 'CONTAINER_UNKNOWN' })
  t.equal(publish(store, 'app', generation(2)), false, 'there is no first one')
  t.equal(publish(store, 'app', generation(1)), true)
  t.equal(publish(store, 'app', generation(1, 'b'.repeat(64))), false, 'the name is taken')
  t.equal(publish(store, 'app', generation(2, 'b'.repeat(64))), true)
  t.same(readGenerations(store, 'app'), [generation(1), generation(2, 'b'.repeat(64))])
  t.same(readSpare(store, 'app'), readGenerations(store, 'app'))
  t.same(requireCurrent(store, 'app'), generation(2, 'b'.repeat(64)))
})

t.test('any byte of a ref that is lost or another one is damage', async t => {
  const store = newStore(t.testdir({}))
  for (const number of [1, 2]) publish(store, 'app', generation(number))
  const path = join(store.home, 'refs/app')
  const sound = readFileSync(path)
  const damaged = [Buffer.alloc(0), Buffer.alloc(sound.length), Buffer.concat([sound, sound])]
  for (let at = 0; at < sound.length; at++) {
    const flipped = Buffer.from(sound)
    flipped.writeUInt8(sound.readUInt8(at) ^ 1, at)
    damaged.push(flipped, sound.subarray(0, at))
  }
  for (const [at, bytes] of damaged.entries()) {
    writeFileSync(path, bytes)
    t.throws(() => readGenerations(store, 'app'), { code: 'STORE_CORRUPT' }, `damage ${at}`)
  }
  t.same(generationsOrNone(store, 'app'), [])
  t.same(readSpare(store, 'app'), [generation(1), generation(2)], 'the second copy is another file')
})

t.test('what is no file in place of a ref is damage, told at once', async t => {
  const store = newStore(t.testdir({}))
  execFileSync('mkfifo', [join(store.home, 'refs/fifo')])
  mkdirSync(join(store.home, 'refs/directory'))
  for (const name of ['fifo', 'directory'])
    t.throws(() => readGenerations(store, name), { code: 'STORE_CORRUPT', hint: /pack it again/ })
})

t.test('a mend from the second copy is promised where there is one', async t => {
  const store = newStore(t.testdir({}))
  publish(store, 'app', generation(1))
  const lost = 'its second copy is of no use, either: appc remove app, and pack it again'
  writeFileSync(join(store.home, 'refs/app'), 'damaged')
  t.throws(() => readGenerations(store, 'app'), {
    code: 'STORE_CORRUPT',
    hint: 'appc repair mends it from its second copy',
  })
  writeFileSync(join(store.home, 'spare/app'), 'damaged')
  t.throws(() => readGenerations(store, 'app'), { code: 'STORE_CORRUPT', hint: lost })
  rmSync(join(store.home, 'refs/app'))
  t.throws(() => readGenerations(store, 'app'), {
    code: 'STORE_CORRUPT',
    because: 'it is gone, and its second copy is there',
    hint: lost,
  })
  rmSync(join(store.home, 'spare/app'))
  mkdirSync(join(store.home, 'refs/app'))
  t.throws(() => readGenerations(store, 'app'), {
    code: 'STORE_CORRUPT',
    because: 'it is not a regular file',
    hint: lost,
  })
})

t.test('the ref comes first: its second copy is never ahead of what was told', async t => {
  const store = newStore(t.testdir({}))
  publish(store, 'app', generation(1))
  rmSync(join(store.home, 'refs/app'))
  mkdirSync(join(store.home, 'refs/app'))
  t.throws(() => writeGenerations(store, 'app', [generation(1), generation(2)]), { code: 'STORE_UNWRITABLE' })
  t.same(readSpare(store, 'app'), [generation(1)])
})

t.test('a second copy that is behind is brought up to date', async t => {
  const store = newStore(t.testdir({}))
  publish(store, 'app', generation(1))
  rmSync(join(store.home, 'spare/app'))
  publish(store, 'app', generation(2))
  t.same(readSpare(store, 'app'), [generation(1), generation(2)])
})
