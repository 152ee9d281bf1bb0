import t from 'tap'
import { compareNames } from '../../lib/loader/cache-names.js'

/** Orders as ldconfig sorts by them, and as damaged-cache.ts has the real loader look for them. */
function order(a: string, b: string, signedChars = true): number {
  return Math.sign(compareNames(Buffer.from(a), Buffer.from(`before\0${b}\0after`), 7, signedChars))
}

t.test('names compare by number', async t => {
  t.equal(order('liba.so.2', 'liba.so.10'), -1)
  t.equal(order('liba.so.10', 'liba.so.2'), 1)
  t.equal(order('liba.so.10', 'liba.so.x'), 1, 'a digit sorts above a letter')
  t.equal(order('liba.so.x', 'liba.so.10'), -1)
  t.equal(order('liba.so.2', 'libb.so'), -1)
  t.equal(order('liba.so.2', 'liba.so.2'), 0)
  t.equal(order('liba.so.2', 'liba.so.002'), 0)
  t.equal(order('liba', 'liba.so'), -1)
  t.equal(order('liba.so', 'liba'), 1)
  t.equal(order('lib1', 'lib'), 1)
})

t.test('numbers wrap around, and the sign of a character is the machine’s', async t => {
  t.equal(order('lib4294967301', 'lib5'), 0)
  t.equal(order('lib4294967295', 'lib5'), -1)
  t.equal(order('libé', 'libz', true), -1)
  t.equal(order('libé', 'libz', false), 1)
  t.equal(order('lib', 'libé', true), 1)
  t.equal(order('lib', 'libé', false), -1)
})
