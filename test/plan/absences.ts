import { mkdirSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { absencesIn, gathered } from '../../lib/plan/absences.js'
import { guardOf } from '../../lib/plan/guards.js'
import type { AbsentGuard } from '../../lib/plan/types.js'
import { fresh, put } from '../decide/scenario.js'

const absent = (path: string): AbsentGuard => ({ kind: 'absent', path, seenAs: null })

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
    { kind: 'absences', path: join(root, 'lib'), names: ['a', 'b'] },
    one,
    { kind: 'absences', path: join(root, 'link'), names: ['c', 'd'], ino: (guards[1] as { ino: bigint }).ino },
  ])
})

t.test('a directory that has just changed may change again unseen: its times are left out', async t => {
  const directory = fresh()
  t.match(absencesIn(directory, ['a']), { mtimeNs: 0n, ctimeNs: 0n })
  // The change time cannot be set, that of a modification can.
  utimesSync(directory, 0, 0)
  t.match(absencesIn(directory, ['a']), { mtimeNs: 0n, ctimeNs: 0n })
  t.match(absencesIn('/usr', ['a']), { mtimeNs: /[1-9]/, ctimeNs: /[1-9]/ })
})

t.test('only where the directory tells, and names are missing indeed', async t => {
  const root = fresh()
  put(root, '/file', 'x')
  mkdirSync(join(root, 'closed'))
  const apart = [
    // Names come and go there without that the directory changes.
    [absent('/proc/self/a'), absent('/proc/self/b')],
    // No directory: what is "below" a file, and what is too long to be looked at.
    [absent(join(root, 'file/a')), absent(join(root, 'file/b'))],
    [absent(join(root, 'x'.repeat(256))), absent(join(root, 'y'.repeat(256)))],
  ]
  for (const guards of apart) t.same(gathered(guards), guards)
  t.equal(absencesIn(join(root, 'none'), ['a']), null)
})
