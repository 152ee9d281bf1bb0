import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Identity, Memory } from '../../lib/store/memory.js'
import { temporaryDirectory } from '../support/fixtures.js'

const base = temporaryDirectory()
const path = join(base, 'cache', 'memory')
const isText = (value: unknown): value is string => typeof value === 'string'
const open = (format = 'test/1') => new Memory(path, format, isText)
const file = (ino: number): Identity => ({ dev: 1n, ino: BigInt(ino), size: 10, mtimeNs: 2n, ctimeNs: 3n })

function remember(...values: readonly (readonly [number, string])[]): void {
  const memory = open()
  for (const [ino, value] of values) memory.set(file(ino), value)
  memory.save()
}

t.beforeEach(() => rmSync(join(base, 'cache'), { recursive: true, force: true }))

t.test('what was set is known in the next run, for this very file', async t => {
  remember([1, 'one'], [2, 'two'])
  const memory = open()
  t.same([memory.get(file(1)), memory.get(file(2)), memory.get(file(3))], ['one', 'two', undefined])
  const others: Partial<Identity>[] = [{ dev: 2n }, { ino: 9n }, { size: 11 }, { mtimeNs: 4n }, { ctimeNs: 4n }]
  for (const other of others) t.equal(memory.get({ ...file(1), ...other }), undefined)
  t.same(readdirSync(join(base, 'cache')), ['memory'], 'nothing is left beside it')
})

t.test('what no run uses any more is forgotten when something changes', async t => {
  remember([1, 'one'], [2, 'two'])
  const before = readFileSync(path)
  const reader = open()
  reader.get(file(1))
  reader.save()
  t.ok(readFileSync(path).equals(before), 'a run that learns nothing writes nothing')
  const writer = open()
  writer.get(file(1))
  writer.set(file(3), 'three')
  writer.save()
  const after = open()
  t.same(
    [1, 2, 3].map(ino => after.get(file(ino))),
    ['one', undefined, 'three'],
  )
})

t.test('deleted, damaged, foreign: nothing is known, and it is made anew', async t => {
  remember([1, 'one'])
  const whole = readFileSync(path, 'utf8')
  const contents = [
    ...Array.from({ length: whole.length }, (_, length) => whole.slice(0, length)),
    'null',
    '[]',
    '7',
    '{}',
    '{"format":"test/1"}',
    '{"format":"test/1","facts":7}',
    '{"format":"test/1","facts":[7,[],["x"],[7,"x"],["1:1:10:2:3",7]]}',
    whole.replace('test/1', 'test/2'),
    '\xff\xfe\0',
  ]
  for (const content of contents) {
    writeFileSync(path, content, 'latin1')
    t.equal(open().get(file(1)), undefined, JSON.stringify(content))
  }
  t.equal(new Memory(path, 'test/2', isText).get(file(1)), undefined)
  remember([1, 'again'])
  t.equal(open().get(file(1)), 'again')
  rmSync(path)
  t.equal(open().get(file(1)), undefined)
})

t.test('what cannot be written is no failure', async t => {
  mkdirSync(join(base, 'cache'))
  mkdirSync(path)
  remember([1, 'one'])
  t.same(readdirSync(path), [], 'a directory in its place')
  rmSync(path, { recursive: true })
  chmodSync(join(base, 'cache'), 0o500)
  t.teardown(() => chmodSync(join(base, 'cache'), 0o700))
  t.doesNotThrow(() => remember([1, 'one']))
})
