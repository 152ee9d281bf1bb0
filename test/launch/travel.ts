import { statSync } from 'node:fs'
import t from 'tap'
import { hostAt } from '../../lib/launch/machine.js'
import { decideContainer } from '../../lib/launch/prepare.js'
import { travelOf } from '../../lib/launch/travel.js'
import { objectPath } from '../../lib/store/objects.js'
import { library } from '../container/tree.js'
import { libraries, newStore, packInto, program, tree } from '../decide/scenario.js'

t.test('the private files, each content once however many names it has, and the manifest', async t => {
  const one = library('libone.so.1', 'int one(void) { return 1; }')
  const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })
  const home = tree({
    '/usr/bin/app': app,
    [`${libraries}/libone.so.1.0`]: one,
    [`${libraries}/libone.so.1`]: { link: 'libone.so.1.0' },
  })
  const store = newStore()
  const { digest } = packInto(store, home)
  const { decision } = decideContainer(store, 'app', hostAt(tree({}), {}))
  t.ok(decision.placement.size > 2)
  const manifest = statSync(objectPath(store, digest, false)).size
  t.same(travelOf(store, digest, decision), { files: 2, bytes: app.length + one.length + manifest })
})
