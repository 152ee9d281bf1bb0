import { mkdirSync, readdirSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { hostAt } from '../../lib/launch/machine.js'
import { prepareContainer } from '../../lib/launch/prepare.js'
import { library } from '../container/tree.js'
import { libraries, newStore, packInto, program, tree } from '../decide/scenario.js'

const one = library('libone.so.1', 'int one(void) { return 0; }')
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })
const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: one })
const root = tree({ [`${libraries}/libone.so.1`]: one })
const shared = join(root, libraries, 'libone.so.1')

/** Prepares while a shared library changes the first `changes` times that the host was looked at. */
function prepare(changes: number) {
  const store = newStore()
  const { name } = packInto(store, home)
  let looks = 0
  const openHost = () => {
    const host = hostAt(root, {})
    if (++looks <= changes) utimesSync(shared, new Date(), new Date())
    return host
  }
  const run = () => prepareContainer({ store, key: name, root }, null, name, openHost)
  return {
    run,
    looks: () => looks,
    plan: join(store.home, 'plans', name),
    plans: () => readdirSync(join(store.home, 'plans')),
  }
}

t.test('a host that changes while it is planned for is looked at again', async t => {
  const { run, looks, plans } = prepare(1)
  run()
  t.ok(looks() > 1, `${looks()} looks`)
  t.equal(plans().length, 1)
})

t.test('one that never rests gets no plan: its guards would bless what nobody looked at', async t => {
  const { run, looks, plans } = prepare(Number.POSITIVE_INFINITY)
  t.throws(run, { code: 'PLAN_UNSTABLE' })
  t.equal(looks(), 3)
  t.same(plans(), [])
})

t.test('a directory in the place of a plan gives way to it', async t => {
  const { run, plan } = prepare(0)
  mkdirSync(join(plan, 'something'), { recursive: true })
  run()
  t.ok(statSync(plan).isFile())
})
