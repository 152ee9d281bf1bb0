import t from 'tap'
import { workTogether } from '../campaigns/together.js'

// scripts/check-together lets fifty work for five minutes.
t.setTimeout(300_000)

t.test('many work on the same stores at once', async t => {
  const { counts, findings } = await workTogether({ seconds: 6, workers: 8, seed: 1 })
  t.same(findings, [])
  const done = [...counts.values()].reduce((sum, { done }) => sum + done, 0)
  t.ok(done >= 8, `${done} commands`)
})
