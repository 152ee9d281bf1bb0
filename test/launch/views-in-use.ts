import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readProcess } from '../../lib/launch/processes.js'
import { storeInSignature } from '../../lib/launch/signature.js'
import { findUsed } from '../../lib/launch/views-in-use.js'
import type { Store } from '../../lib/store/store.js'
import { listViews, type ViewAt } from '../../lib/upkeep/views.js'
import { compiled } from '../campaigns/stage.js'
import { newStore } from '../decide/scenario.js'
import { temporaryDirectory } from '../support/fixtures.js'

const holder = compiled('holder', temporaryDirectory())
const [one, two] = ['1'.repeat(32), '2'.repeat(32)]

/** A store with two views of two layers each. */
function made(): { store: Store; views: readonly ViewAt[] } {
  const store = newStore()
  for (const view of [one, two])
    for (const layer of ['0', '1']) {
      mkdirSync(join(store.home, 'views/c', view, layer, 'below'), { recursive: true })
      writeFileSync(join(store.home, 'views/c', view, layer, 'file'), view)
    }
  return { store, views: listViews(join(store.home, 'views')) }
}

/** A process that runs with the first view. */
async function held(store: Store, how: string): Promise<ChildProcess & { pid: number }> {
  const source = `appc:${storeInSignature(store)}/c/${one}/0123456789abcdef/0`
  const layers = ['0', '1'].flatMap(layer => [join(store.home, 'views/c', one, layer), temporaryDirectory()])
  const child = spawn(holder, [source, ...layers], { stdio: ['pipe', 'pipe', 'inherit'], env: { HOLD: how } })
  t.teardown(() => child.kill('SIGKILL'))
  const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  if (String(said) !== 'ready\n') throw new Error(`holder: ${said}`)
  return child as typeof child & { pid: number }
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.stdin?.end()
  await exit
}

const used = (store: Store, views: readonly ViewAt[]) => {
  const { used, unseen } = findUsed(store, views)
  return { used: used.map(({ view }) => view), unseen }
}

t.test('nobody', async t => {
  const { store, views } = made()
  t.same(used(store, views), { used: [], unseen: [] })
  t.same(used(store, []), { used: [], unseen: [] })
})

t.test('a program, where the view was put aside as well', async t => {
  const { store, views } = made()
  const child = await held(store, '')
  t.same(used(store, views), { used: [`c/${one}`], unseen: [] })
  mkdirSync(join(store.home, 'quarantine/x/views'), { recursive: true })
  renameSync(join(store.home, 'views/c'), join(store.home, 'quarantine/x/views/c'))
  t.same(used(store, listViews(join(store.home, 'quarantine/x/views'))), { used: [`c/${one}`], unseen: [] })
  const elsewhere = made()
  t.same(used(elsewhere.store, elsewhere.views), { used: [], unseen: [] }, 'another store has views of the same names')
  await ended(child)
  t.same(used(store, listViews(join(store.home, 'quarantine/x/views'))), { used: [], unseen: [] })
})

t.test('a program of which the first thread has ended', async t => {
  const { store, views } = made()
  const child = await held(store, 'thread')
  while (/^State:\t[^Z]/m.test(readFileSync(`/proc/${child.pid}/status`, 'latin1'))) await new Promise(setImmediate)
  t.equal(readProcess(child.pid), null, 'it seems to be gone')
  t.same(used(store, views), { used: [`c/${one}`], unseen: [] })
  await ended(child)
})

t.test('a launch that has opened a layer and not mounted it yet', async t => {
  const { store, views } = made()
  const layer = openSync(join(store.home, 'views/c', two, '1'), 'r')
  mkdirSync(join(store.home, 'quarantine/x/views'), { recursive: true })
  renameSync(join(store.home, 'views/c'), join(store.home, 'quarantine/x/views/c'))
  t.same(used(store, views).used, [], 'they are there no more')
  t.same(used(store, listViews(join(store.home, 'quarantine/x/views'))), { used: [`c/${two}`], unseen: [] })
  closeSync(layer)
})

t.test('who was shut into a directory', { skip: process.geteuid?.() !== 0 && 'chroot(2) is root’s' }, async t => {
  const { store, views } = made()
  // Its table of mounts does not show the overlay that it is in.
  const shut = await held(store, 'shut')
  t.notMatch(readFileSync(`/proc/${shut.pid}/mountinfo`, 'utf8'), / appc:/)
  t.same(used(store, views), { used: views.map(({ view }) => view), unseen: [shut.pid] })
  await ended(shut)
  const apart = await held(store, 'apart')
  t.same(used(store, views), { used: [], unseen: [] }, 'it finds nothing of a view there')
  await ended(apart)
})
