import { chmodSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { hostPath } from '../../lib/decide/host-paths.js'
import type { Placement } from '../../lib/decide/types.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { layersOf, Targets } from '../../lib/plan/overlays.js'
import { fresh, put } from '../decide/scenario.js'

const root = fresh()
for (const path of [
  '/usr/lib/a/b/file',
  '/usr/lib64/file',
  '/usr/share/data/file',
  '/usr/bin/file',
  '/opt/file',
  '/etc/file',
])
  put(root, path, '')
put(root, '/lib', { link: 'usr/lib' })
const host = rootFileSystem(root)

function layers(
  paths: readonly string[],
  depth: 'deepest' | 'common',
  mountPoints: readonly string[] = [],
): Record<string, string[]> {
  const placement: Placement = new Map(paths.map(path => [hostPath(host, path), { kind: 'whiteout' }]))
  const found = layersOf(placement, new Targets(host, mountPoints, depth))
  return Object.fromEntries(found.map(({ target, nodes }) => [target, [...nodes.keys()]]))
}

t.test('for root: one overlay for each directory that changes, the deepest that exists', async t => {
  t.same(layers([], 'deepest'), {})
  t.same(layers(['/usr/lib/x', '/usr/lib/y', '/lib/z'], 'deepest'), { '/usr/lib': ['x', 'y', 'z'] })
  t.same(layers(['/usr/bin/x', '/usr/lib/a/b/x', '/usr/share/new/deep/x'], 'deepest'), {
    '/usr/bin': ['x'],
    '/usr/lib/a/b': ['x'],
    '/usr/share': ['new/deep/x'],
  })
})

t.test('directories that merge with the host’s have its attributes, new ones their own', async t => {
  chmodSync(join(root, 'usr/lib/a'), 0o2750)
  t.teardown(() => chmodSync(join(root, 'usr/lib/a'), 0o755))
  const placement: Placement = new Map([
    ['/usr/lib/a/new/x', { kind: 'whiteout' }],
    ['/usr/lib/y', { kind: 'whiteout' }],
    ['/usr/lib/own', { kind: 'directory', mode: 0o700 }],
  ])
  const [layer] = layersOf(placement, new Targets(host, [], 'deepest'))
  const { uid, gid, mode } = lstatSync(join(root, 'usr/lib'))
  t.same(
    [...(layer?.directories ?? [])],
    [
      ['', { mode: mode & 0o7777, owner: { uid, gid } }],
      ['a', { mode: 0o2750, owner: { uid, gid } }],
      ['a/new', { mode: 0o755, owner: null }],
      ['own', { mode: 0o700, owner: null }],
    ],
  )
})

t.test('none below another, and none for a mere common beginning of names', async t => {
  t.same(layers(['/usr/lib/a/b/x', '/usr/lib/y', '/usr/lib64/z'], 'deepest'), {
    '/usr/lib': ['a/b/x', 'y'],
    '/usr/lib64': ['z'],
  })
  t.same(layers(['/usr/lib/a/b/x', '/usr/share/data/x', '/usr/new'], 'deepest'), {
    '/usr': ['lib/a/b/x', 'new', 'share/data/x'],
  })
})

t.test('below what is a file on the host, the directory of that file', async t => {
  t.same(layers(['/usr/bin/file/x'], 'deepest'), { '/usr/bin': ['file/x'] })
})

t.test('for others: the same directories for every container', async t => {
  t.same(layers(['/usr/lib/a/b/x', '/usr/share/data/x', '/opt/new/x'], 'common'), {
    '/opt': ['new/x'],
    '/usr/lib': ['a/b/x'],
    '/usr/share': ['data/x'],
  })
  t.same(layers(['/usr/new'], 'common'), { '/usr': ['new'] })
})

t.test(
  'around what is mounted, as far as that can be: no overlay of an unprivileged user can take it along',
  async t => {
    t.same(layers(['/usr/lib/a/b/x'], 'common', ['/usr/lib/c', '/usr/libexec']), { '/usr/lib/a': ['b/x'] })
    t.same(
      layers(['/usr/lib/a/b/x'], 'common', ['/usr/lib/a']),
      { '/usr/lib/a': ['b/x'] },
      'the mount point itself can be covered',
    )
    t.same(
      layers(['/usr/lib/x'], 'common', ['/usr/lib/a/mounted']),
      { '/usr/lib': ['x'] },
      'the deepest, where none is free of mounts',
    )
  },
)

t.test('/ itself is never covered', async t => {
  t.throws(() => layers(['/new/x'], 'deepest'), { code: 'INTERNAL' })
})
