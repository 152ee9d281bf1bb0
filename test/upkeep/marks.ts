import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppcError } from '../../lib/errors.js'
import { type Generation, publish } from '../../lib/store/generations.js'
import { objectPath } from '../../lib/store/objects.js'
import { markNeeded, type NeedsOf } from '../../lib/upkeep/marks.js'
import { newStore } from '../decide/scenario.js'

const digest = (of: number) => String(of).repeat(64)

function generation(name: string, number: number): Generation {
  const container = digest(number)
  return { number, container, document: JSON.stringify({ name, number, container }) }
}

/** A generation needs an executable file and a secret that are called as it is. */
const needsOf: NeedsOf = (_, { container, number }) => ({
  objects: [{ sha256: container, executable: true }],
  secrets: [`secret${number}`],
})

function made() {
  const store = newStore()
  for (const number of [1, 2, 3]) publish(store, 'one', generation('one', number))
  publish(store, 'two', generation('two', 1))
  return store
}

t.test('each generation that is kept has its manifest, its files and its secrets marked', async t => {
  const store = made()
  const { objects, secrets, containers, unreadable } = markNeeded(store, ['one'], needsOf, 2)
  const paths = [2, 3].flatMap(number => [false, true].map(executable => objectPath(store, digest(number), executable)))
  t.same([...objects].sort(), paths.sort())
  t.same([...secrets].sort(), ['secret2', 'secret3'])
  t.same([...containers].sort(), [digest(2), digest(3)])
  t.same(unreadable, [])
  t.equal(markNeeded(store, ['one', 'two'], needsOf).containers.size, 3)
})

t.test('those of which it cannot be told are named; an error that is none of appc’s is not kept quiet', async t => {
  const store = made()
  const failing =
    (error: Error): NeedsOf =>
    (name, generation) => {
      if (name === 'two') throw error
      return needsOf(name, generation)
    }
  t.same(markNeeded(store, ['one', 'two'], failing(new AppcError('STORE_CORRUPT', 'x'))).unreadable, ['two'])
  t.throws(() => markNeeded(store, ['one', 'two'], failing(new Error('a bug'))), { message: 'a bug' })
  writeFileSync(join(store.home, 'refs/one'), 'rubbish')
  t.same(markNeeded(store, ['one', 'two'], needsOf).unreadable, ['one'])
})
