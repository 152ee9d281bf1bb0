import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openStoreAt, openStoreToMend } from '../../lib/launch/open-store.js'
import { repair } from '../../lib/launch/repair.js'
import { verify } from '../../lib/launch/verify.js'
import { frameFaults } from '../../lib/store/frame.js'
import { CLOSED, DIRECTORIES, LOCKS, withLock, withPlanning } from '../../lib/store/store.js'
import { APPC } from '../support/node.js'
import { packFiles, type SmallStore, smallStore } from '../support/small-store.js'

t.setTimeout(180_000)

function packed(): SmallStore {
  const small = smallStore()
  packFiles(small, 'one', { '/share/a': 'A' })
  return small
}

const { store } = packed()
const at = (name: string) => join(store.home, name)

/** Puts back what was there, so that all are tried with one store. */
async function trying(name: string, put: (path: string) => void, act: () => Promise<void>): Promise<void> {
  const aside = `${store.home}.aside`
  renameSync(at(name), aside)
  put(at(name))
  await act()
  rmSync(at(name), { recursive: true })
  renameSync(aside, at(name))
}

const fifo = (path: string) => execFileSync('mkfifo', [path])

/** Where repairs have moved what was at this place. */
const kept = (name: string) =>
  readdirSync(at('quarantine'))
    .map(each => join(at('quarantine'), each, name))
    .find(path => lstatSync(path, { throwIfNoEntry: false }) !== undefined)

for (const name of [...DIRECTORIES, ...CLOSED])
  t.test(`${name} has become a file`, async t => {
    await trying(
      name,
      path => writeFileSync(path, 'x'),
      async () => {
        const error = { code: 'STORE_CORRUPT', message: new RegExp(name), hint: 'appc repair' }
        t.throws(() => openStoreAt(store.home), error)
        const own = openStoreToMend(store.home)
        t.match((await verify(own, {})).problems, [{ kind: 'directory', path: at(name) }])
        t.match(await repair({ own, system: null }, { dryRun: true }), { mended: [{ how: 'can be mended' }], left: [] })
        t.ok(lstatSync(at(name)).isFile(), 'nothing was changed')
        // What lay in it is lost, and told.
        const { mended } = await repair({ own, system: null }, {})
        t.match(mended[0], { problem: { kind: 'directory', path: at(name) }, how: 'made anew', evidence: kept(name) })
        const expected = [...CLOSED].some(closed => closed === name) ? 0o700 : statSync(store.home).mode & 0o777
        t.equal(statSync(at(name)).mode & 0o777, expected)
        t.equal(readFileSync(kept(name) ?? '', 'utf8'), 'x')
        t.same(
          readdirSync(store.home).filter(each => each.startsWith(`${name}.`)),
          [],
          'nothing is left beside it',
        )
        t.ok(openStoreAt(store.home))
      },
    )
  })

const STRANGE = { 'a directory': mkdirSync, 'a FIFO': fifo, 'a link': linkAt }

for (const name of LOCKS)
  for (const [what, put] of Object.entries(STRANGE))
    t.test(`${name} has become ${what}`, async t => {
      rmSync(at(name), { force: true })
      put(at(name))
      t.throws(() => openStoreAt(store.home), { code: 'STORE_CORRUPT', hint: 'appc repair' })
      const own = openStoreToMend(store.home)
      t.match((await verify(own, {})).problems, [{ kind: 'type', path: at(name) }])
      t.match(await repair({ own, system: null }, {}), { mended: [{ problem: { kind: 'type' } }], left: [] })
      t.same((await verify(own, {})).problems, [])
      t.ok(lstatSync(at(name)).isFile())
      rmSync(at('quarantine'), { recursive: true })
      mkdirSync(at('quarantine'), { mode: 0o700 })
    })

for (const [name, kind] of Object.entries({ version: 'type', 'policy.json': 'policy' }))
  for (const [what, put] of Object.entries(STRANGE))
    t.test(`${name} has become ${what}: people are asked`, async t => {
      const version = readFileSync(at('version'))
      rmSync(at(name), { force: true })
      put(at(name))
      const { mode } = lstatSync(at(name))
      t.throws(() => openStoreAt(store.home), { code: 'STORE_CORRUPT', hint: /remove it/ })
      const own = openStoreToMend(store.home)
      const problem = { kind, path: at(name) }
      t.match((await verify(own, {})).problems, [problem])
      t.match(await repair({ own, system: null }, {}), { mended: [], left: [{ problem }] })
      t.equal(lstatSync(at(name)).mode, mode)
      rmSync(at(name), { recursive: true })
      if (name === 'version') writeFileSync(at(name), version)
      t.same((await verify(openStoreAt(store.home), {})).problems, [])
    })

t.test('a policy that says nothing sensible', async t => {
  writeFileSync(at('policy.json'), '{')
  chmodSync(at('policy.json'), 0o644)
  const problem = { kind: 'policy', path: at('policy.json') }
  t.match((await verify(store, {})).problems, [problem])
  t.match(await repair({ own: store, system: null }, {}), { mended: [], left: [{ problem }] })
  t.equal(readFileSync(at('policy.json'), 'utf8'), '{')
  rmSync(at('policy.json'))
})

/** As an ordinary user: root may write to all. */
t.test('what lies there may not be moved', async t => {
  const { stdout, stderr } = spawnSync(
    'unshare',
    [
      '--map-root-user',
      'setpriv',
      '--bounding-set=-all',
      '--inh-caps=-all',
      process.execPath,
      '--input-type=module',
      '-e',
      MENDER,
      store.home,
    ],
    { encoding: 'utf8' },
  )
  t.equal(stderr, '')
  t.match(JSON.parse(stdout), {
    mended: [{ problem: { path: at('lock') } }, { problem: { path: at('links') } }],
    left: [],
  })
  t.same(
    readdirSync(store.home).filter(name => /^l.*[.]/.test(name)),
    [],
  )
})

const MENDER = `
  import { mkdirSync, rmSync } from 'node:fs'
  import { openStoreToMend } from '${new URL('../../lib/launch/open-store.js', import.meta.url)}'
  import { repair } from '${new URL('../../lib/launch/repair.js', import.meta.url)}'
  const home = process.argv[1]
  for (const name of ['lock', 'links']) {
    rmSync(home + '/' + name)
    mkdirSync(home + '/' + name, { mode: 0o500 })
  }
  process.stdout.write(JSON.stringify(await repair({ own: openStoreToMend(home), system: null }, {})))`

function linkAt(path: string): void {
  symlinkSync('/dev/null', path)
}

t.test('a lock that becomes something else while a store is open is not waited for', async t => {
  for (const put of [mkdirSync, fifo, linkAt]) {
    const act = async (): Promise<void> => {
      t.throws(() => withPlanning(store, 'key', () => {}), { code: 'STORE_CORRUPT', hint: 'appc repair' })
    }
    await trying('planning', put, act)
    await trying('lock', put, async () => {
      t.throws(() => withLock(store, 'shared', () => {}), { code: 'STORE_CORRUPT', hint: 'appc repair' })
    })
  }
})

t.test('a lock that is one is never replaced', async t => {
  const inode = lstatSync(at('lock')).ino
  await trying('turn', mkdirSync, async () => {
    await repair({ own: store, system: null }, {})
    t.equal(lstatSync(at('lock')).ino, inode)
  })
})

t.test('a directory that is a link is told, and left to its owner', async t => {
  for (const name of ['objects', 'quarantine'])
    await trying(
      name,
      path => symlinkSync(`${store.home}.aside`, path),
      async () => {
        const own = openStoreToMend(store.home)
        const problem = { kind: 'directory', path: at(name), because: /link/ }
        t.match((await verify(own, {})).problems, [problem])
        t.match(await repair({ own, system: null }, {}), { mended: [], left: [{ problem }] })
        t.ok(lstatSync(at(name)).isSymbolicLink())
      },
    )
})

t.test('the commands', async t => {
  const [command, ...before] = APPC
  const env = { ...process.env, APPC_HOME: store.home }
  const appc = (...args: string[]) => spawnSync(command, [...before, ...args], { env, encoding: 'utf8' })
  await trying(
    'refs',
    path => writeFileSync(path, ''),
    async () => {
      t.match(appc('gc'), { status: 1, stderr: /refs is damaged[\s\S]*appc repair/ })
      t.match(appc('verify', 'one'), { status: 1, stdout: new RegExp(`^directory: ${at('refs')}`) })
      t.match(appc('repair', 'one', '--dry-run'), { status: 0, stdout: /1 can be mended, 0 left/ })
      t.match(appc('repair'), { status: 0, stdout: /made anew/ })
    },
  )
  t.same(frameFaults(store), [])
})
