import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { decide } from '../../lib/decide/decide.js'
import { addon } from '../../lib/launch/addon.js'
import { hostAt } from '../../lib/launch/machine.js'
import { type Circumstances, compilePlan, mountsInside } from '../../lib/plan/compile.js'
import { decodePlan, encodePlan } from '../../lib/plan/file.js'
import { layersOf, Targets } from '../../lib/plan/overlays.js'
import { buildView } from '../../lib/plan/view.js'
import { refPath } from '../../lib/store/refs.js'
import { library } from '../container/tree.js'
import { libraries, newStore, openIn, packInto, program, put, tree } from '../decide/scenario.js'

const lib = (name: string, extra = '') => library(`lib${name}.so.1`, `int ${name}(void) { return 0; } ${extra}`)
const taken = lib('taken', 'int more(void) { return 0; }')
const app = program(
  'int shared(void), taken(void), more(void); int main(void) { return shared() + taken() + more(); }',
  {
    'libshared.so.1': lib('shared'),
    'libtaken.so.1': taken,
  },
)
const home = tree({
  '/bin/app': app,
  [`${libraries}/libshared.so.1`]: lib('shared'),
  [`${libraries}/libtaken.so.1`]: taken,
})
const host = tree({ [`${libraries}/libshared.so.1`]: lib('shared'), [`${libraries}/libtaken.so.1`]: lib('taken') })
mkdirSync(join(host, 'home'))

function compiled(mountPoints: readonly string[], uid = 0) {
  const store = newStore()
  const { manifest, digest } = packInto(store, home, ['/bin/app'])
  const at = hostAt(host, {})
  const decision = decide(manifest, at, openIn(store))
  const now: Circumstances = {
    uid,
    gid: 7,
    kernelRelease: '6.1',
    cpuLevel: 2,
    loaderEnvironment: { LD_BIND_NOW: '1' },
    mountPoints,
  }
  const view = buildView(
    store,
    addon(),
    digest,
    layersOf(decision.placement, new Targets(at.fs, mountsInside(mountPoints, host), 'deepest')),
  )
  const request = {
    name: 'app',
    request: ['app'],
    programs: manifest.entries,
    needs: [],
    sources: [refPath(store, 'app')],
    variables: {},
    state: [],
  }
  const objects = { dev: 1n, files: [] }
  const plan = compilePlan(request, decision, decision.placement, at, host, { view, objects }, now)
  return { store, plan, view, objects }
}

t.test('what the plan is bound to, and what it does', async t => {
  const { store, plan, view, objects } = compiled([])
  t.match(plan, { name: 'app', request: ['app'], root: host, uid: 0, gid: 7, kernelRelease: '6.1', cpuLevel: 2 })
  t.same(plan.environment, [{ name: 'APPC_CONTAINER', value: 'app' }])
  t.same(plan.programs, [{ name: 'app', path: '/usr/bin/app' }])
  t.same(
    plan.overlays,
    view.layers.map(({ target, directory }) => ({ target, layer: directory, carried: [] })),
  )
  t.same(
    plan.overlays.map(({ target }) => target),
    ['/usr/bin', libraries],
  )
  const guarded = new Map(plan.guards.map(guard => [guard.path, guard]))
  t.ok(guarded.has(host), 'the root itself')
  t.ok(guarded.has(refPath(store, 'app')), 'what the name stands for')
  t.equal(plan.objects, objects)
  for (const { directory } of view.layers) t.ok(guarded.has(directory), 'each directory of the view')
  const seenAs = (path: string) => {
    const guard = guarded.get(host + path)
    return guard?.kind === 'names' ? undefined : guard?.seenAs
  }
  t.equal(
    seenAs(`${libraries}/libshared.so.1`),
    `${libraries}/libshared.so.1`,
    'shared, below an overlay: looked at once more',
  )
  t.equal(seenAs(`${libraries}/libtaken.so.1`), null, 'covered: there the private one is seen')
  t.equal(seenAs('/var/lib/dpkg/status'), undefined)
})

t.test('mounts below an overlay are carried over', async t => {
  const inside = `${libraries}/mounted`
  const { plan } = compiled([`${host}${inside}`, `${host}${libraries}`, `${host}/usr/binary`, inside, '/'])
  t.same(
    plan.overlays.map(({ carried }) => carried),
    [[], [inside]],
  )
  t.same(mountsInside([host, `${host}/a`, `${host}b/c`, '/a'], host), ['/a'], 'seen from inside, and only those')
  t.same(mountsInside(['/a'], null), ['/a'])
})

t.test('a tree gets what it has a place for', async t => {
  const targets = (uid = 0) => compiled([], uid).plan.binds.map(({ source, target }) => `${source} ${target}`)
  const usual = ['/proc /proc', '/sys /sys', '/dev /dev', '/tmp /tmp', '/home /home']
  t.same(targets(), usual)
  put(host, '/etc/resolv.conf', { link: '../run/resolv.conf' })
  t.same(targets(), usual, 'a link is not covered')
  put(host, '/etc/resolv.conf', '')
  mkdirSync(join(host, 'root'))
  t.same(targets(0), [...usual, '/root /root', '/etc/resolv.conf /etc/resolv.conf'])
  t.same(targets(1000), [...usual, '/etc/resolv.conf /etc/resolv.conf'])
})

t.test('every plan can be written and read', async t => {
  const { plan } = compiled([`${host}${libraries}/mounted`])
  const known = { ...plan, loaderEnvironment: { LD_LIBRARY_PATH: '/x' } }
  t.same(decodePlan(encodePlan(known)), known)
})
