import { lstatSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppcError } from '../../lib/errors.js'
import { asUnreadable, unreadable } from '../../lib/loader/unreadable.js'
import { fresh } from '../decide/scenario.js'

function thrownBy(fn: () => unknown): unknown {
  try {
    fn()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

t.test('what the kernel says of a file is told in words', async t => {
  const directory = fresh()
  const loop = join(directory, 'loop')
  symlinkSync('loop', loop)
  writeFileSync(join(directory, 'file'), '')
  const long = join(directory, 'x'.repeat(256))
  const refused: readonly (readonly [string, RegExp, () => unknown])[] = [
    [loop, /circle/, () => statSync(loop)],
    [long, /longer/, () => lstatSync(long)],
    [join(directory, 'file/x'), /no directory/, () => readdirSync(join(directory, 'file/x'))],
  ]
  for (const [path, because, fn] of refused) {
    const error = asUnreadable(thrownBy(fn))
    t.match(error, { code: 'FILE_UNREADABLE', message: `${path} cannot be read`, because, hint: String })
  }
})

t.test('of an error that says no more, its own words', async t => {
  t.match(unreadable('/x', new Error('said')), { code: 'FILE_UNREADABLE', because: 'said', hint: null })
  t.match(unreadable('/x', 'thrown'), { because: 'thrown' })
})

t.test('a bug is not taken for a file', async t => {
  for (const error of [new TypeError('x'), 'text', null, new AppcError('INTERNAL', 'x')])
    t.equal(asUnreadable(error), null)
  t.equal(asUnreadable(thrownBy(() => lstatSync('/nowhere'))), null, 'what is missing is no matter of reading')
  t.equal(asUnreadable(Object.assign(new Error('x'), { code: 'EIO' })), null, 'of what file?')
})
