import t from 'tap'
import { nearest } from '../../lib/container/suggest.js'

t.test('the nearest name, if it is near', async t => {
  const names = ['curl', 'git', 'python3.13', 'python3']
  t.equal(nearest('crul', names), null, 'two letters of four')
  t.equal(nearest('curk', names), 'curl')
  t.equal(nearest('pyton3', names), 'python3')
  t.equal(nearest('python3.12', names), 'python3.13')
  t.equal(nearest('emacs', names), null)
  t.equal(nearest('', names), null)
})
