import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { catalogueOf } from '../../lib/container/catalogue.js'
import { changeSettings } from '../../lib/container/change.js'
import { NeededMemory } from '../../lib/container/needed-memory.js'
import { withVariable } from '../../lib/container/settings.js'
import { objectPath } from '../../lib/store/objects.js'
import { refPath, sparePath } from '../../lib/store/refs.js'
import { endHalfDone, halfDone } from '../support/linking.js'
import { digestOf, packFiles, smallStore } from '../support/small-store.js'

t.test('a ref and its second copy that are being replaced are compared when both are', async t => {
  const small = smallStore()
  const { store } = small
  packFiles(small, 'one', { '/share/a': 'A' })
  const before = readFileSync(refPath(store, 'one'))
  const [ref, spare, next] = [refPath(store, 'one'), sparePath(store, 'one'), join(store.home, 'next')]
  changeSettings(store, 'one', 'settings', settings => withVariable(settings, 'A', 'B'))
  renameSync(ref, next)
  for (const path of [ref, spare]) writeFileSync(path, before)
  const replacing = await halfDone(store, `cp '${next}' '${ref}'`, `cp '${next}' '${spare}'`)
  t.teardown(() => endHalfDone(replacing))
  t.notOk(readFileSync(ref).equals(before))
  const { faults } = catalogueOf(store, new NeededMemory(store)).needsOf('one')
  t.same(
    faults.filter(({ kind }) => kind === 'spare' || kind === 'ref'),
    [],
  )
})

t.test('what is needed is known when the manifests cannot be read any more', t => {
  const small = smallStore()
  const { store } = small
  const digest = packFiles(small, 'one', { '/share/a': 'A', '/share/b': 'A' })
  const files = () => catalogueOf(store, new NeededMemory(store)).filesOf('one')
  const memory = new NeededMemory(store)
  const read = catalogueOf(store, memory).filesOf('one')
  t.match(
    read.filter(({ key }) => key === digestOf('A')),
    [
      { path: '/share/a', size: 1 },
      { path: '/share/b', size: 1 },
    ],
  )
  const manifest = objectPath(store, digest, false)
  renameSync(manifest, `${manifest}-away`)
  t.same(
    files().map(({ key }) => key),
    [digest],
    'nothing was kept yet',
  )
  memory.save()
  t.same(files(), read)
  const kept = join(store.home, 'cache/needed-files')
  writeFileSync(kept, readFileSync(kept).subarray(1))
  t.same(
    files().map(({ key }) => key),
    [digest],
    'damaged, it is not believed',
  )
  t.end()
})
