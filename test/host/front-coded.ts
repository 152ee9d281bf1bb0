import t from 'tap'
import { frontCode, frontDecode } from '../../lib/host/front-coded.js'

t.test('strings come back as they were', async t => {
  const strings = ['', '_ZN1a1bEv', '_ZN1a1cEv', '_ZN1a1cEvi', 'z', 'zß', 'z🄰', 'z🄱', '\ud83c']
  for (const list of [[], [''], strings, [...strings].reverse()]) t.same(frontDecode(frontCode(list)), list)
  t.same(frontCode(['about', 'above', 'b']), { shared: [0, 3, 0], rest: ['about', 've', 'b'] })
})

t.test('through JSON too, where one begins with half a character of the other', async t => {
  const strings = ['z🄰', 'z🄱']
  t.same(frontDecode(JSON.parse(JSON.stringify(frontCode(strings)))), strings)
})

t.test('what does not fit together, or was made to fill the memory', async t => {
  t.equal(frontDecode({ shared: [0, 1], rest: ['a'] }), null)
  t.equal(frontDecode({ shared: [1], rest: ['a'] }), null)
  t.equal(frontDecode({ shared: [0, 2], rest: ['a', 'b'] }), null)
  t.equal(frontDecode({ shared: [0], rest: ['a'.repeat(70_000)] }), null)
  const many = 3000
  const bomb = { shared: [0, ...Array(many).fill(60_000)], rest: ['a'.repeat(60_000), ...Array(many).fill('')] }
  t.equal(frontDecode(bomb), null)
})
