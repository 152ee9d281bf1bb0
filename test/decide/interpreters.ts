import t from 'tap'
import { debian, mix, program } from './scenario.js'

const interpreter = (abi: number) => ({
  control: { Package: 'lang', Version: `${abi}.1`, Provides: `langapi-${abi}` },
  files: { '/usr/bin/lang': program(`int main(void) { return ${abi}; }`) },
})
const script = (name: string, depends: string) => ({
  control: { Package: name, Depends: depends },
  files: { [`/usr/bin/${name}`]: '#!/usr/bin/lang\n' },
})

t.test('the host’s packages for an interpreter that is laid over the host’s', async t => {
  const home = debian([interpreter(2)])
  const host = debian([
    interpreter(1),
    script('by-abi', 'langapi-1'),
    script('by-range', 'lang (>= 1), lang (<< 2)'),
    script('fine', 'lang'),
    script('newer', 'lang (>= 1)'),
    script('either', 'langapi-1 | langapi-2'),
  ])
  const outcome = mix(home, host, ['lang'])
  t.ok(outcome.decision.runnable)
  t.same(outcome.problems(), [
    "neighbour: the host's by-abi (/usr/bin/by-abi) would not work inside: it depends on langapi-1, which the container's lang 2.1 does not provide",
    "neighbour: the host's by-range (/usr/bin/by-range) would not work inside: it depends on lang (<< 2), which the container's lang 2.1 does not provide",
  ])
  t.same(mix(home, debian([interpreter(2), script('by-abi', 'langapi-2')]), ['lang']).problems(), [])
  t.same(
    mix(home, debian([script('fine', 'other')]), ['lang']).problems(),
    [],
    'no interpreter of the host’s to lie over',
  )
})
