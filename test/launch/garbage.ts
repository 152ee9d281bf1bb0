import {
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { changeSettings } from '../../lib/container/change.js'
import { removeContainer } from '../../lib/container/containers.js'
import { withVariable } from '../../lib/container/settings.js'
import { readPlan } from '../../lib/launch/destination.js'
import { collect, judgePlans } from '../../lib/launch/garbage.js'
import { hostAt } from '../../lib/launch/machine.js'
import { prepareContainer, prepareProgram } from '../../lib/launch/prepare.js'
import { planKey } from '../../lib/plan/file.js'
import { ifAlone, type Store } from '../../lib/store/store.js'
import { library } from '../container/tree.js'
import { libraries, newStore, packInto, program, tree } from '../decide/scenario.js'

const one = library('libone.so.1', 'int one(void) { return 0; }')
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })
const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: one })
const everything = { keep: null, grace: 0, dryRun: false }

function made() {
  const store = newStore()
  packInto(store, home, ['app'], 'app')
  return { store, stores: { own: store, system: null } }
}

function planIn(store: Store, root: string, environment: Readonly<Record<string, string>> = {}): string {
  const identity = statSync(root, { bigint: true })
  const key = planKey({ kind: 'container', subject: 'app', libraryDirectories: [], root: identity }, environment)
  for (const [name, value] of Object.entries(environment)) process.env[name] = value
  prepareContainer({ store, key, root }, null, 'app', (_, looks) => hostAt(root, environment, null, looks))
  for (const name of Object.keys(environment)) delete process.env[name]
  return key
}

t.test('plans that nothing can be started by any more', async t => {
  const { store, stores } = made()
  const [root, gone] = [tree({}), tree({})]
  const environment = { LD_LIBRARY_PATH: join(root, 'nowhere') }
  const key = planIn(store, root)
  const [inGone, withVariable] = [planIn(store, gone), planIn(store, root, environment)]
  t.equal(new Set([key, inGone, withVariable]).size, 3)
  const plan = readFileSync(join(store.home, 'plans', key))
  for (const name of ['app', 'Not-a-name', 'other', `${key}0`]) writeFileSync(join(store.home, 'plans', name), plan)
  writeFileSync(join(store.home, 'plans/damaged'), plan.subarray(0, 100))
  mkdirSync(join(store.home, 'plans/directory'))
  const never = ['Not-a-name', 'app', 'damaged', 'directory', 'other', `${key}0`]
  t.same([...judgePlans(stores).plans].sort(), never.sort())
  rmSync(gone, { recursive: true })
  t.same([...judgePlans(stores).plans].sort(), [...never, inGone].sort())
  mkdirSync(join(root, 'nowhere'))
  t.same(
    [...judgePlans(stores).plans].sort(),
    [...never, inGone, withVariable].sort(),
    'what it was made for is no more',
  )
  const layer = readPlan({ store, key, root })?.overlays[0]?.layer ?? ''
  const view = dirname(layer).slice(join(store.home, 'views/').length)
  t.same([...judgePlans(stores).plannedViews], [view])
})

t.test('a plan of an earlier generation holds nothing', async t => {
  const { store, stores } = made()
  const key = planIn(store, tree({}))
  t.same(judgePlans(stores).plans, [])
  changeSettings(store, 'app', 'settings', settings => withVariable(settings, 'A', 'b'))
  t.same(judgePlans(stores).plans, [key])
  t.match(collect(stores, everything), { plans: [key], views: { length: 1 } })
  t.same(readdirSync(join(store.home, 'views')), [])
})

t.test('a plan of a plain program', async t => {
  const { store, stores } = made()
  const root = tree({ '/usr/bin/app': app })
  const directory = dirname(join(home, libraries, 'libone.so.1'))
  const subject = join(root, 'usr/bin/app')
  const identity = statSync(root, { bigint: true })
  const key = planKey({ kind: 'program', subject, libraryDirectories: [directory], root: identity }, {})
  prepareProgram({ store, key, root }, subject, [directory], (_, looks) => hostAt(root, {}, null, looks))
  t.same(judgePlans(stores).plans, [])
  const before = readdirSync(join(store.home, 'views'))
  t.match(collect(stores, everything), { plans: [], views: [], objects: 0 }, 'what no container has is in its view')
  t.same(readdirSync(join(store.home, 'views')), before)
  rmSync(subject)
  t.match(collect(stores, everything), { plans: [key], views: { length: 1 } })
  removeContainer(store, 'app')
  t.same(
    readdirSync(join(store.home, 'objects')).flatMap(name => readdirSync(join(store.home, 'objects', name))),
    [],
  )
})

t.test('the collector comes to no view before its plan is written', async t => {
  const { store } = made()
  let alone = 0
  let unplanned = 0
  const within: Store = {
    home: store.home,
    system: {
      ...store.system,
      flock: (fd, mode, wait) => {
        if (mode === 'shared')
          ifAlone(store, () => {
            const { plannedViews } = judgePlans({ own: store, system: null })
            alone++
            unplanned += readdirSync(join(store.home, 'views')).length - plannedViews.size
          })
        return store.system.flock(fd, mode, wait)
      },
    },
  }
  const key = planIn(within, tree({}))
  t.ok(alone > 0, `${alone} times the collector might have come in between`)
  t.equal(unplanned, 0, 'then each view has its plan')
  t.ok(readPlan({ store, key, root: null }))
})

t.test('decisions that were kept', t => {
  const { store, stores } = made()
  const cache = join(store.home, 'cache')
  mkdirSync(cache, { recursive: true })
  const names = ['decision-old', 'decision-new', 'decision-directory', 'decision-nowhere', 'other']
  for (const name of names) writeFileSync(join(cache, name), '')
  for (const name of names.slice(2, 4)) rmSync(join(cache, name))
  mkdirSync(join(cache, 'decision-directory/below'), { recursive: true })
  symlinkSync('nowhere', join(cache, 'decision-nowhere'))
  for (const name of names) if (name !== 'decision-new') lutimesSync(join(cache, name), 1, 1)
  collect(stores, everything)
  t.same(
    readdirSync(cache)
      .filter(name => names.includes(name))
      .sort(),
    ['decision-new', 'other'],
  )
  rmSync(cache, { recursive: true })
  writeFileSync(cache, '')
  collect(stores, everything)
  t.end()
})
