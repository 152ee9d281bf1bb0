import t from 'tap'
import { runCorruptions } from '../campaigns/corruption.js'
import { users } from '../native/fixture.js'

// scripts/check-corruption does ten thousand, in twenty containers.
t.setTimeout(300_000)

for (const [who, user] of users)
  t.test(`a store that is damaged in many ways, ${who}`, async t => {
    const { tally, findings } = await runCorruptions(user, 40, 1, { packed: 2, setUp: 1 })
    t.same(findings, [])
    t.equal(tally.corruptions, 40)
    t.equal(tally.detected + tally.harmless, tally.corruptions)
    t.ok(tally.bytesRead <= 1.1 * tally.damagedBytes, `${tally.bytesRead} bytes read for ${tally.damagedBytes}`)
    for (const what of ['withOldTime', 'repaired', 'launchesRefused', 'launchesAfter'] as const)
      t.not(tally[what], 0, what)
  })
