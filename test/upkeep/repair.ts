import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
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
import { basename, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { changeContainer } from '../../lib/container/change.js'
import { takeSetting } from '../../lib/container/setting-files.js'
import { NO_SETTINGS } from '../../lib/container/settings.js'
import { type Repaired, type RepairOptions, repair } from '../../lib/launch/repair.js'
import { verify } from '../../lib/launch/verify.js'
import { objectPath } from '../../lib/store/objects.js'
import { refPath, sparePath } from '../../lib/store/refs.js'
import { listSecrets, secretPath } from '../../lib/store/secrets.js'
import type { Store } from '../../lib/store/store.js'
import { Writer } from '../../lib/store/writer.js'
import { moveAside, newQuarantine } from '../../lib/upkeep/quarantine.js'
import {
  digestOf,
  type Files,
  later,
  objectOf,
  packFiles,
  type SmallStore,
  smallStore,
} from '../support/small-store.js'

const [A, B] = ['A'.repeat(5000), 'B'.repeat(5000)]
const FILES = { '/share/a': A, '/share/b': B, '/share/c': 'C' }

// Hundreds of checks, on a machine that may be busy.
t.setTimeout(180_000)
later()

interface Fixture extends SmallStore {
  readonly digest: string
  readonly a: string
  readonly b: string
}

function packed(files: Files = FILES): Fixture {
  const small = smallStore()
  return { ...small, digest: packFiles(small, 'one', files), a: objectOf(small, A), b: objectOf(small, B) }
}

function mend({ store }: SmallStore, options: RepairOptions = {}, system: Store | null = null): Promise<Repaired> {
  return repair({ own: store, system }, options)
}

/** In place, so that all names of the file have it. */
function damage(path: string, content: string | Buffer = 'damaged'): void {
  const { mode } = statSync(path)
  chmodSync(path, 0o600)
  writeFileSync(path, content)
  chmodSync(path, mode & 0o777)
}

/** All is right again, nothing but cache/ and quarantine/ is left of the repair, and there is nothing more to do. */
async function isWhole(t: Test, fixture: SmallStore): Promise<void> {
  t.same((await verify(fixture.store, { full: true })).problems, [])
  t.same(readdirSync(join(fixture.store.home, 'tmp')), [])
  t.match(await mend(fixture), { mended: [], left: [], bytesRead: 0 })
}

const evidenceOf = ({ mended }: Repaired) => mended.flatMap(({ evidence }) => evidence ?? [])

t.test('from a tree, by path', async t => {
  const fixture = packed()
  const { a, tree } = fixture
  damage(a)
  const inode = statSync(a).ino
  const repaired = await mend(fixture, { from: [tree] })
  t.match(repaired, {
    mended: [{ problem: { kind: 'bytes', path: a }, how: `taken from ${tree}`, source: join(tree, 'share/a') }],
    left: [],
    bytesRead: 5000,
    complete: true,
  })
  t.equal(readFileSync(a, 'utf8'), A)
  t.equal(statSync(a).mode & 0o7777, 0o444)
  t.not(statSync(a).ino, inode)
  const [evidence = ''] = evidenceOf(repaired)
  t.equal(readFileSync(evidence, 'utf8'), 'damaged')
  t.equal(statSync(evidence).ino, inode, 'without being read')
  const directory = join(fixture.store.home, 'quarantine', readdirSync(join(fixture.store.home, 'quarantine'))[0] ?? '')
  t.equal(statSync(directory).mode & 0o7777, 0o700)
  const [line, ...others] = readFileSync(join(directory, 'report.jsonl'), 'utf8').trimEnd().split('\n')
  t.same(others, [])
  t.match(JSON.parse(line ?? ''), {
    schema: 'appc.evidence/1',
    path: evidence.slice(directory.length + 1),
    kind: 'bytes',
    actualDigest: digestOf('damaged'),
    neededBy: [{ name: 'one', path: '/share/a' }],
    at: /^20.*Z$/,
  })
  await isWhole(t, fixture)
})

t.test('whoever was killed may have synced nothing of what is right by now', async t => {
  const { store } = packed()
  let synced = 0
  const syncfs = (fd: number) => {
    store.system.syncfs(fd)
    synced++
  }
  const own = { ...store, system: { ...store.system, syncfs } }
  t.match(await repair({ own, system: null }, { dryRun: true }), { mended: [], left: [] })
  t.equal(synced, 0)
  t.match(await repair({ own, system: null }, {}), { mended: [], left: [] })
  t.equal(synced, 1, 'it is told of when it is on the disk')
})

t.test('whatever is in its place', async t => {
  const inPlace: Readonly<Record<string, (path: string) => void>> = {
    nothing: rmSync,
    'no directory either': path => rmSync(dirname(path), { recursive: true }),
    'a directory': path => {
      rmSync(path)
      mkdirSync(join(path, 'below'), { recursive: true })
    },
    'a link': path => {
      rmSync(path)
      symlinkSync('/etc/passwd', path)
    },
    'a file of another mode': path => {
      truncateSync(path)
      chmodSync(path, 0o666)
    },
    'a file where its directory was': path => {
      rmSync(dirname(path), { recursive: true })
      writeFileSync(dirname(path), '')
    },
  }
  for (const [name, put] of Object.entries(inPlace)) {
    t.test(name, async t => {
      const fixture = packed()
      await verify(fixture.store, {})
      put(fixture.a)
      t.match(await mend(fixture, { from: [fixture.tree] }), { left: [] })
      t.equal(readFileSync(fixture.a, 'utf8'), A)
      await isWhole(t, fixture)
    })
  }
})

t.test('from a tree where it lies elsewhere', async t => {
  const fixture = packed()
  const tree = join(dirname(fixture.tree), 'other')
  for (const [path, from] of [
    ['elsewhere/a', 'by its name'],
    ['elsewhere/x', 'by its size'],
    ['objects/26/0679791fa8da4dddc6aa3b243c514025e83d3a2f60800b9734b990be5d11a0', 'as in a store'],
  ] as const) {
    t.test(from, async t => {
      damage(fixture.a)
      rmSync(tree, { recursive: true, force: true })
      mkdirSync(dirname(join(tree, path)), { recursive: true })
      writeFileSync(join(tree, path), A)
      writeFileSync(join(tree, 'longer'), `${A}A`)
      symlinkSync('/', join(tree, 'loop'))
      t.match(await mend(fixture, { from: [tree] }), {
        left: [],
        bytesRead: 5000,
        mended: [{ source: join(tree, path) }],
      })
      await isWhole(t, fixture)
    })
  }
})

t.test('wrong ones of the same size are passed over, each read once', async t => {
  const fixture = packed()
  const tree = join(dirname(fixture.tree), 'other')
  mkdirSync(join(tree, 'share'), { recursive: true })
  writeFileSync(join(tree, 'share/a'), 'X'.repeat(5000))
  writeFileSync(join(tree, 'b'), 'Y'.repeat(5000))
  damage(fixture.a)
  damage(fixture.b)
  const repaired = await mend(fixture, { from: [tree, join(tree, '.'), fixture.tree] })
  t.match(repaired, { left: [], bytesRead: 15_000 })
  await isWhole(t, fixture)
})

t.test('what is no tree is an error, and nothing is changed', async t => {
  const fixture = packed()
  damage(fixture.a)
  await t.rejects(mend(fixture, { from: [join(fixture.tree, 'none')] }), { code: 'ROOT_INVALID' })
  t.equal(readFileSync(fixture.a, 'utf8'), 'damaged')
})

t.test('from the same object with another mode', async t => {
  const fixture = packed()
  const program = digestOf(readFileSync(join(fixture.tree, 'bin/prog')))
  packFiles(fixture, 'two', { '/share/prog': readFileSync(join(fixture.tree, 'bin/prog')) })
  const [executable, other] = [objectPath(fixture.store, program, true), objectPath(fixture.store, program, false)]
  damage(executable)
  t.match(await mend(fixture), { left: [], mended: [{ source: other }] })
  rmSync(other)
  t.match(await mend(fixture), { left: [], mended: [{ source: executable }] })
  t.same([statSync(executable).mode & 0o777, statSync(other).mode & 0o777], [0o555, 0o444])
  rmSync(other)
  damage(executable)
  const { size } = statSync(join(fixture.tree, 'bin/prog'))
  t.match(
    await mend(fixture, { from: [fixture.tree] }),
    { left: [], bytesRead: size },
    'both, from one that is read once',
  )
  await isWhole(t, fixture)
})

t.test('two that were swapped have each other’s bytes', async t => {
  const fixture = packed()
  const { a, b } = fixture
  renameSync(a, `${a}~`)
  renameSync(b, a)
  renameSync(`${a}~`, b)
  t.match(await mend(fixture), { left: [], mended: [{ how: /another damaged object/ }, {}], bytesRead: 10_000 })
  t.same([readFileSync(a, 'utf8'), readFileSync(b, 'utf8')], [A, B])
  await isWhole(t, fixture)
})

t.test('one that lies under another’s name, and the other nowhere', async t => {
  const fixture = packed()
  renameSync(fixture.b, fixture.a)
  t.match(await mend(fixture), { mended: [{ problem: { path: fixture.b } }], left: [{ problem: { path: fixture.a } }] })
  t.match(await mend(fixture, { from: [fixture.tree] }), { left: [] })
  await isWhole(t, fixture)
})

t.test('from quarantine', async t => {
  t.test('what was collected', async t => {
    const fixture = packed()
    moveAside(fixture.store, newQuarantine(fixture.store, 'collected', 1), fixture.a)
    t.match(await mend(fixture), { left: [], mended: [{ how: 'taken from the quarantine' }], bytesRead: 5000 })
    await isWhole(t, fixture)
  })
  t.test('what was evidence of something else', async t => {
    const fixture = packed()
    damage(fixture.a, B)
    await mend(fixture, { from: [fixture.tree] })
    damage(fixture.b)
    rmSync(join(fixture.tree, 'share'), { recursive: true })
    t.match(await mend(fixture), { left: [], mended: [{ how: 'taken from the quarantine' }], bytesRead: 5000 })
    await isWhole(t, fixture)
  })
  t.test('what was taken out with a view', async t => {
    const fixture = packed()
    const view = join(newQuarantine(fixture.store, 'damaged', 1), 'views/x/y/0')
    mkdirSync(view, { recursive: true })
    writeFileSync(join(view, 'a'), A)
    // Of the same size, and called otherwise.
    writeFileSync(join(view, 'other'), B)
    for (const path of [fixture.a, fixture.b]) damage(path)
    const dry = await mend(fixture, { dryRun: true })
    t.match(dry, { left: [], mended: [{}, {}] })
    const { left, mended } = await mend(fixture)
    t.same(left, [])
    t.same(mended.map(({ source }) => source).sort(), [join(view, 'a'), join(view, 'other')])
    await isWhole(t, fixture)
    t.not(statSync(fixture.a).ino, statSync(join(view, 'a')).ino, 'what is evidence stays that alone')
  })
})

t.test('from a view: the very file, where the object lost its name', async t => {
  const fixture = packed()
  const view = join(fixture.store.home, 'views', fixture.digest, 'x/0')
  // With the mark of one that is whole: else somebody may be building it.
  mkdirSync(join(view, '.appc-host'), { recursive: true })
  const file = join(view, 'a')
  linkSync(fixture.a, file)
  linkSync(fixture.b, join(view, 'b'))
  rmSync(fixture.a)
  damage(fixture.b)
  const { ino } = statSync(file)
  const { mended, left } = await mend(fixture)
  t.match(mended, [{ source: file }, { problem: { kind: 'view' } }], 'and a view without a list is taken away')
  t.match(left, [{ problem: { path: fixture.b } }], 'what is damaged in place is so there, too')
  t.equal(statSync(fixture.a).ino, ino)
})

t.test('from the system’s store, for one of its users', async t => {
  const [system, own] = [packed(), packed()]
  for (const path of [own.a, objectPath(own.store, own.digest, false)]) damage(path)
  const repaired = await mend(own, {}, system.store)
  t.match(repaired, { left: [], mended: [{ how: /the system’s store/ }, { how: /the system’s store/ }] })
  await isWhole(t, own)
})

t.test('from the host, where the paths are the same', async t => {
  const path = '/usr/bin/env'
  const fixture = packed({ [path]: readFileSync(path) })
  damage(objectOf(fixture, readFileSync(path)))
  rmSync(fixture.tree, { recursive: true })
  t.match(await mend(fixture), { left: [], mended: [{ how: 'taken from the host', source: path }] })
  await isWhole(t, fixture)
})

t.test('the manifest first, and then what it tells of', async t => {
  const fixture = packed()
  const manifest = objectPath(fixture.store, fixture.digest, false)
  const other = join(dirname(fixture.tree), 'other')
  mkdirSync(dirname(join(other, manifest.slice(fixture.store.home.length))), { recursive: true })
  copyFileSync(manifest, join(other, manifest.slice(fixture.store.home.length)))
  damage(manifest)
  rmSync(fixture.a)
  t.match(await mend(fixture, { from: [other, fixture.tree] }), {
    left: [],
    mended: [{ problem: { path: manifest } }, { problem: { path: fixture.a } }],
  })
  await isWhole(t, fixture)
})

t.test('what has no source is left as it is, and told', async t => {
  const fixture = packed()
  damage(fixture.a)
  const repaired = await mend(fixture)
  t.match(repaired, { mended: [], left: [{ problem: { kind: 'bytes', path: fixture.a } }], bytesRead: 0 })
  t.equal(readFileSync(fixture.a, 'utf8'), 'damaged')
  t.same(readdirSync(join(fixture.store.home, 'quarantine')), [])
})

t.test('what nobody needs and nobody can mend goes to quarantine; not as long as somebody may need it', async t => {
  const fixture = packed()
  const unneeded = objectPath(fixture.store, digestOf('unneeded'), false)
  mkdirSync(dirname(unneeded), { recursive: true })
  chmodSync(dirname(unneeded), 0o755)
  writeFileSync(unneeded, 'something else')
  chmodSync(unneeded, 0o444)
  const manifest = objectPath(fixture.store, fixture.digest, false)
  const whole = readFileSync(manifest)
  damage(manifest)
  t.match((await mend(fixture)).mended, [])
  damage(manifest, whole)
  linkSync(unneeded, join(fixture.store.home, 'views/link'))
  t.match((await mend(fixture)).mended, [], 'a view has it')
  rmSync(join(fixture.store.home, 'views/link'))
  t.match(await mend(fixture), { mended: [{ how: /^nobody needs it/ }], left: [] })
  t.notOk(existsSync(unneeded))
  await isWhole(t, fixture)
})

t.test('modes, directories, strays, plans, refs', async t => {
  const fixture = packed()
  const { store, a } = fixture
  await verify(store, {})
  const inode = statSync(a).ino
  chmodSync(a, 0o666)
  chmodSync(dirname(fixture.b), 0o777)
  chmodSync(join(store.home, 'secrets'), 0o755)
  rmSync(join(store.home, 'plans'), { recursive: true })
  writeFileSync(join(dirname(fixture.b), 'stray'), 'stray')
  const ref = readFileSync(refPath(store, 'one'))
  writeFileSync(refPath(store, 'one'), 'damaged')
  const { left, mended } = await mend(fixture)
  t.same(left, [])
  t.same(mended.map(({ problem }) => problem.kind).sort(), ['directory', 'mode', 'mode', 'mode', 'ref', 'stray'].sort())
  t.same([statSync(a).ino, statSync(a).mode & 0o7777], [inode, 0o444])
  t.ok(readFileSync(refPath(store, 'one')).equals(ref))
  await isWhole(t, fixture)
  writeFileSync(join(store.home, 'plans/one'), 'damaged')
  rmSync(refPath(store, 'one'))
  t.match(await mend(fixture), { left: [], mended: [{}, {}] })
  t.same(readdirSync(join(store.home, 'plans')), [])
  writeFileSync(sparePath(store, 'one'), 'damaged')
  t.match(await mend(fixture), { left: [], mended: [{ problem: { kind: 'spare' } }] })
  t.ok(readFileSync(sparePath(store, 'one')).equals(ref))
  await isWhole(t, fixture)
  for (const path of [refPath(store, 'one'), sparePath(store, 'one')]) writeFileSync(path, 'damaged')
  t.match(await mend(fixture), { mended: [], left: [{ problem: { kind: 'ref' } }] })
})

t.test('refs that were swapped are not copied over the right second copies', async t => {
  const fixture = packed()
  const { store } = fixture
  packFiles(fixture, 'two', { '/share/two': 'two' })
  const refs = ['one', 'two'].map(name => readFileSync(refPath(store, name)))
  renameSync(refPath(store, 'one'), refPath(store, 'three'))
  renameSync(refPath(store, 'two'), refPath(store, 'one'))
  renameSync(refPath(store, 'three'), refPath(store, 'two'))
  t.match(await mend(fixture), { left: [], mended: [{ problem: { kind: 'ref' } }, { problem: { kind: 'ref' } }] })
  t.same(
    ['one', 'two'].map(name => readFileSync(refPath(store, name))),
    refs,
  )
  await isWhole(t, fixture)
})

t.test('modes of the store’s own files', async t => {
  const fixture = packed()
  const { store } = fixture
  const paths = [refPath(store, 'one'), sparePath(store, 'one'), join(store.home, 'version'), join(store.home, 'links')]
  for (const path of paths) chmodSync(path, 0o666)
  const { mended, left } = await mend(fixture)
  t.same(left, [])
  t.same(mended.map(({ problem: { kind, path } }) => [kind, path]).sort(), paths.map(path => ['mode', path]).sort())
  for (const path of paths) t.equal(statSync(path).mode & 0o7777, 0o644, path)
  await isWhole(t, fixture)
})

t.test('a file that is tried in vain is read once, though it was linked meanwhile', async t => {
  const fixture = packed()
  const { store, a, b } = fixture
  const view = join(store.home, 'views', fixture.digest, 'x/0')
  mkdirSync(view, { recursive: true })
  writeFileSync(join(view, 'wrong'), 'X'.repeat(5000))
  for (const path of [a, b]) damage(path)
  // What comes to light with the mode that is mended is looked at in another round.
  chmodSync(refPath(store, 'one'), 0o600)
  t.match(await mend(fixture), { mended: [{ problem: { kind: 'mode' } }], left: [{}, {}], bytesRead: 5000 })
})

t.test('a secret that lost its name is taken from the view that has it', async t => {
  const fixture = packed()
  const { store } = fixture
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  const source = { bytes: Buffer.from('secret'), mode: 0o600, ...owner }
  Writer.use(store, writer =>
    changeContainer(store, writer, 'one', ({ container }) => {
      const file = takeSetting(writer, NO_SETTINGS, '/etc/secret', source)
      return { by: 'settings', container, settings: { ...NO_SETTINGS, files: [file] } }
    }),
  )
  const [id = ''] = listSecrets(store)
  const path = secretPath(store, id)
  const inView = join(store.home, 'views/kept')
  linkSync(path, inView)
  const { ino } = statSync(path)
  rmSync(path)
  t.match(await mend(fixture), { left: [], mended: [{ how: `taken from a view: ${inView}` }] })
  t.match(statSync(path), { ino, mode: 0o100600 })
  rmSync(path)
  writeFileSync(path, 'others')
  t.match(await mend(fixture), { left: [], mended: [{ problem: { kind: 'secret' } }] })
  t.equal(statSync(path).ino, ino)
  rmSync(inView)
  await isWhole(t, fixture)
  truncateSync(path)
  t.match(await mend(fixture), { mended: [], left: [{ problem: { kind: 'secret' } }] })
})

t.test('dry: nothing is changed, and told is what would be', async t => {
  const fixture = packed()
  damage(fixture.a)
  rmSync(fixture.b)
  const options = { from: [fixture.tree], dryRun: true }
  const { mended, left } = await mend(fixture, options)
  t.match(mended.map(({ source }) => source).sort(), [join(fixture.tree, 'share/a'), join(fixture.tree, 'share/b')])
  t.same(left, [])
  t.equal(readFileSync(fixture.a, 'utf8'), 'damaged')
  t.notOk(existsSync(fixture.b))
  for (const name of ['quarantine', 'tmp']) t.same(readdirSync(join(fixture.store.home, name)), [])
})

t.test('processes that go on with what was damaged', async t => {
  const fixture = packed()
  const { a, b, store } = fixture
  const inNamespace = `mkdir -p "$0" "$1" && mount -t overlay -o lowerdir="$0:$1" overlay /mnt && exec python3 -c '
import mmap, sys
with open("/mnt/" + sys.argv[1]) as file: held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print("ready", flush=True)
sys.stdin.read()' "$2"`
  const userNamespace = process.geteuid?.() === 0 ? [] : ['--map-root-user']
  const empty = join(store.home, '../empty')
  const file = openSync(a, 'r')
  const opened = spawn('cat', ['-', '/dev/fd/3'], { stdio: ['pipe', 'ignore', 'inherit', file] })
  closeSync(file)
  const mapped = spawn('unshare', ['-m', ...userNamespace, 'sh', '-c', inNamespace, dirname(b), empty, basename(b)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(mapped.stdout, 'data')
  damage(a)
  // What is mapped must not be truncated.
  chmodSync(b, 0o600)
  writeFileSync(b, 'X'.repeat(5000), { flag: 'r+' })
  chmodSync(b, 0o444)
  const { holders, left } = await mend(fixture, { from: [fixture.tree] })
  t.same(left, [])
  t.match(
    holders
      .map(({ pid, command, paths }) => [pid, command, paths])
      .sort(([one], [other]) => Number(one) - Number(other)),
    [
      [opened.pid, /^cat - /, [a]],
      [mapped.pid, /python3 -c/, [b]],
    ],
  )
  for (const child of [opened, mapped]) {
    child.stdin?.end()
    await once(child, 'exit')
  }
  damage(a)
  t.same((await mend(fixture, { from: [fixture.tree] })).holders, [])
})

t.test('damage of all kinds, half of it with the time put back: all found, all mended, little read', async t => {
  const files = Object.fromEntries(
    Array.from({ length: 60 }, (_, index) => [`/share/${index}`, Buffer.alloc(1000 + index * 97, `${index},`)]),
  )
  const fixture = packed(files)
  let seed = Math.floor(Math.random() * 2 ** 31)
  t.comment(`seed ${seed}`)
  // Park and Miller's.
  const random = (below: number) => {
    seed = (seed * 48_271) % 0x7fffffff
    return seed % below
  }
  const paths = Object.values(files).map(content => objectOf(fixture, content))
  const pick = () => paths[random(paths.length)] as string
  const kinds: readonly ((path: string) => void)[] = [
    path => {
      const bytes = readFileSync(path)
      const at = random(bytes.length)
      damage(path, bytes.fill((bytes[at] as number) ^ (1 << random(8)), at, at + 1))
    },
    path => truncateSync(path, random(statSync(path).size)),
    path => damage(path, Buffer.alloc(statSync(path).size)),
    rmSync,
    path => chmodSync(path, [0o644, 0o777, 0o4444][random(3)] as number),
    path => {
      const other = pick()
      if (!existsSync(other) || other === path) return rmSync(path)
      renameSync(path, `${path}~`)
      renameSync(other, path)
      renameSync(`${path}~`, other)
    },
    path => writeFileSync(refPath(fixture.store, 'one'), path),
  ]
  let [bytesRead, damagedBytes] = [0, 0]
  for (let round = 0; round < 20; round++) {
    const before = new Map(paths.map(path => [path, lstatSync(path).ino]))
    for (let count = random(10) + 1; count > 0; count--) {
      const path = pick()
      if (!existsSync(path)) continue
      const { atime, mtime } = statSync(path)
      kinds[random(kinds.length)]?.(path)
      if (random(2) === 0 && existsSync(path)) utimesSync(path, atime, mtime)
    }
    const repaired = await mend(fixture, { from: [fixture.tree], full: random(2) === 0 })
    t.same(repaired.left, [])
    bytesRead += repaired.bytesRead
    for (const path of paths) if (lstatSync(path).ino !== before.get(path)) damagedBytes += statSync(path).size
    t.same((await verify(fixture.store, { full: true })).problems, [])
    for (const content of Object.values(files)) t.ok(readFileSync(objectOf(fixture, content)).equals(content as Buffer))
  }
  t.ok(bytesRead <= damagedBytes * 1.1, `${bytesRead} read for ${damagedBytes}`)
})
