import t from 'tap'
import { workTogether } from '../campaigns/together.js'

// scripts/check-together lets fifty work for five minutes.
t.setTimeout(300_000)

t.test('many work on the same stores at once', async t => {
  const { counts, findings } = await workTogether({ seconds: 10, workers: 10, seed: 1 })
  t.same(findings, [])
  const done = [...counts.values()].reduce((sum, { done }) => sum + done, 0)
  t.ok(done >= 10, `${done} commands`)
})
