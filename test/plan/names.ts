import { readdirSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guardOf } from '../../lib/plan/guards.js'
import { changedNames, gathered, namesIn } from '../../lib/plan/names.js'
import type { AbsentGuard } from '../../lib/plan/types.js'
import { fresh, put } from '../decide/scenario.js'

const absent = (path: string): AbsentGuard => ({ kind: 'absent', path, seenAs: null })
const nothing = (name: string) => ({ name, link: null })

t.test('absent names of one directory are one guard', async t => {
  const root = fresh()
  put(root, '/lib/there', 'x')
  symlinkSync('lib', join(root, 'link'))
  const there = guardOf(join(root, 'lib/there'), null)
  const one = absent(join(root, 'one'))
  const guards = gathered([
    absent(join(root, 'lib/a')),
    there,
    one,
    absent(join(root, 'link/c')),
    absent(join(root, 'lib/b')),
    absent(join(root, 'link/d')),
  ])
  t.equal(guards.length, 4)
  t.equal(guards[0], there)
  t.match(guards, [
    { kind: 'identity' },
    { kind: 'names', path: join(root, 'lib'), names: [nothing('a'), nothing('b')] },
    one,
    {
      kind: 'names',
      path: join(root, 'link'),
      names: [nothing('c'), nothing('d')],
      ino: (guards[1] as { ino: bigint }).ino,
    },
  ])
})

t.test('a directory that has just changed may change again unseen: its times are left out', async t => {
  const directory = fresh()
  t.match(namesIn(directory, [nothing('a')]), { mtimeNs: 0n, ctimeNs: 0n })
  // The change time cannot be set, that of a modification can.
  utimesSync(directory, 0, 0)
  t.match(namesIn(directory, [nothing('a')]), { mtimeNs: 0n, ctimeNs: 0n })
  t.match(namesIn('/usr', [nothing('a')]), { mtimeNs: /[1-9]/, ctimeNs: /[1-9]/ })
})

t.test('only where the directory tells, and names are missing indeed', async t => {
  const root = fresh()
  put(root, '/file', 'x')
  symlinkSync('circle', join(root, 'circle'))
  const apart = [
    // Names come and go there without that the directory changes.
    [absent('/proc/self/a'), absent('/proc/self/b')],
    // No directory: what is "below" a file, and what is too long to be looked at.
    [absent(join(root, 'file/a')), absent(join(root, 'file/b'))],
    [absent(join(root, 'circle/a')), absent(join(root, 'circle/b'))],
    [absent(join(root, 'x'.repeat(256))), absent(join(root, 'y'.repeat(256)))],
  ]
  for (const guards of apart) t.same(gathered(guards), guards)
  t.equal(namesIn(join(root, 'none'), [nothing('a')]), null)
})

t.test('links of one directory are with them, once it has settled', async t => {
  // Nothing changes here while tests run.
  const directory = '/usr/lib/ssl'
  const links = readdirSync(directory, { withFileTypes: true }).filter(entry => entry.isSymbolicLink())
  t.ok(links.length > 1)
  const guards = links.map(({ name }) => guardOf(join(directory, name), null))
  const seen = guardOf(join(directory, 'certs'), '/usr/lib/ssl/certs')
  const [together, ...others] = gathered([...guards, absent(join(directory, 'none')), seen])
  t.same(together, seen)
  t.match(others, [
    { kind: 'names', path: directory, names: [...links.map(({ name }) => ({ name, link: String })), nothing('none')] },
  ])

  const young = fresh()
  for (const name of ['a', 'b']) symlinkSync('text', join(young, name))
  const each = ['a', 'b'].map(name => guardOf(join(young, name), null))
  t.same(gathered(each), each)
  const both = [absent(join(young, 'c')), absent(join(young, 'd'))]
  t.match(gathered([...each, ...both]), [{ kind: 'names', names: [nothing('c'), nothing('d')] }, ...each])
})

t.test('names of which something else is true', async t => {
  const root = fresh()
  symlinkSync('text', join(root, 'link'))
  put(root, '/file', 'x')
  const changed = (name: string, link: string | null) => {
    const guard = namesIn(root, [nothing('none'), { name, link }])
    return guard === null ? null : changedNames(guard)
  }
  t.same(changed('link', 'text'), [])
  t.same(changed('link', 'texts'), [join(root, 'link')])
  t.same(changed('link', null), [join(root, 'link')])
  t.same(changed('file', 'text'), [join(root, 'file')])
  t.same(changed('file', null), [join(root, 'file')])
  t.same(changed('none', 'text'), [join(root, 'none')])
})
