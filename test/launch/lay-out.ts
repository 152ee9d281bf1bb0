import { chmodSync, lstatSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { PackedRegular } from '../../lib/container/types.js'
import { type Care, usualCare } from '../../lib/launch/care.js'
import { layOut } from '../../lib/launch/lay-out.js'
import { objectMode, objectPath } from '../../lib/store/objects.js'
import { type Store, withLock } from '../../lib/store/store.js'
import { newStore } from '../decide/scenario.js'
import { fill, layersFor } from '../plan/layers.js'

function filled(): Store {
  const store = newStore()
  fill(store)
  return store
}

const three = fileOf('deep/er/three')

function fileOf(name: string): PackedRegular {
  const node = layersFor()[0]?.nodes.get(name)
  if (node?.kind !== 'file') throw new Error('a file')
  return node.file
}

const object = (store: Store) => objectPath(store, three.sha256, false)
const lay = (store: Store, care: Partial<Care> = {}) =>
  withLock(store, 'shared', () =>
    layOut(store, 'app', 'c', layersFor(), { ...usualCare(store), mend: () => false, ...care }),
  )

/** Puts the right file in the place of the object, and notes for what it was asked. */
function mender(store: Store) {
  const asked: PackedRegular[] = []
  const mend = (file: PackedRegular) => {
    asked.push(file)
    rmSync(object(store), { recursive: true, force: true })
    writeFileSync(object(store), 'three', { mode: 0o444 })
    return true
  }
  return { asked, mend }
}

/** In place, so that an identity of the object would be as before but for its times. */
function overwrite(path: string): void {
  chmodSync(path, 0o644)
  writeFileSync(path, 'tHREE')
  chmodSync(path, 0o444)
}

const damages: Readonly<Record<string, (path: string) => void>> = {
  'other bytes': overwrite,
  'cut short': path => truncateSync(path, 2),
  gone: path => rmSync(path),
  'another mode': path => chmodSync(path, 0o555),
}

t.test('each object once, with its identity when the view is built', async t => {
  const store = filled()
  const { view, objects } = lay(store)
  t.equal(view.layers.length, 2)
  const found = objects.files.map(({ sha256, executable }) => objectPath(store, sha256, executable))
  t.same(found, [...found].sort(), 'in the order of their paths')
  t.same(
    new Set(found.map(path => readFileSync(path, 'utf8') + lstatSync(path).mode.toString(8))),
    new Set(['one100444', 'one100555', 'two100444', 'three100444']),
  )
  t.equal(objects.files.length, 4)
  t.equal(objects.dev, lstatSync(store.home, { bigint: true }).dev)
  for (const [at, { ino, size, mtimeNs, ctimeNs, executable }] of objects.files.entries()) {
    const stat = lstatSync(found[at] as string, { bigint: true })
    const seen = { ino: stat.ino, size: Number(stat.size), mtimeNs: stat.mtimeNs, ctimeNs: stat.ctimeNs }
    t.same({ ino, size, mtimeNs, ctimeNs }, seen)
    t.equal(Number(stat.mode) & 0o7777, objectMode(executable))
  }
  t.same(lay(store), { view, objects }, 'and so the next time')
})

for (const [what, damage] of Object.entries(damages)) {
  for (const when of ['before there is a view', 'when there is one']) {
    t.test(`an object with damage: ${what}, ${when}`, async t => {
      const store = filled()
      if (when !== 'before there is a view') lay(store)
      damage(object(store))
      t.throws(() => lay(store), {
        code: 'STORE_CORRUPT',
        message: '/three of app is damaged',
        because: new RegExp(object(store)),
        hint: 'appc repair app',
      })
      t.same(readdirSync(join(store.home, 'tmp')), [])

      const { asked, mend } = mender(store)
      const { view, objects } = lay(store, { mend })
      t.same(asked, [three], 'what can be mended is run')
      const path = join(view.layers[0]?.directory as string, 'deep/er/three')
      t.equal(readFileSync(path, 'utf8'), 'three')
      const { ino, ctimeNs } = lstatSync(path, { bigint: true })
      const guarded = [...objects.files, ...view.guards.filter(guard => guard.kind === 'identity')]
      t.ok(
        guarded.some(each => each.ino === ino && each.ctimeNs === ctimeNs),
        'what is in the view is guarded: the new object, or what is left of the old one and was right',
      )
      t.equal(readFileSync(object(store), 'utf8'), 'three')
    })
  }
}

t.test('what is said to be mended, and is not', async t => {
  for (const damage of Object.values(damages)) {
    const store = filled()
    damage(object(store))
    let asked = 0
    t.throws(() => lay(store, { mend: () => ++asked > 0 }), { code: 'STORE_CORRUPT' })
    t.equal(asked, 1, 'it is not tried for ever')
  }
})

t.test('soundness is asked once for each, when the view is there', async t => {
  const store = filled()
  const asked: string[] = []
  const known = {
    isSound: ({ sha256, executable }: { sha256: string; executable: boolean }) => {
      asked.push(`${sha256}${executable}`)
      t.ok(lstatSync(objectPath(store, sha256, executable)).nlink > 1)
      return true
    },
  }
  lay(store, { soundness: known })
  t.equal(new Set(asked).size, 4)
  t.equal(asked.length, 4)
})

t.test('a plain program has no name to be repaired by', async t => {
  const store = filled()
  rmSync(object(store))
  const plain = () =>
    withLock(store, 'shared', () =>
      layOut(store, '/bin/x', '=c', layersFor(), { ...usualCare(store), mend: () => false }),
    )
  t.throws(plain, { code: 'STORE_CORRUPT', hint: 'appc repair' })
})
