import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { HOST_BELOW } from '../../lib/container/excluded.js'
import { upgradeStore } from '../../lib/container/upgrade.js'
import { addon } from '../../lib/launch/addon.js'
import { repair } from '../../lib/launch/repair.js'
import { verify } from '../../lib/launch/verify.js'
import { buildView, mendView } from '../../lib/plan/view.js'
import { objectPath } from '../../lib/store/objects.js'
import { secretFactsPath, secretPath, stageSecret } from '../../lib/store/secrets.js'
import { withLock } from '../../lib/store/store.js'
import { VIEW_LIST } from '../../lib/upkeep/users.js'
import { newStore } from '../decide/scenario.js'
import { fill, layersFor } from '../plan/layers.js'
import { APPC } from '../support/node.js'
import { refusing } from '../support/refusing.js'

const PLAIN = { mode: 0o755, owner: null }

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

t.test('what the disk does not take is not used', async t => {
  const { store, view, first } = built()
  // Else it would be what is refused the sync.
  upgradeStore(store)
  rmSync(join(first, 'one'))
  const [command, ...words] = [...refusing('syncfs:EIO'), ...APPC, 'repair']
  const env = { ...process.env, APPC_HOME: store.home }
  const { status, stderr } = spawnSync(command, words, { env, encoding: 'utf8' })
  // Nor is anything told of as mended while the disk takes nothing.
  t.match(
    { status, stderr },
    { status: 125, stderr: /^appc: the store at .* cannot be written: cannot flush the file system/ },
  )
  t.notOk(existsSync(view), 'in quarantine: the next launch builds another')
  t.same((await verify(store, {})).problems, [])
})

t.test('what the store has no right file for is left as it is', async t => {
  const { store, first, last } = built()
  const digest = createHash('sha256').update('two').digest('hex')
  rmSync(objectPath(store, digest, false))
  for (const path of [join(last, 'two'), join(first, 'link')]) rmSync(path)
  const view = dirname(first)
  withLock(store, 'shared', () => mendView(store, addon(), view))
  t.equal(readlinkSync(join(first, 'link')), 'one', 'the rest is mended')
  t.notOk(existsSync(join(last, 'two')))
})

t.test('a secret in a view stays where the store has lost it', async t => {
  const store = newStore()
  const [id, other] = ['a'.repeat(32), 'b'.repeat(32)]
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  for (const name of [id, other])
    stageSecret(join(store.home, 'secrets'), name, Buffer.from(name), { mode: 0o600, ...owner })
  const node = { kind: 'secret', id } as const
  const layer = { target: '/etc/x', nodes: new Map([['secret', node]]), directories: new Map([['', PLAIN]]) }
  const { layers } = withLock(store, 'shared', () => buildView(store, addon(), 'c', [layer]))
  const path = join(layers[0]?.directory ?? '', 'secret')
  rmSync(secretPath(store, id))
  writeFileSync(secretPath(store, id), 'something else')
  rmSync(secretFactsPath(store, id))
  withLock(store, 'shared', () => mendView(store, addon(), dirname(layers[0]?.directory ?? '')))
  t.equal(readFileSync(path, 'utf8'), id)
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
    [join(other.first, 'one')],
    'more is missing',
  )
  t.not(first, other.first)
})
