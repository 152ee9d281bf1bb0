import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { HOST_BELOW } from '../../lib/container/excluded.js'
import { addon } from '../../lib/launch/addon.js'
import { checkViews, viewOfPath } from '../../lib/plan/check-views.js'
import { buildView } from '../../lib/plan/view.js'
import { type Store, withLock } from '../../lib/store/store.js'
import { VIEW_LIST } from '../../lib/upkeep/users.js'
import { newStore } from '../decide/scenario.js'
import { endHalfDone, halfDone } from '../support/linking.js'
import { fill, layersFor } from './layers.js'

interface Built {
  readonly store: Store
  readonly view: string
  /** Its last layer. */
  readonly last: string
  /** A file in the first. */
  readonly file: string
}

function built(): Built {
  const store = newStore()
  fill(store)
  const { layers } = withLock(store, 'shared', () => buildView(store, addon(), 'c', layersFor()))
  const [first = '', last = ''] = [layers[0]?.directory, layers.at(-1)?.directory]
  const [file = ''] = readdirSync(first, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
  return { store, view: dirname(first), last, file }
}

const found = (store: Store) => checkViews(store, null).map(({ kind, path }) => [kind, path])

t.test('a view as it was built', t => {
  t.same(found(built().store), [])
  t.end()
})

t.test('what is not as its list says', t => {
  const { store, view, file } = built()
  rmSync(file)
  chmodSync(view, 0o700)
  t.same(found(store), [['view', file]])
  t.equal(viewOfPath(store, file), view)
  writeFileSync(file, 'other')
  t.same(found(store), [['view', file]])
  t.end()
})

t.test('one that has lost its list', t => {
  const { store, view } = built()
  rmSync(join(view, VIEW_LIST))
  t.same(found(store), [['view', view]])
  writeFileSync(join(view, VIEW_LIST), '')
  t.same(found(store), [['view', view]])
  t.end()
})

t.test('one that is being built, or was left so, is nobody’s yet', t => {
  const { store, view, last, file } = built()
  rmSync(join(last, HOST_BELOW), { recursive: true })
  t.same(found(store), [], 'all but its mark is there')
  rmSync(file)
  t.same(found(store), [['view', file]], 'with its list comes all else')
  rmSync(join(view, VIEW_LIST))
  t.same(found(store), [], 'no list yet')
  rmSync(view, { recursive: true })
  mkdirSync(view)
  t.same(found(store), [], 'nothing yet')
  t.end()
})

t.test('what somebody is mending is looked at when that is done', async t => {
  const { store, file } = built()
  renameSync(file, `${store.home}/tmp/aside`)
  const mending = await halfDone(store, 'true', `mv tmp/aside '${file}'`)
  t.teardown(() => endHalfDone(mending))
  t.same(found(store), [])
})
