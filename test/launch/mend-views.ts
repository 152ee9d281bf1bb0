import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { HOST_BELOW } from '../../lib/container/excluded.js'
import { addon } from '../../lib/launch/addon.js'
import { repair } from '../../lib/launch/repair.js'
import { verify } from '../../lib/launch/verify.js'
import { buildView } from '../../lib/plan/view.js'
import { withLock } from '../../lib/store/store.js'
import { VIEW_LIST } from '../../lib/upkeep/users.js'
import { newStore } from '../decide/scenario.js'
import { fill, layersFor } from '../plan/layers.js'

function built() {
  const store = newStore()
  fill(store)
  const { layers } = withLock(store, 'shared', () => buildView(store, addon(), 'c', layersFor()))
  const [first = '', last = ''] = layers.map(({ directory }) => directory)
  return { store, view: dirname(first), first, last }
}

t.test('a file where a layer was', async t => {
  const { store, first } = built()
  rmSync(first, { recursive: true })
  writeFileSync(first, '')
  const { left, mended } = await repair({ own: store, system: null }, {})
  t.same(left, [])
  t.ok(mended.length > 0)
  t.equal(readFileSync(join(first, 'one'), 'utf8'), 'one')
  t.same((await verify(store, {})).problems, [])
})

t.test('a view that is being built is not damaged', async t => {
  const { store, view, first, last } = built()
  rmSync(join(last, HOST_BELOW), { recursive: true })
  t.same((await verify(store, {})).problems, [], 'it has all but the mark')
  rmSync(join(view, VIEW_LIST))
  t.same((await verify(store, {})).problems, [], 'nor a list')
  mkdirSync(join(last, HOST_BELOW))
  t.match((await verify(store, {})).problems, [{ kind: 'view', path: view }], 'whole, without a list')
  const other = built()
  for (const path of [join(other.last, HOST_BELOW), join(other.first, 'one')]) rmSync(path, { recursive: true })
  t.same(
    (await verify(other.store, {})).problems.map(({ path }) => path),
    [join(other.first, 'one'), join(other.last, HOST_BELOW)],
    'more is missing',
  )
  t.not(first, other.first)
})
