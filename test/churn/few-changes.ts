import t from 'tap'
import { Random } from '../fuzz/random.js'
import { churnMadeUpHost } from './made-up.js'

// scripts/check-churn makes ten thousand.
t.setTimeout(300_000)

t.test('programs start while their host changes', async t => {
  const { launches, right, planned, wrong } = await churnMadeUpHost(60, new Random(1))
  t.same(wrong, [])
  t.ok(right > 0 && planned > 0, `${launches} launches, ${right} right, planned ${planned} times`)
})
