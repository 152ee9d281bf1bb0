import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { listQuarantine, moveAside, newQuarantine, removeQuarantined, viewsIn } from '../../lib/upkeep/quarantine.js'
import { newStore } from '../decide/scenario.js'

t.test('since when something lies there is told by its name', async t => {
  const store = newStore()
  for (const [kind, now] of [
    ['collected', 5],
    ['damaged', 7],
  ] as const)
    mkdirSync(newQuarantine(store, kind, now))
  for (const name of ['collected-5', 'other-5-01234567', 'collected-x-01234567'])
    mkdirSync(join(store.home, 'quarantine', name))
  t.match(
    listQuarantine(store)
      .map(({ kind, since }) => ({ kind, since }))
      .sort((a, b) => a.since - b.since),
    [
      { kind: 'collected', since: 5 },
      { kind: 'damaged', since: 7 },
    ],
  )
})

t.test('things lie at the same place below it', async t => {
  const store = newStore()
  const quarantine = newQuarantine(store, 'collected', 1)
  for (const name of ['V', 'W']) {
    mkdirSync(join(store.home, 'views/C', name), { recursive: true })
    moveAside(store, quarantine, join(store.home, 'views/C', name))
  }
  writeFileSync(join(store.home, 'secrets/s'), 's')
  moveAside(store, quarantine, join(store.home, 'secrets/s'))
  moveAside(store, quarantine, join(store.home, 'secrets/not-there'))
  const [found, ...others] = listQuarantine(store)
  if (found === undefined) throw new Error('there is one')
  t.same(others, [])
  const [kept, ...gone] = [...viewsIn(found)].sort((a, b) => (a.view < b.view ? -1 : 1))
  t.match([kept, ...gone], [{ view: 'C/V' }, { view: 'C/W' }])

  if (kept === undefined) throw new Error('there is one')
  removeQuarantined(store, found, [kept])
  t.same(readdirSync(quarantine), ['views'])
  t.same(
    viewsIn(found).map(({ view }) => view),
    ['C/V'],
  )
  removeQuarantined(store, found, [])
  t.notOk(existsSync(quarantine))
})
