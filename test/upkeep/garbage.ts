import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { changeSettings, openBytes } from '../../lib/container/change.js'
import { needsIn, readContainer, removeContainer } from '../../lib/container/containers.js'
import { takeSetting } from '../../lib/container/setting-files.js'
import { withFile, withoutFile } from '../../lib/container/settings.js'
import { AppcError } from '../../lib/errors.js'
import { publish, readGenerations, readSpare } from '../../lib/store/generations.js'
import { objectPath } from '../../lib/store/objects.js'
import { listRefs } from '../../lib/store/refs.js'
import type { Store } from '../../lib/store/store.js'
import { Writer } from '../../lib/store/writer.js'
import { collectGarbage, type GarbageRequest } from '../../lib/upkeep/garbage.js'
import { newStore, packInto, program, tree } from '../decide/scenario.js'

const root = tree({ '/usr/bin/app': program('int main(void) { return 0; }') })
const HOUR = 3_600_000
const VIEW = 'c/0123456789abcdef0123456789abcdef'

function request(store: Store, given: Partial<GarbageRequest> = {}): GarbageRequest {
  return {
    needsOf: needsIn(store),
    keep: null,
    grace: HOUR,
    evidence: 24 * HOUR,
    plans: [],
    plannedViews: new Set(),
    findUsed: () => ({ used: [], unseen: [] }),
    now: 10 * HOUR,
    dryRun: false,
    ...given,
  }
}

const collect = (store: Store, given: Partial<GarbageRequest> = {}) => collectGarbage(store, request(store, given))

function made(): Store {
  const store = newStore()
  packInto(store, root, ['app'], 'app')
  return store
}

/** An object that nobody needs. */
function stray(store: Store, text = 'stray'): string {
  return Writer.use(store, writer => {
    const { sha256 } = writer.add(openBytes(Buffer.from(text)), false)
    writer.commit()
    return objectPath(store, sha256, false)
  })
}

function set(store: Store, text: string, mode: number): void {
  const source = { bytes: Buffer.from(text), mode, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  changeSettings(store, 'app', 'settings', (settings, writer) =>
    withFile(settings, takeSetting(writer, settings, '/etc/app.conf', source)),
  )
}

function viewWith(store: Store, object: string): string {
  const directory = join(store.home, 'views', VIEW, '0')
  mkdirSync(directory, { recursive: true })
  linkSync(object, join(directory, 'file'))
  return directory
}

t.test('what nobody needs lies in quarantine for the time of grace', async t => {
  const store = made()
  const path = stray(store)
  t.match(collect(store), { objects: 1, bytes: 5, freed: 0 })
  t.notOk(existsSync(path))
  const [quarantine = ''] = readdirSync(join(store.home, 'quarantine'))
  t.match(quarantine, /^collected-36000000-[0-9a-f]{8}$/)
  t.match(collect(store, { now: 11 * HOUR - 1 }), { objects: 0, freed: 0 })
  t.match(collect(store, { now: 11 * HOUR }), { objects: 0, freed: 5 })
  t.same(readdirSync(join(store.home, 'quarantine')), [])
  readContainer(store, 'app')
})

t.test('a view holds its objects until it goes for good', async t => {
  const store = made()
  const object = stray(store)
  viewWith(store, object)
  t.match(collect(store, { plannedViews: new Set([VIEW]) }), { views: [], objects: 0 })
  t.match(collect(store), { views: [VIEW], objects: 0 })
  t.same(readdirSync(join(store.home, 'views')), [], 'the container’s directory, too')
  t.ok(existsSync(object))
  t.match(collect(store, { now: 12 * HOUR }), { objects: 1, bytes: 5, freed: 0 })
  t.match(collect(store, { now: 14 * HOUR }), { freed: 5 })
})

t.test('a view holds its secrets, by whose facts it is judged', async t => {
  const store = made()
  set(store, 'secret', 0o600)
  changeSettings(store, 'app', 'settings', settings => withoutFile(settings, '/etc/app.conf'))
  const [name = ''] = readdirSync(join(store.home, 'secrets'))
  viewWith(store, join(store.home, 'secrets', name))
  const options = { keep: 1, grace: 0 }
  t.match(collect(store, { ...options, plannedViews: new Set([VIEW]) }), { views: [], secrets: 0 })
  t.equal(readdirSync(join(store.home, 'secrets')).length, 2)
  const foretold = collect(store, { ...options, dryRun: true })
  t.match(foretold, { views: [VIEW], secrets: 1 })
  t.same(collect(store, options), foretold)
  t.same(readdirSync(join(store.home, 'secrets')), [])
})

t.test('without grace all goes in one run', async t => {
  const store = made()
  viewWith(store, stray(store))
  const foretold = collect(store, { grace: 0, dryRun: true })
  t.match(foretold, { views: [VIEW], objects: 1, bytes: 5, freed: 5 })
  t.same(collect(store, { grace: 0 }), foretold)
  t.same(readdirSync(join(store.home, 'quarantine')), [])
})

t.test('a view that turns out to be in use when it is out of reach stays as it is', async t => {
  const store = made()
  viewWith(store, stray(store))
  let looks = 0
  const late: GarbageRequest['findUsed'] = views => ({ used: looks++ === 0 ? [] : views, unseen: [] })
  t.match(collect(store, { grace: 0, findUsed: late }), { views: [VIEW], objects: 0, freed: 0 })
  t.match(collect(store, { grace: 0, findUsed: late, now: 100 * HOUR }), { freed: 0 })
  const [quarantine = ''] = readdirSync(join(store.home, 'quarantine'))
  t.equal(readFileSync(join(store.home, 'quarantine', quarantine, 'views', VIEW, '0/file'), 'utf8'), 'stray')
  t.match(collect(store, { grace: 0, now: 100 * HOUR }), { objects: 1, freed: 5 })
})

t.test('what is not to be seen keeps the views', async t => {
  const store = made()
  viewWith(store, stray(store))
  t.match(collect(store, { findUsed: views => ({ used: views, unseen: [7] }) }), { views: [], objects: 0, unseen: [7] })
})

t.test('links of a view are not followed', async t => {
  const store = made()
  const directory = viewWith(store, stray(store))
  mkdirSync(join(store.home, 'elsewhere'))
  writeFileSync(join(store.home, 'elsewhere/large'), Buffer.alloc(1000))
  symlinkSync(join(store.home, 'elsewhere'), join(directory, 'link'))
  symlinkSync('.', join(directory, 'circle'))
  t.match(collect(store, { grace: 0, dryRun: true }), { freed: 5 })
  t.match(collect(store, { grace: 0 }), { freed: 5 })
  t.ok(existsSync(join(store.home, 'elsewhere/large')))
})

t.test('settings are needed by the generations that have them', async t => {
  const store = made()
  set(store, 'open', 0o644)
  set(store, 'secret', 0o600)
  changeSettings(store, 'app', 'settings', settings => withoutFile(settings, '/etc/app.conf'))
  t.match(collect(store), { objects: 0, secrets: 0, generations: [] })
  t.match(collect(store, { keep: 2 }), { objects: 1, secrets: 0, generations: [{ number: 1 }, { number: 2 }] })
  t.match(collect(store, { keep: 1, grace: 0 }), { objects: 0, secrets: 1, freed: 4 + lengthOfFacts(6) })
  t.same(readdirSync(join(store.home, 'secrets')), [])
  t.same(
    readGenerations(store, 'app')?.map(({ number }) => number),
    [4],
  )
  t.same(readSpare(store, 'app'), readGenerations(store, 'app'))
})

/** A secret's bytes, and those of what it is to be. */
function lengthOfFacts(size: number): number {
  const facts = {
    id: 'a'.repeat(32),
    mode: 0o600,
    uid: process.geteuid?.(),
    gid: process.getegid?.(),
    sha256: 'a'.repeat(64),
    size,
  }
  const checksum = 65
  return size + JSON.stringify(facts).length + 1 + checksum
}

t.test('of a secret there may be a part', async t => {
  const store = made()
  const [one, two] = ['1'.repeat(32), '2'.repeat(32)]
  writeFileSync(join(store.home, 'secrets', one), 'bytes')
  writeFileSync(join(store.home, 'secrets', `${two}.json`), '{}')
  t.match(collect(store), { secrets: 2 })
  t.same(readdirSync(join(store.home, 'secrets')), [])
})

t.test('nothing is collected where it cannot be told what is needed', async t => {
  const damages: Readonly<Record<string, (store: Store) => void>> = {
    'a damaged ref': store => writeFileSync(join(store.home, 'refs/app'), 'rubbish'),
    'a lost ref': store => rmSync(join(store.home, 'refs/app')),
    'a lost manifest': store => rmSync(objectPath(store, readContainer(store, 'app').digest, false)),
    'a damaged manifest': store => {
      const path = objectPath(store, readContainer(store, 'app').digest, false)
      chmodSync(path, 0o644)
      writeFileSync(path, '{}')
    },
    'a lost manifest of an old generation': store => {
      const { digest } = readContainer(store, 'app')
      packInto(store, tree({ '/usr/bin/app': program('int main(void) { return 1; }') }), ['app'], 'other')
      renameSync(join(store.home, 'refs/other'), join(store.home, 'other'))
      rmSync(join(store.home, 'spare/other'))
      rmSync(objectPath(store, digest, false))
    },
  }
  for (const [what, damage] of Object.entries(damages)) {
    const store = made()
    const path = stray(store)
    viewWith(store, path)
    damage(store)
    writeFileSync(join(store.home, 'tmp/left'), '')
    for (const dryRun of [true, false])
      t.match(
        collect(store, { grace: 0, plans: ['app'], dryRun }),
        { unreadable: ['app'], objects: 0, views: [] },
        what,
      )
    t.ok(existsSync(path))
    t.same(listRefs(store), ['app'], 'it is known, though it is lost')
    t.ok(existsSync(join(store.home, 'tmp/left')), 'not even that')
  }
})

t.test('what is left of a lost container can be removed', async t => {
  const store = made()
  rmSync(join(store.home, 'refs/app'))
  t.throws(() => readContainer(store, 'app'), { code: 'STORE_CORRUPT', hint: /appc repair/ })
  removeContainer(store, 'app')
  t.same(listRefs(store), [])
  t.match(collect(store), { objects: 0, unreadable: [] })
})

t.test('a second copy that is behind is brought up to date before what it leads to goes', async t => {
  const store = made()
  const before = readFileSync(join(store.home, 'spare/app'))
  set(store, 'open', 0o644)
  for (const bytes of [before, Buffer.from('rubbish'), null]) {
    if (bytes === null) rmSync(join(store.home, 'spare/app'))
    else writeFileSync(join(store.home, 'spare/app'), bytes)
    const { ino } = lstatSync(join(store.home, 'refs/app'))
    collect(store, { dryRun: true })
    t.notSame(existsSync(join(store.home, 'spare/app')) && readFileSync(join(store.home, 'spare/app')), readRef(store))
    collect(store)
    t.same(readFileSync(join(store.home, 'spare/app')), readRef(store))
    t.equal(lstatSync(join(store.home, 'refs/app')).ino, ino, 'plans that rest on the ref hold')
  }
})

const readRef = (store: Store) => readFileSync(join(store.home, 'refs/app'))

t.test('what does not belong into a store is no reason to fail', async t => {
  const store = made()
  writeFileSync(join(store.home, 'views/file'), '')
  mkdirSync(join(store.home, 'views/c'))
  writeFileSync(join(store.home, 'views/c/file'), '')
  writeFileSync(join(store.home, 'objects/file'), '')
  symlinkSync('nowhere', join(store.home, 'objects/link'))
  writeFileSync(join(store.home, 'quarantine/file'), '')
  t.match(collect(store, { grace: 0 }), { unreadable: [], views: [] })
  readContainer(store, 'app')
})

t.test('nothing is collected where what could be read once cannot be read again', async t => {
  const store = newStore()
  const bytes = Buffer.from('needed')
  const { sha256 } = Writer.use(store, writer => {
    const source = { size: bytes.length, read: (to: Buffer, at: number) => bytes.copy(to, 0, at), close: () => {} }
    const object = writer.add(source, false)
    writer.commit()
    return object
  })
  for (const number of [1, 2]) {
    const generation = {
      number,
      container: sha256,
      document: JSON.stringify({ name: 'app', number, container: sha256 }),
    }
    publish(store, 'app', generation)
  }
  // Two generations are looked at, and then the newest once more.
  let looks = 0
  const needsOf = () => {
    if (++looks === 3) throw new AppcError('FILE_UNREADABLE', 'the disk fails')
    return { objects: [{ sha256, executable: false }], secrets: [] }
  }
  const request = {
    needsOf,
    keep: 1,
    grace: 0,
    evidence: 0,
    plans: [],
    plannedViews: new Set<string>(),
    findUsed: () => ({ used: [], unseen: [] }),
    now: 0,
    dryRun: false,
  }
  t.match(collectGarbage(store, request), { unreadable: ['app'], objects: 0, generations: [] })
  t.equal(looks, 3)
  t.equal(readdirSync(join(store.home, 'objects', sha256.slice(0, 2))).length, 1)
})
