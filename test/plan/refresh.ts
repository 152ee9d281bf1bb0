import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isExecutable } from '../../lib/container/containers.js'
import type { Circumstances } from '../../lib/plan/compile.js'
import { decodePlan } from '../../lib/plan/file.js'
import { refreshPlan as refresh } from '../../lib/plan/refresh.js'
import type { Plan } from '../../lib/plan/types.js'
import { objectPath } from '../../lib/store/objects.js'
import { byHash } from '../../lib/store/soundness.js'
import type { Store } from '../../lib/store/store.js'
import { library } from '../container/tree.js'
import { fresh, launch, libraries, newStore, packInto, program, tree } from '../decide/scenario.js'

const one = library('libone.so.1', 'int one(void) { return 0; }')
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })
const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: one })
const host = tree({})

const refreshPlan = (store: Store, plan: Plan, now: Circumstances) => refresh(store, plan, now, byHash(store))

const MODIFIED = new Date('2020-01-01T00:00:00Z')

interface Planned {
  readonly store: Store
  readonly plan: Plan
  readonly now: Circumstances
  /** Their paths, in the plan's order. */
  readonly objects: readonly string[]
}

function planned(t: Test): Planned {
  const store = newStore()
  const { manifest } = packInto(store, home)
  for (const file of manifest.files) {
    // Whole seconds, which a test can restore.
    if (file.type === 'file') utimesSync(objectPath(store, file.sha256, isExecutable(file.mode)), MODIFIED, MODIFIED)
  }
  t.match(launch(store, host), { status: 0, stderr: '' })
  const plans = join(store.home, 'plans')
  const plan = decodePlan(readFileSync(join(plans, readdirSync(plans)[0] ?? '')))
  const { uid, gid, kernelRelease, cpuLevel, loaderEnvironment } = plan
  const objects = plan.objects.files.map(({ sha256, executable }) => objectPath(store, sha256, executable))
  t.equal(objects.length, 2)
  return { store, plan, now: { uid, gid, kernelRelease, cpuLevel, loaderEnvironment, mountPoints: [] }, objects }
}

t.test('an object that only got another link: another identity, the same plan', async t => {
  const { store, plan, now, objects } = planned(t)
  linkSync(objects[0] as string, join(fresh(), 'elsewhere'))
  const refreshed = refreshPlan(store, plan, now)
  t.ok(refreshed)
  t.same({ ...refreshed, objects: plan.objects }, plan)
  const { ctimeNs } = lstatSync(objects[0] as string, { bigint: true })
  const [first, ...others] = plan.objects.files
  t.same(refreshed?.objects, { dev: plan.objects.dev, files: [{ ...first, ctimeNs }, ...others] })
  t.not(ctimeNs, first?.ctimeNs)
  // So does the launcher, without deciding: by way of Node, and then without.
  t.match(launch(store, host), { status: 0, stderr: '' })
  t.match(launch(store, host, [], { PATH: '/nonexistent' }), { status: 0, stderr: '' })
})

t.test('nothing has changed: the plan as it is', async t => {
  const { store, plan, now } = planned(t)
  t.equal(refreshPlan(store, plan, now), plan)
})

t.test('a view that is gone', async t => {
  const { store, plan, now } = planned(t)
  rmSync(join(store.home, 'views'), { recursive: true })
  t.equal(refreshPlan(store, plan, now), null)
})

t.test('what is mounted below an overlay must be what it carries', async t => {
  const { store, plan, now } = planned(t)
  const inside = plan.overlays.map(({ target }) => `${target}/mounted`)
  const carrying = {
    ...plan,
    overlays: plan.overlays.map((overlay, at) => ({ ...overlay, carried: [`${inside[at]}`] })),
  }
  const mounted = { ...now, mountPoints: inside.map(path => host + path) }
  t.equal(refreshPlan(store, plan, mounted), null, 'one more')
  t.equal(refreshPlan(store, carrying, now), null, 'one less')
  t.equal(refreshPlan(store, carrying, { ...now, mountPoints: [`${host}${inside[0]}2`] }), null, 'another')
  t.equal(refreshPlan(store, carrying, mounted), carrying)
})

t.test('an object with other bytes, mode or inode is not the same', async t => {
  const changes: readonly ((path: string) => void)[] = [
    path => {
      const bytes = readFileSync(path)
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1
      chmodSync(path, 0o755)
      writeFileSync(path, bytes)
      // The same inode, size, mode and time of modification: only reading finds it.
      utimesSync(path, MODIFIED, MODIFIED)
      chmodSync(path, 0o555)
    },
    path => chmodSync(path, 0o4555),
    path => rmSync(path),
    path => {
      cpSync(path, `${path}.copy`, { preserveTimestamps: true })
      renameSync(`${path}.copy`, path)
    },
  ]
  for (const change of changes) {
    const { store, plan, now, objects } = planned(t)
    const path = objects.find(path => path.endsWith('.x')) as string
    change(path)
    t.equal(refreshPlan(store, plan, now), null)
  }
})

t.test('another user or kernel, or a host that changed as well', async t => {
  const { store, plan, now, objects } = planned(t)
  linkSync(objects[0] as string, join(fresh(), 'elsewhere'))
  const others: Partial<Circumstances>[] = [
    { uid: 1 + now.uid },
    { gid: 1 + now.gid },
    { kernelRelease: 'other' },
    { cpuLevel: now.cpuLevel + 1 },
    { loaderEnvironment: { LD_AUDIT: '/x' } },
  ]
  for (const other of others) t.equal(refreshPlan(store, plan, { ...now, ...other }), null)
  t.ok(refreshPlan(store, plan, now))
  const libc = join(host, libraries, 'libc.so.6')
  utimesSync(libc, new Date(), new Date())
  t.equal(refreshPlan(store, plan, now), null)
})

t.test('launches while other containers link and unlink the same objects without a pause', async t => {
  const { store, objects } = planned(t)
  const moduleOf = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const links = `
    import { linkSync, unlinkSync } from 'node:fs'
    import { withLinks } from ${moduleOf('../../lib/store/store.js')}
    import { system } from ${moduleOf('../store/system.js')}
    const [home, path, ...objects] = process.argv.slice(1)
    for (let round = 0; ; round++) {
      for (const object of objects) withLinks({ home, system }, () => {
        linkSync(object, path)
        unlinkSync(path)
      })
      // Whoever takes a lock again at once may keep it from those who wait for it.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
      if (round === 1) process.stdout.write('linked')
    }`
  const args = ['--input-type=module', '--eval', links, store.home, join(fresh(), 'elsewhere'), ...objects]
  const linker = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => linker.kill('SIGKILL'))
  await once(linker.stdout, 'data')
  for (let launched = 0; launched < 10; launched++) t.match(launch(store, host), { status: 0, stderr: '' })
})
