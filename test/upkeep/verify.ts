import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { changeContainer } from '../../lib/container/change.js'
import { encodeGeneration } from '../../lib/container/generation.js'
import { takeSetting } from '../../lib/container/setting-files.js'
import { NO_SETTINGS } from '../../lib/container/settings.js'
import { collect } from '../../lib/launch/garbage.js'
import { repair } from '../../lib/launch/repair.js'
import { type VerifyOptions, verify } from '../../lib/launch/verify.js'
import { encodePlan } from '../../lib/plan/file.js'
import type { Plan } from '../../lib/plan/types.js'
import { type Generations, readGenerations, writeGenerations } from '../../lib/store/generations.js'
import { objectPath } from '../../lib/store/objects.js'
import { refPath, sparePath } from '../../lib/store/refs.js'
import { listSecrets, secretFactsPath, secretPath } from '../../lib/store/secrets.js'
import { Writer } from '../../lib/store/writer.js'
import { Identities, objectKey } from '../../lib/upkeep/identities.js'
import { identityWords } from '../../lib/upkeep/looks.js'
import type { Problem } from '../../lib/upkeep/problems.js'
import type { Progress } from '../../lib/upkeep/verify.js'
import { digestOf, later, objectOf, packFiles, type SmallStore, smallStore } from '../support/small-store.js'

const FILES = { '/share/a': 'A'.repeat(5000), '/share/b': 'B'.repeat(5000), '/share/c': 'C', '/share/empty': '' }
const LARGE = Buffer.alloc(3_000_000, 'large')

// Hundreds of checks, on a machine that may be busy.
t.setTimeout(180_000)
later()

interface Fixture extends SmallStore {
  readonly manifest: string
  readonly a: string
  readonly b: string
}

function packed(files: Readonly<Record<string, string | Buffer>> = FILES): Fixture {
  const small = smallStore()
  const digest = packFiles(small, 'one', files)
  const manifest = objectPath(small.store, digest, false)
  return { ...small, manifest, a: objectOf(small, FILES['/share/a']), b: objectOf(small, FILES['/share/b']) }
}

const found = async ({ store }: SmallStore, options: VerifyOptions = {}) => (await verify(store, options)).problems

/** Checks it until it need not be looked at one by one. */
async function seal({ store }: SmallStore): Promise<void> {
  for (let count = 0; count < 2; count++) await verify(store, {})
  t.ok(Identities.open(store).seal)
}

/** Writes though the mode forbids it, and leaves the mode as it was. */
function change(path: string, act: () => void): void {
  const { mode } = statSync(path)
  chmodSync(path, 0o600)
  act()
  chmodSync(path, mode & 0o777)
}

function putBackTimes(path: string, act: () => void): void {
  const { atime, mtime } = statSync(path)
  act()
  utimesSync(path, atime, mtime)
}

function flip(path: string): void {
  const bytes = readFileSync(path)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 4
  change(path, () => writeFileSync(path, bytes))
}

t.test('a store that is sound; and nothing is read twice', async t => {
  const fixture = packed()
  const first = await verify(fixture.store, {})
  t.match(first, {
    problems: [],
    objects: 6,
    complete: true,
    resumed: null,
    hashed: { objects: 6, bytes: first.bytes },
  })
  t.match(await verify(fixture.store, {}), { problems: [], objects: 6, hashed: { objects: 0, bytes: 0 } })
  t.match(await verify(fixture.store, { full: true }), { problems: [], hashed: { objects: 6, bytes: first.bytes } })
})

const DAMAGES: Readonly<Record<string, readonly [damage: (fixture: Fixture) => void, ...found: Partial<Problem>[]]>> = {
  'a bit': [({ a }) => flip(a), { kind: 'bytes' }],
  'a bit, and the time put back': [({ a }) => putBackTimes(a, () => flip(a)), { kind: 'bytes' }],
  'the end is cut off': [({ a }) => change(a, () => truncateSync(a, 4999)), { kind: 'bytes' }],
  'all is cut off': [({ a }) => change(a, () => truncateSync(a, 0)), { kind: 'bytes', actualDigest: digestOf('') }],
  'something is added': [({ a }) => change(a, () => truncateSync(a, 5001)), { kind: 'bytes' }],
  zeros: [
    ({ a }) => change(a, () => writeFileSync(a, Buffer.alloc(5000))),
    { kind: 'bytes', actualDigest: digestOf(Buffer.alloc(5000)) },
  ],
  'it is gone': [({ a }) => rmSync(a), { kind: 'missing' }],
  'its directory is gone': [({ a }) => rmSync(dirname(a), { recursive: true }), { kind: 'missing' }],
  'others may write it': [
    ({ a }) => chmodSync(a, 0o666),
    { kind: 'mode', because: 'its mode is 0666 and should be 0444' },
  ],
  'setuid came to it': [({ a }) => chmodSync(a, 0o4444), { kind: 'mode' }],
  'a directory': [
    ({ a }) => {
      rmSync(a)
      mkdirSync(a)
    },
    { kind: 'type' },
  ],
  'a link to the right bytes': [
    ({ a, tree }) => {
      rmSync(a)
      symlinkSync(join(tree, 'share/a'), a)
    },
    { kind: 'type' },
  ],
}

t.test('damage to an object', async t => {
  for (const [name, [damage, ...expected]] of Object.entries(DAMAGES))
    for (const full of [false, true])
      for (const of of [undefined, 'one'])
        t.test(`${name}${full ? ', full' : ''}${of === undefined ? '' : ', of one'}`, async t => {
          const fixture = packed()
          await seal(fixture)
          damage(fixture)
          const object = objectKey(digestOf(FILES['/share/a']), false)
          const neededBy = [{ name: 'one', path: '/share/a' }]
          const problems = await found(fixture, { full, name: of })
          t.equal(problems.length, expected.length, JSON.stringify(problems))
          t.match(
            problems,
            expected.map(each => ({ object, path: fixture.a, neededBy, ...each })),
          )
          t.equal((await found(fixture, { full, name: of })).length, expected.length, 'the next time too')
        })
})

t.test('a store that is as it was is known as a whole; another need is seen', async t => {
  const fixture = packed()
  const { store } = fixture
  await seal(fixture)
  t.match(await verify(store, {}), { problems: [], objects: 6, hashed: { objects: 0 } })
  const digest = digestOf('none')
  writeGenerations(store, 'two', [generation('two', digest)])
  t.match(await found(fixture), [{ kind: 'missing', neededBy: [{ name: 'two', path: null }] }])
  rmSync(refPath(store, 'two'))
  rmSync(sparePath(store, 'two'))
  t.same(await found(fixture), [])
  const identities = Identities.open(store)
  identities.forget(objectKey(digestOf('C'), false))
  identities.save()
  t.equal(Identities.open(store).seal, null)
  t.match(await verify(store, {}), { problems: [], hashed: { objects: 1 } })
})

t.test('two that were swapped: each is told with what it holds', async t => {
  const fixture = packed()
  await verify(fixture.store, {})
  const { a, b } = fixture
  renameSync(a, `${a}~`)
  renameSync(b, a)
  renameSync(`${a}~`, b)
  const digests = (await found(fixture)).map(({ path, kind, actualDigest }) => [path, kind, actualDigest])
  t.same(
    digests.sort(),
    [
      [a, 'bytes', digestOf(FILES['/share/b'])],
      [b, 'bytes', digestOf(FILES['/share/a'])],
    ].sort(),
  )
})

/** What rots on the disk changes no time. */
function rot({ store }: Fixture, path: string, digest: string): void {
  flip(path)
  const identities = Identities.open(store)
  identities.record(objectKey(digest, false), identityWords(lstatSync(path, { bigint: true })), 1)
  identities.save()
}

t.test('rot, which changes no identity, is found by a full check, and by the others from then on', async t => {
  const fixture = packed()
  await seal(fixture)
  rot(fixture, fixture.a, digestOf(FILES['/share/a']))
  t.same(await found(fixture), [])
  t.match(await found(fixture, { full: true }), [{ kind: 'bytes', path: fixture.a }])
  t.match(await found(fixture), [{ kind: 'bytes', path: fixture.a }])
})

t.test('what describes a container', async t => {
  t.test('the manifest is damaged: what it needs is known from before', async t => {
    const fixture = packed()
    await verify(fixture.store, {})
    flip(fixture.manifest)
    rmSync(fixture.a)
    t.same(
      (await found(fixture)).map(({ kind, path, neededBy }) => [kind, path, neededBy]).sort(),
      [
        ['bytes', fixture.manifest, [{ name: 'one', path: null }]],
        ['missing', fixture.a, [{ name: 'one', path: '/share/a' }]],
      ].sort(),
    )
  })
  t.test('or not known', async t => {
    const fixture = packed()
    flip(fixture.manifest)
    t.match(await found(fixture), [{ kind: 'bytes', path: fixture.manifest, neededBy: [{ name: 'one', path: null }] }])
  })
  t.test('its bytes are as they should be, and say nothing sensible', async t => {
    const fixture = packed()
    const path = objectOf(fixture, '{}')
    mkdirSync(dirname(path), { recursive: true })
    chmodSync(dirname(path), 0o755)
    writeFileSync(path, '{}')
    chmodSync(path, 0o444)
    writeGenerations(fixture.store, 'two', [generation('two', digestOf('{}'))])
    t.match(await found(fixture), [{ kind: 'document', path, neededBy: [{ name: 'two' }] }])
  })
  t.test('a ref: what is needed is known from its second copy', async t => {
    const fixture = packed()
    rmSync(fixture.a)
    const whole = readFileSync(refPath(fixture.store, 'one'))
    for (const content of ['', 'x', whole.subarray(1), Buffer.concat([whole, whole]), null]) {
      if (content === null) rmSync(refPath(fixture.store, 'one'))
      else writeFileSync(refPath(fixture.store, 'one'), content)
      for (const name of [undefined, 'one'])
        t.match(
          [...(await found(fixture, { name }))].sort((a, b) => (a.kind < b.kind ? -1 : 1)),
          [
            { kind: 'missing', path: fixture.a, neededBy: [{ name: 'one', path: '/share/a' }] },
            { kind: 'ref', path: refPath(fixture.store, 'one'), neededBy: [{ name: 'one' }] },
          ],
        )
    }
    rmSync(sparePath(fixture.store, 'one'))
    t.same(await found(fixture), [], 'where neither is there, there is no such container')
  })
  t.test('the second copy', async t => {
    const fixture = packed()
    const path = sparePath(fixture.store, 'one')
    const whole = readFileSync(path)
    for (const content of ['x', whole.subarray(1), null]) {
      if (content === null) rmSync(path)
      else writeFileSync(path, content)
      t.match(await found(fixture), [{ kind: 'spare', path, neededBy: [{ name: 'one' }] }])
    }
    writeGenerations(fixture.store, 'two', [generation('two', digestOf('{}'))])
    linkSync(sparePath(fixture.store, 'two'), path)
    t.match(
      (await found(fixture, { name: 'one' })).map(({ kind, path }) => [kind, path]),
      [['spare', path]],
    )
  })
  t.test('a generation of another container', async t => {
    const fixture = packed()
    const [own] = readGenerations(fixture.store, 'one') as Generations
    writeGenerations(fixture.store, 'two', [own])
    t.match(await found(fixture), [{ kind: 'ref', path: refPath(fixture.store, 'two'), because: /of two/ }])
  })
})

function generation(name: string, container: string) {
  const made = new Date().toISOString()
  return encodeGeneration({
    schema: 'appc.generation/1',
    name,
    number: 1,
    made,
    by: 'pack',
    container,
    settings: NO_SETTINGS,
  })
}

t.test('settings: open ones are objects, and others have a place of their own', async t => {
  const fixture = packed()
  const { store } = fixture
  Writer.use(store, writer =>
    changeContainer(store, writer, 'one', ({ container }) => {
      const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
      const files = [
        takeSetting(writer, NO_SETTINGS, '/etc/open', { bytes: Buffer.from('open'), mode: 0o644, ...owner }),
        takeSetting(writer, NO_SETTINGS, '/etc/secret', { bytes: Buffer.from('secret'), mode: 0o600, ...owner }),
      ]
      return { by: 'settings', container, settings: { ...NO_SETTINGS, files } }
    }),
  )
  t.same(await found(fixture), [])
  flip(objectOf(fixture, 'open'))
  t.match(await found(fixture), [{ kind: 'bytes', neededBy: [{ name: 'one', path: '/etc/open' }] }])
  rmSync(objectOf(fixture, 'open'))
  t.match(await found(fixture), [{ kind: 'missing' }])
  const [id = ''] = listSecrets(store)
  const path = secretPath(store, id)
  for (const damage of [
    () => chmodSync(path, 0o644),
    () => flip(path),
    () => truncateSync(path),
    () => rmSync(path),
    () => rmSync(secretFactsPath(store, id)),
  ]) {
    damage()
    t.match(
      (await found(fixture)).filter(({ kind }) => kind !== 'missing'),
      [{ kind: 'secret', path }],
    )
    t.match(
      (await found(fixture, { name: 'one' })).filter(({ kind }) => kind !== 'missing'),
      [{ kind: 'secret', path }],
    )
  }
})

t.test('what lies among the refs and names no container', async t => {
  const fixture = packed()
  const { store } = fixture
  await seal(fixture)
  const strays = ['refs/a\nb', 'spare/Upper', 'secrets/x.json'].map(name => join(store.home, name))
  for (const path of strays) writeFileSync(path, '', { mode: path.endsWith('.json') ? 0o600 : 0o644 })
  t.match(
    await found(fixture),
    strays.map(path => ({ kind: 'stray', path })),
  )
  t.same(await found(fixture, { name: 'one' }), [], 'that is no container’s')
  t.match(await repair({ own: store, system: null }, {}), { mended: [{}, {}, {}], left: [] })
  t.same(await found(fixture), [])
})

t.test('what lies there by a name that is no UTF-8', async t => {
  const fixture = packed()
  const { store, a } = fixture
  const places = [dirname(a), ...['objects', 'refs', 'secrets'].map(name => join(store.home, name))]
  const put = () => {
    for (const place of [...places, join(store.home, 'tmp')])
      for (const byte of [0xe9, 0xe8]) writeFileSync(Buffer.from([...Buffer.from(`${place}/`), byte]), 'x')
  }
  put()
  t.equal((await found(fixture)).filter(({ kind }) => kind === 'stray').length, 2 * places.length)
  const stores = { own: store, system: null }
  collect(stores, { keep: null, grace: 0, dryRun: false })
  t.same(readdirSync(join(store.home, 'tmp')), [])
  put()
  t.match(await repair(stores, {}), { left: [] })
  t.same(await found(fixture), [])
  for (const place of places) t.notMatch(readdirSync(place).join(), /\ufffd/)
  collect(stores, { keep: null, grace: 0, dryRun: false })
})

t.test('directories, strays and plans', async t => {
  const fixture = packed()
  const { store, a } = fixture
  await verify(store, {})
  const stray = join(dirname(a), 'x')
  writeFileSync(stray, '')
  const strange = join(store.home, 'objects/zz')
  mkdirSync(strange)
  const plan = join(store.home, 'plans/one@1:2')
  writeFileSync(plan, 'no plan')
  writeFileSync(join(store.home, 'plans/other'), 'no plan')
  chmodSync(dirname(a), 0o777)
  rmSync(join(store.home, 'views'), { recursive: true })
  const all = (await found(fixture)).map(({ kind, path }) => `${kind} ${path}`).sort()
  t.same(
    all,
    [
      `stray ${stray}`,
      `stray ${strange}`,
      `plan ${plan}`,
      `plan ${join(store.home, 'plans/other')}`,
      `mode ${dirname(a)}`,
      `directory ${join(store.home, 'views')}`,
    ].sort(),
  )
  t.same(
    (await found(fixture, { name: 'one' })).map(({ kind, path }) => `${kind} ${path}`).sort(),
    [`plan ${plan}`, `mode ${dirname(a)}`, `directory ${join(store.home, 'views')}`].sort(),
  )
})

t.test('plans that lie under each other’s names', async t => {
  const fixture = packed()
  const plan: Plan = {
    name: 'one',
    request: ['one'],
    root: null,
    uid: 0,
    gid: 0,
    kernelRelease: '6.1',
    cpuLevel: 1,
    loaderEnvironment: {},
    guards: [],
    objects: { dev: 0n, files: [] },
    overlays: [],
    binds: [],
    programs: [{ name: 'prog', path: '/bin/prog' }],
    environment: [],
    needs: [],
  }
  const directory = join(fixture.store.home, 'plans')
  for (const name of ['one', 'two']) writeFileSync(join(directory, name), encodePlan(plan), { mode: 0o644 })
  t.match(await found(fixture), [{ kind: 'plan', path: join(directory, 'two'), because: /something else/ }])
})

t.test('of another owner', { skip: process.geteuid?.() !== 0 && 'as root alone' }, async t => {
  const fixture = packed()
  chownSync(fixture.a, 4711, 4711)
  t.match(await found(fixture), [{ kind: 'owner', path: fixture.a, because: /4711/ }])
})

t.test('only what a container needs is looked at', async t => {
  const fixture = packed()
  packFiles(fixture, 'two', { '/share/d': 'D', '/share/a': FILES['/share/a'] })
  const d = objectOf(fixture, 'D')
  flip(d)
  t.same(await found(fixture, { name: 'one' }), [])
  t.match(await found(fixture, { name: 'two' }), [{ path: d, neededBy: [{ name: 'two', path: '/share/d' }] }])
  flip(fixture.a)
  t.match(
    (await found(fixture)).find(({ path }) => path === fixture.a),
    {
      neededBy: [
        { name: 'one', path: '/share/a' },
        { name: 'two', path: '/share/a' },
      ],
    },
  )
})

t.test('large files, in threads: as many, the same answer, and each read once', async t => {
  const files = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`/share/${index}`, Buffer.concat([LARGE, Buffer.of(index)])]),
  )
  const fixture = packed(files)
  flip(objectOf(fixture, files['/share/7'] as Buffer))
  for (const threads of [1, 2, 5]) {
    let last = { objects: 0, bytes: 0, ofObjects: 0, ofBytes: 0 }
    const progress = (now: typeof last) => {
      t.ok(now.objects > last.objects && now.bytes > last.bytes)
      last = now
    }
    const { problems, hashed, bytes } = await verify(fixture.store, { full: true, threads, progress })
    t.match(problems, [{ kind: 'bytes', neededBy: [{ path: '/share/7' }] }])
    t.equal(problems.length, 1)
    t.same(hashed, { objects: 22, bytes })
    t.same(last, { objects: 22, bytes, ofObjects: 22, ofBytes: bytes })
  }
})

t.test('so many that threads are started beforehand', async t => {
  const fixture = packed(
    Object.fromEntries(Array.from({ length: 1100 }, (_, index) => [`/share/${index}`, `${index}`])),
  )
  await verify(fixture.store, {})
  rot(fixture, objectOf(fixture, '7'), digestOf('7'))
  t.match(await verify(fixture.store, { full: true }), { objects: 1102, problems: [{ path: objectOf(fixture, '7') }] })
  // None has anything to do.
  rmSync(join(fixture.store.home, 'objects'), { recursive: true })
  t.match(await verify(fixture.store, { full: true }), { objects: 0 })
})

t.test('not faster than it may be, all threads together', async t => {
  const fixture = packed(
    Object.fromEntries([1, 2, 3, 4].map(index => [`/share/${index}`, Buffer.alloc(500_000, index)])),
  )
  const began = performance.now()
  const { hashed } = await verify(fixture.store, { full: true, maxRate: 4_000_000, threads: 4 })
  const seconds = (performance.now() - began) / 1000
  t.ok(hashed.bytes > 2_000_000)
  t.ok(seconds >= hashed.bytes / 4_000_000, `${seconds} s`)
})

t.test('stopped: what was read is not read again, unless it is to begin anew', async t => {
  const files = Object.fromEntries(
    Array.from({ length: 400 }, (_, index) => [`/share/${index}`, Buffer.alloc(5000, `${index},`)]),
  )
  const fixture = packed(files)
  const { objects } = await verify(fixture.store, {})
  /** After two batches. */
  const stop = async (): Promise<{ readonly all: number; readonly first: number }> => {
    const interruption = new AbortController()
    const { signal } = interruption
    let first = 0
    const progress = ({ objects }: Progress) => {
      if (first > 0) return interruption.abort()
      first = objects
      // What is read within the second in which it began does not count as read since.
      later(1100)
    }
    const { complete, hashed } = await verify(fixture.store, { full: true, signal, progress })
    t.equal(complete, false)
    t.ok(hashed.objects > first && hashed.objects < objects)
    return { all: hashed.objects, first }
  }
  const one = await stop()
  const two = await stop()
  const rest = await verify(fixture.store, { full: true })
  t.match(rest, { complete: true, problems: [] })
  // Of the first batch it depends on the second in which it was read.
  const most = objects - (one.all - one.first) - two.all
  t.ok(rest.hashed.objects <= most && rest.hashed.objects >= most - one.first, `${rest.hashed.objects} of ${most}`)
  t.ok(rest.resumed)
  t.match(await verify(fixture.store, { full: true }), { resumed: null, hashed: { objects } }, 'that one is over')
  await stop()
  t.match(await verify(fixture.store, { full: true, restart: true }), { resumed: null, hashed: { objects } })
  await stop()
  t.match(
    await verify(fixture.store, { full: true, name: 'one' }),
    { resumed: null, hashed: { objects } },
    'of another scope',
  )
})

t.test('the container’s program is executable, and the same bytes may be there twice', async t => {
  const fixture = packed()
  const program = readFileSync(join(fixture.tree, 'bin/prog'))
  const path = objectPath(fixture.store, digestOf(program), true)
  chmodSync(path, 0o444)
  t.match(await found(fixture), [{ kind: 'mode', path, because: 'its mode is 0444 and should be 0555' }])
})
