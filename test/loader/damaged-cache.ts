import t from 'tap'
import { damageCache } from '../fuzz/damage-cache.js'
import { Random } from '../fuzz/random.js'
import { CacheJudge } from '../support/cache-judge.js'
import { HOST_LOADER } from '../support/oracle.js'

/** Randomly damaged caches, of which appc must say what the real loader says. FUZZ_CACHES=N asks about more of them. */
const count = Number(process.env.FUZZ_CACHES ?? 100)
const judge = new CacheJudge(HOST_LOADER)

for (const format of ['new', 'compat', 'old'] as const) {
  t.test(`damaged caches in the ${format} format`, async t => {
    const sound = judge.cache(format)
    const seeds = Array.from({ length: count }, (_, index) => index)
    const verdicts = judge.ask([sound, ...seeds.map(seed => damageCache(new Random(seed), sound))])
    t.same(verdicts[0]?.appc, verdicts[0]?.loader, 'as it was')
    const wrong = seeds.flatMap(seed => {
      const verdict = verdicts[seed + 1]
      if (verdict === undefined || verdict.died) return []
      return JSON.stringify(verdict.appc) === JSON.stringify(verdict.loader) ? [] : [{ seed, verdict }]
    })
    t.same(wrong.slice(0, 3), [])
    t.comment(
      `${wrong.length} wrong; the loader died of ${verdicts.filter(({ died }) => died).length} of ${verdicts.length}`,
    )
  })
}
