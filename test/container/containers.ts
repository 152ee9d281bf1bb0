import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { commitGeneration } from '../../lib/container/change.js'
import { freeReplaced, listContainers, readContainer, removeContainer } from '../../lib/container/containers.js'
import { encodeManifest } from '../../lib/container/manifest.js'
import { NO_SETTINGS } from '../../lib/container/settings.js'
import type { Manifest } from '../../lib/container/types.js'
import type { OpenFile } from '../../lib/loader/types.js'
import { publish } from '../../lib/store/generations.js'
import { objectPath } from '../../lib/store/objects.js'
import { listRefs } from '../../lib/store/refs.js'
import { createStore, type Store, withLock } from '../../lib/store/store.js'
import { Writer } from '../../lib/store/writer.js'
import { system } from '../store/system.js'

function open(bytes: Buffer): OpenFile {
  return { size: bytes.length, read: (buffer, position) => bytes.copy(buffer, 0, position), close: () => {} }
}

/** The program of every container. */
const ENTRY = 'ENTRY'

/** A container whose files hold these texts and ENTRY; those in capitals are executable. */
function put(store: Store, name: string, own: readonly string[]): string {
  const texts = [ENTRY, ...own]
  return Writer.use(store, writer => {
    const manifest: Manifest = {
      schema: 'appc.manifest/1',
      name,
      source: { os: null, machine: 62, loader: null },
      entries: [{ name: 'x', path: `/bin/${ENTRY}` }],
      packages: [],
      files: [...texts].sort().map(text => {
        const executable = text === text.toUpperCase()
        const mode = executable ? 0o755 : 0o644
        return {
          path: `/bin/${text}`,
          package: null,
          type: 'file',
          mode,
          ...writer.add(open(Buffer.from(text)), executable),
        }
      }),
    }
    const { sha256 } = writer.add(open(encodeManifest(manifest)), false)
    publish(store, name, commitGeneration(writer, name, 1, { by: 'pack', container: sha256, settings: NO_SETTINGS }))
    return sha256
  })
}

function newStore(home: string): Store {
  createStore({ home, system }, 0)
  return { home, system }
}

function has(store: Store, text: string): boolean {
  const digest = createHash('sha256').update(text).digest('hex')
  return existsSync(objectPath(store, digest, text === text.toUpperCase()))
}

function objects(store: Store): number {
  const all = readdirSync(join(store.home, 'objects'), { recursive: true, encoding: 'utf8' })
  return all.filter(path => statSync(join(store.home, 'objects', path)).isFile()).length
}

t.test('removing frees what nobody else needs, and nothing else', async t => {
  const store = newStore(t.testdir({}))
  const one = put(store, 'one', ['shared', 'only-one', 'TOOL'])
  const two = put(store, 'one.two', ['shared', 'only-two', 'tool'])
  t.same(
    listContainers({ own: store, system: null }).map(({ name, digest }) => [name, digest]),
    [
      ['one', one],
      ['one.two', two],
    ],
  )
  for (const plan of ['one', 'one@x', 'one~1', 'one.two', 'one.two@x'])
    writeFileSync(join(store.home, 'plans', plan), '')
  for (const digest of [one, two]) mkdirSync(join(store.home, 'views', digest, 'a/b'), { recursive: true })
  mkdirSync(join(store.home, 'tmp/write-dead'))

  const { objects: freed, bytes } = removeContainer(store, 'one')
  t.equal(freed, 3, 'two files and the manifest')
  t.ok(bytes > 'only-oneTOOL'.length)
  t.same(readdirSync(join(store.home, 'plans')).sort(), ['one.two', 'one.two@x'])
  t.same(readdirSync(join(store.home, 'views')), [two])
  t.same(readdirSync(join(store.home, 'tmp')), [])
  t.same(
    ['shared', 'only-one', 'TOOL', 'only-two', 'tool'].map(text => has(store, text)),
    [true, false, false, true, true],
  )
  t.equal(readContainer(store, 'one.two').digest, two)
  t.throws(() => removeContainer(store, 'one'), { code: 'CONTAINER_UNKNOWN' })
  removeContainer(store, 'one.two')
  t.equal(objects(store), 0)
})

t.test('what another container needs cannot be told: no object is freed until it can', async t => {
  const store = newStore(t.testdir({}))
  put(store, 'one', ['a'])
  const damaged = objectPath(store, put(store, 'damaged', ['b']), false)
  chmodSync(damaged, 0o644)
  writeFileSync(damaged, '{}')
  const before = objects(store)
  t.same(removeContainer(store, 'one'), { objects: 0, bytes: 0, unreadable: ['damaged'] })
  t.same([objects(store), listRefs(store)], [before, ['damaged']])
  t.throws(() => readContainer(store, 'damaged'), { code: 'STORE_CORRUPT' })
  t.match(removeContainer(store, 'damaged'), { objects: before, unreadable: [] })
  t.equal(objects(store), 0, 'the damaged one itself can be removed')
})

t.test('two that are damaged, in each way there is, can both be removed', async t => {
  const damages: Readonly<Record<string, (store: Store, name: string, digest: string) => void>> = {
    rubbish: (store, name) => writeFileSync(join(store.home, 'refs', name), 'rubbish'),
    fifo: (store, name) => {
      rmSync(join(store.home, 'refs', name))
      execFileSync('mkfifo', [join(store.home, 'refs', name)])
    },
    directory: (store, name) => {
      rmSync(join(store.home, 'refs', name))
      mkdirSync(join(store.home, 'refs', name, 'below'), { recursive: true })
    },
    'no manifest': (store, _name, digest) => rmSync(objectPath(store, digest, false)),
    'another manifest': (store, _name, digest) => {
      chmodSync(objectPath(store, digest, false), 0o644)
      writeFileSync(objectPath(store, digest, false), '{}')
    },
  }
  for (const [first, damageOne] of Object.entries(damages))
    for (const [second, damageTwo] of Object.entries(damages)) {
      const store = newStore(t.testdir({}))
      put(store, 'sound', ['a', 'b'])
      damageOne(store, 'one', put(store, 'one', ['b', 'c']))
      damageTwo(store, 'two', put(store, 'two', ['c', 'd']))
      const plan = join(store.home, 'plans/one')
      writeFileSync(plan, '')
      t.same(removeContainer(store, 'one'), { objects: 0, bytes: 0, unreadable: ['two'] }, `${first}, ${second}`)
      t.notOk(existsSync(plan))
      t.ok(has(store, 'c'), 'the damaged one may need it')
      t.match(removeContainer(store, 'two'), { unreadable: [] })
      t.same(listRefs(store), ['sound'])
      t.equal(objects(store), 4, "exactly the sound one's manifest and files are left")
      readContainer(store, 'sound')
    }
})

t.test('what the system has replaced is freed, and nothing else', async t => {
  const base = t.testdir({ own: {}, system: {} })
  const [own, system] = [newStore(join(base, 'own')), newStore(join(base, 'system'))]
  const mine = put(own, 'mine', ['a'])
  const current = put(system, 'current', ['b'])
  const replaced = 'f'.repeat(64)
  const views = [mine, current, replaced, `=${replaced}`]
  Writer.use(own, writer => {
    for (const text of ['of a view', 'of nobody']) writer.add(open(Buffer.from(text)), false)
    writer.commit()
  })
  for (const view of views) mkdirSync(join(own.home, 'views', view, 'some/0'), { recursive: true })
  const kept = createHash('sha256').update('of a view').digest('hex')
  linkSync(objectPath(own, kept, false), join(own.home, 'views', `=${replaced}`, 'some/0/file'))
  const before = readdirSync(own.home, { recursive: true }).sort()

  withLock(own, 'shared', () => freeReplaced(own, system))
  t.same(readdirSync(own.home, { recursive: true }).sort(), before, 'not while somebody uses the store')
  freeReplaced(own, system)
  t.same(readdirSync(join(own.home, 'views')).sort(), views.filter(view => view !== replaced).sort())
  t.same(
    ['a', 'of a view', 'of nobody'].map(text => has(own, text)),
    [true, true, false],
  )
  t.equal(readContainer(own, 'mine').digest, mine)
})

t.test("a ref that holds another's generations", async t => {
  const store = newStore(t.testdir({}))
  put(store, 'one', ['a'])
  copyFileSync(join(store.home, 'refs/one'), join(store.home, 'refs/two'))
  t.throws(() => readContainer(store, 'two'), { code: 'STORE_CORRUPT' })
})

t.test('random stores: after every removal exactly what the others need is left', async t => {
  const store = newStore(t.testdir({}))
  // A small generator, so that a failure can be run again.
  let state = 7
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((state / 2 ** 31) * below)
  }
  const model = new Map<string, readonly string[]>()
  for (let step = 0; step < 40; step++) {
    const name = `c${random(6)}`
    if (model.has(name)) {
      removeContainer(store, name)
      model.delete(name)
    } else {
      const texts = [
        ...new Set(Array.from({ length: 1 + random(5) }, () => (random(2) ? `t${random(9)}` : `T${random(9)}`))),
      ]
      put(store, name, texts)
      model.set(name, texts)
    }
    const needed = new Set([...model.values()].flatMap(texts => [ENTRY, ...texts]))
    t.equal(objects(store), needed.size + model.size, `step ${step}`)
    t.ok([...needed].every(text => has(store, text)))
  }
})
