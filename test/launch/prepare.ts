import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { hostAt } from '../../lib/launch/machine.js'
import { type OpenHost, prepareContainer } from '../../lib/launch/prepare.js'
import type { FileSystem } from '../../lib/loader/types.js'
import { library } from '../container/tree.js'
import { libraries, newStore, packInto, program, put, tree } from '../decide/scenario.js'

const one = library('libone.so.1', 'int one(void) { return 0; }')
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })
const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: one })
const root = tree({ [`${libraries}/libone.so.1`]: one })
const shared = join(root, libraries, 'libone.so.1')

/** Prepares for a host that `disturb` may change: it is called with the number of the look at the host, and may put itself in between. */
function prepare(disturb: (look: number, fs: FileSystem) => FileSystem) {
  const store = newStore()
  const { name } = packInto(store, home)
  put(root, `${libraries}/libone.so.1`, one)
  // What is younger than the planning would have it begin anew.
  utimesSync(shared, new Date(0), new Date(0))
  let looks = 0
  const openHost: OpenHost = (_, noted) => {
    const host = hostAt(root, {}, null, noted)
    return { ...host, fs: disturb(++looks, host.fs) }
  }
  return {
    run: () => prepareContainer({ store, key: name, root }, null, name, openHost),
    looks: () => looks,
    plan: join(store.home, 'plans', name),
    plans: () => readdirSync(join(store.home, 'plans')),
    /** What of the store is laid over the host. */
    private: () =>
      readdirSync(join(store.home, 'views'), { recursive: true, encoding: 'utf8' }).map(path => basename(path)),
  }
}

/** A shared library changes the first `changes` times that the host is looked at. */
function touching(changes: number) {
  return prepare((look, fs) => {
    if (look <= changes) utimesSync(shared, new Date(), new Date())
    return fs
  })
}

const isShared = (path: string) => path === `${libraries}/libone.so.1`

t.test('a host that changes while it is planned for is looked at again', async t => {
  const { run, looks, plans } = touching(1)
  run()
  t.ok(looks() > 1, `${looks()} looks`)
  t.equal(plans().length, 1)
})

t.test('one that never rests gets no plan: its guards would bless what nobody looked at', async t => {
  const { run, looks, plans } = touching(Number.POSITIVE_INFINITY)
  t.throws(run, { code: 'PLAN_UNSTABLE' })
  t.equal(looks(), 3)
  t.same(plans(), [])
})

t.test('a file that vanishes between the look at it and its opening is no failure', async t => {
  const {
    run,
    looks,
    private: laid,
  } = prepare((look, fs) => ({
    ...fs,
    open: path => {
      if (look === 1 && isShared(path)) rmSync(shared)
      return fs.open(path)
    },
  }))
  run()
  // A third time where what was just packed is too young for its times to tell.
  t.ok(looks() > 1, `${looks()} looks`)
  t.ok(laid().includes('libone.so.1'), 'the second time it was not there from the beginning')
})

t.test('nor does one that vanishes when all of it is known leave a plan that has it as absent', async t => {
  const vanishing = (fs: FileSystem): FileSystem => ({
    ...fs,
    open: path => {
      const file = fs.open(path)
      if (isShared(path)) rmSync(shared)
      return file
    },
  })
  const once = prepare((look, fs) => (look === 1 ? vanishing(fs) : fs))
  once.run()
  t.ok(once.private().includes('libone.so.1'))
  const always = prepare((look, fs) => {
    if (look > 1) put(root, `${libraries}/libone.so.1`, one)
    return vanishing(fs)
  })
  t.throws(always.run, { code: 'PLAN_UNSTABLE' })
  t.same(always.plans(), [])
})

t.test('an error that no change explains is told at once', async t => {
  const { run, looks } = prepare((_, fs) => ({
    ...fs,
    open: path => {
      if (isShared(path)) throw new Error('on purpose')
      return fs.open(path)
    },
  }))
  t.throws(run, { message: 'on purpose' })
  t.equal(looks(), 1)
})

t.test('a directory in the place of a plan gives way to it', async t => {
  const { run, plan } = touching(0)
  mkdirSync(join(plan, 'something'), { recursive: true })
  run()
  t.ok(statSync(plan).isFile())
})
