import t from 'tap'
import { campaign, told } from './random/campaign.js'

// The same each time; `scripts/check-deciding` runs more, and others.
const [count, seed] = [400, 1]

t.test(`${count} random worlds, seed ${seed}, are decided as the rules have it, in the best way`, t => {
  const result = campaign(count, seed)
  for (const line of told(result)) t.comment(line)
  t.equal(result.failure, null)
  t.ok(result.kinds.filter(({ ways }) => ways > 1).length > count / 4, 'many of them had a choice')
  t.end()
})
