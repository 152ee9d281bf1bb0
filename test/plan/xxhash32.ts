import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { xxHash32 } from '../../lib/plan/xxhash32.js'

t.test('it is what xxhsum says, here and in the launcher', async t => {
  const random = randomBytes(100_003)
  const lengths = [...Array(50).keys(), 1000, random.length]
  for (const length of lengths) {
    const bytes = random.subarray(random.length - length)
    const told = execFileSync('xxhsum', ['-q', '-H0', '-'], { input: bytes, encoding: 'utf8' })
    const expected = Number.parseInt(told, 16)
    t.equal(xxHash32(bytes), expected, `${length} bytes`)
    t.equal(addon().xxHash32(bytes), expected)
  }
})
