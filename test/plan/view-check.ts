import {
  chmodSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { HOST_BELOW } from '../../lib/container/excluded.js'
import { addon } from '../../lib/launch/addon.js'
import { guardOf } from '../../lib/plan/guards.js'
import { buildView, mendView } from '../../lib/plan/view.js'
import { differencesOf } from '../../lib/plan/view-check.js'
import { objectPath } from '../../lib/store/objects.js'
import { type Store, withLock } from '../../lib/store/store.js'
import { VIEW_LIST } from '../../lib/upkeep/users.js'
import { fresh, newStore } from '../decide/scenario.js'
import { fill, layersFor } from './layers.js'

interface Built {
  readonly store: Store
  /** The view, and its first layer. */
  readonly view: string
  readonly top: string
}

const build = (store: Store) => withLock(store, 'shared', () => buildView(store, addon(), 'c', layersFor()))

function built(): Built {
  const store = newStore()
  fill(store)
  const top = build(store).layers[0]?.directory as string
  return { store, view: dirname(top), top }
}

/** All that a view is to the overlays over it; of files what they hold and whether they are hard links of the store's. */
function shown(view: string): readonly string[] {
  return readdirSync(view, { recursive: true, encoding: 'utf8' })
    .map(path => {
      const stat = lstatSync(join(view, path))
      const mode = `${path} ${stat.mode.toString(8)}`
      if (stat.isSymbolicLink()) return `${mode} ${readlinkSync(join(view, path))}`
      return stat.isFile() ? `${mode} ${stat.nlink} ${readFileSync(join(view, path), 'utf8')}` : `${mode} ${stat.rdev}`
    })
    .sort()
}

const replace = (path: string, make: () => void) => {
  rmSync(path, { recursive: true })
  make()
}

/** Each with the problems that are found, and where, below the view. */
const damages: Readonly<Record<string, readonly [(top: string) => void, Readonly<Record<string, string>>]>> = {
  'other bytes': [
    top => replace(join(top, 'one'), () => writeFileSync(join(top, 'one'), 'ono', { mode: 0o444 })),
    { '0/one': 'bytes' },
  ],
  'a file of another mode': [
    top => {
      copyFileSync(join(top, 'one'), join(top, 'copy'))
      chmodSync(join(top, 'copy'), 0o644)
      renameSync(join(top, 'copy'), join(top, 'one'))
    },
    { '0/one': 'mode' },
  ],
  'two names exchanged': [
    top => {
      renameSync(join(top, 'one'), join(top, 'aside'))
      renameSync(join(top, 'deep/er/three'), join(top, 'one'))
      renameSync(join(top, 'aside'), join(top, 'deep/er/three'))
    },
    { '0/one': 'bytes', '0/deep/er/three': 'bytes' },
  ],
  'a file that is gone': [top => rmSync(join(top, 'deep/er/three')), { '0/deep/er/three': 'missing' }],
  'a link for a file': [
    top => replace(join(top, 'one'), () => symlinkSync('alias', join(top, 'one'))),
    { '0/one': 'kind' },
  ],
  'a directory for a file': [
    top =>
      replace(join(top, 'one'), () => {
        mkdirSync(join(top, 'one'))
        writeFileSync(join(top, 'one/in'), '')
      }),
    { '0/one': 'kind' },
  ],
  'another link': [
    top => replace(join(top, 'link'), () => symlinkSync('alias', join(top, 'link'))),
    { '0/link': 'link' },
  ],
  'a file for a link': [
    top => replace(join(top, 'link'), () => writeFileSync(join(top, 'link'), 'one')),
    { '0/link': 'kind' },
  ],
  'a whiteout that is gone': [top => rmSync(join(top, 'gone')), { '0/gone': 'missing' }],
  'a file for a whiteout': [
    top => replace(join(top, 'gone'), () => writeFileSync(join(top, 'gone'), '')),
    { '0/gone': 'kind' },
  ],
  'what does not belong there': [
    top => {
      for (const directory of ['', 'deep', 'empty', HOST_BELOW]) writeFileSync(join(top, directory, 'extra'), '')
      mkdirSync(join(dirname(top), '2/some/thing'), { recursive: true })
    },
    {
      '2': 'extra',
      '0/extra': 'extra',
      '0/deep/extra': 'extra',
      '0/empty/extra': 'extra',
      [`0/${HOST_BELOW}/extra`]: 'extra',
    },
  ],
  'a name that is no UTF-8': [
    top => writeFileSync(Buffer.concat([Buffer.from(`${top}/deep/`), Buffer.from([0xff])]), ''),
    { '0/deep/\ufffd': 'extra' },
  ],
  'a directory of another mode': [
    top => {
      chmodSync(join(top, 'deep'), 0o777)
      chmodSync(join(top, 'deep/er'), 0o700)
      chmodSync(top, 0o755)
    },
    { '0': 'mode', '0/deep': 'mode', '0/deep/er': 'mode' },
  ],
  'a directory that is gone': [
    top => rmSync(join(top, 'deep'), { recursive: true }),
    { '0/deep': 'missing', '0/deep/er': 'missing', '0/deep/er/three': 'missing' },
  ],
  'a layer that is gone': [
    top => rmSync(join(dirname(top), '1'), { recursive: true }),
    { '1': 'missing', [`1/${HOST_BELOW}`]: 'missing', '1/two': 'missing' },
  ],
  'a file for a directory': [
    top => replace(join(top, 'deep/er'), () => writeFileSync(join(top, 'deep/er'), '')),
    { '0/deep/er': 'kind', '0/deep/er/three': 'missing' },
  ],
  'no mark': [top => rmSync(join(top, HOST_BELOW), { recursive: true }), { [`0/${HOST_BELOW}`]: 'missing' }],
}

for (const [what, [damage, expected]] of Object.entries(damages)) {
  t.test(what, async t => {
    const { store, view, top } = built()
    const before = shown(view)
    t.same(differencesOf(store, view), [])
    damage(top)
    const found = differencesOf(store, view).map(({ path, problem }) => [path.slice(view.length + 1), problem])
    t.same(Object.fromEntries(found), expected)
    t.equal(found.length, Object.keys(expected).length, 'each once')

    const { guards } = build(store)
    t.same(shown(view), before, 'mended when it is to be used')
    t.same(
      guards,
      guards.map(({ path }) => guardOf(path, null)),
      'and guarded as it is now',
    )
    damage(top)
    withLock(store, 'shared', () => mendView(store, addon(), view))
    t.same(shown(view), before, 'or when that is asked for')
    t.same(differencesOf(store, view), [])
    t.same(readdirSync(join(store.home, 'tmp')), [])
  })
}

t.test('a link to elsewhere in the place of a directory: nothing there is touched', async t => {
  const { store, view, top } = built()
  const before = shown(view)
  const elsewhere = fresh()
  for (const name of ['er', 'other']) mkdirSync(join(elsewhere, name))
  writeFileSync(join(elsewhere, 'er/three'), 'elsewhere')
  replace(join(top, 'deep'), () => symlinkSync(elsewhere, join(top, 'deep')))
  const problems = differencesOf(store, view).map(({ problem }) => problem)
  t.same(problems, ['kind', 'missing', 'missing'])
  build(store)
  t.same(shown(view), before)
  t.same(readdirSync(elsewhere), ['er', 'other'])
  t.equal(readFileSync(join(elsewhere, 'er/three'), 'utf8'), 'elsewhere')
})

t.test('a sound copy is right, as a file with too many links has some, and has a guard of its own', async t => {
  const { store, view, top } = built()
  const path = join(top, 'one')
  copyFileSync(path, `${path}.copy`)
  renameSync(`${path}.copy`, path)
  t.same(differencesOf(store, view), [])
  const { guards } = build(store)
  t.ok(guards.some(guard => guard.path === path && guard.kind === 'identity' && guard.ino !== 0n))
  t.equal(lstatSync(path).nlink, 1, 'it is left')
})

t.test('an object that has as many links as its file system gives', async t => {
  const store = newStore()
  fill(store)
  const node = layersFor()[0]?.nodes.get('deep/er/three')
  if (node?.kind !== 'file') throw new Error('a file')
  const object = objectPath(store, node.file.sha256, false)
  const elsewhere = fresh()
  // ext4 gives 65,000, others two thousand millions.
  const limit = 65_001
  let links = 0
  try {
    for (; links < limit; links++) linkSync(object, join(elsewhere, String(links)))
  } catch (error) {
    t.match(error, { code: 'EMLINK' })
  }
  const { layers, guards } = build(store)
  const path = join(layers[0]?.directory as string, 'deep/er/three')
  const isCopy = links < limit
  t.equal(lstatSync(path).ino !== lstatSync(object).ino, isCopy)
  t.equal(
    guards.some(guard => guard.path === path),
    isCopy,
  )
  t.equal(lstatSync(path).mode & 0o7777, 0o444)
  replace(path, () => writeFileSync(path, 'tHREE', { mode: 0o444 }))
  build(store)
  t.equal(readFileSync(path, 'utf8'), 'three')
})

t.test('what was right is not touched by mending', async t => {
  const { store, top } = built()
  const times = () => ['alias', 'deep', 'link', 'gone', 'empty'].map(name => lstatSync(join(top, name)).ctimeMs)
  const links = lstatSync(join(top, 'deep/er/three'), { bigint: true }).ctimeNs
  const before = times()
  rmSync(join(top, 'run'))
  build(store)
  t.same(times(), before)
  t.equal(lstatSync(join(top, 'deep/er/three'), { bigint: true }).ctimeNs, links)
})

t.test('a list that is damaged or gone', async t => {
  const { store, view } = built()
  const path = join(view, VIEW_LIST)
  const list = readFileSync(path)
  const lists: Readonly<Record<string, () => void>> = {
    changed: () => writeFileSync(path, list.toString().replace('alias', 'alibi')),
    'cut short': () => writeFileSync(path, list.subarray(0, -1)),
    empty: () => writeFileSync(path, ''),
    gone: () => rmSync(path),
    'a directory': () => replace(path, () => mkdirSync(path)),
  }
  for (const [what, damage] of Object.entries(lists)) {
    damage()
    t.throws(() => differencesOf(store, view), { code: 'STORE_CORRUPT' }, what)
    build(store)
    t.ok(readFileSync(path).equals(list), `${what}: written anew`)
    t.equal(lstatSync(path).mode & 0o777, 0o644)
  }
  // Of a view that was built before there were lists.
  rmSync(path)
  t.same(build(store).layers.length, 2)
  t.ok(readFileSync(path).equals(list))
})

t.test('an object that is missing when the view is to be mended', async t => {
  const { store, view, top } = built()
  rmSync(join(store.home, 'objects'), { recursive: true })
  t.same(differencesOf(store, view), [], 'what the view has is still right')
  rmSync(join(top, 'one'))
  t.throws(() => build(store), { code: 'STORE_CORRUPT' })
  t.ok(lstatSync(join(top, 'deep/er/three')), 'what can be saved stays')
  t.same(readdirSync(join(store.home, 'tmp')), [])
})
