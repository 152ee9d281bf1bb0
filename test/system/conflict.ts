import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { roots } from '../support/roots.js'
import { forEachPerson } from '../support/site.js'

/** Who starts whom: a container, or a program of the host by its path, then what it starts, one after the other. */
interface Chain extends ReadonlyArray<string | Chain> {}

/** Tells what it is, then starts the rest of its chain: the same script for each python, Debian 11's, 12's and 13's. */
const SCRIPT = `
import json, subprocess, ssl, sys
launcher, chain = sys.argv[1], json.loads(sys.argv[2])
version = '%d.%d' % sys.version_info[:2]
name = chain[0] if chain[0].startswith('/') else chain[0] + ' ' + ssl.OPENSSL_VERSION.split()[1][:3]
print(name, version, flush=True)
for who, *starts in chain[1:]:
  command = [who] if who.startswith('/') else [launcher, who]
  if 'python' in who:
    subprocess.run(command + [sys.argv[0], launcher, json.dumps([who] + starts)], check=True)
  else:
    words = subprocess.run(command + ['--version'], check=True, stdout=subprocess.PIPE).stdout.decode().split()
    print(who, words[1].rpartition('.')[0], flush=True)
`

const LINES: Readonly<Record<string, string>> = {
  python13: 'python13 3.5 3.13',
  python11: 'python11 1.1 3.9',
  curl13: 'curl13 8.14',
  curl11: 'curl11 7.74',
  '/usr/bin/python3': '/usr/bin/python3 3.11',
  '/usr/bin/curl': '/usr/bin/curl 7.88',
}

const CHAINS: readonly Chain[] = [
  ['python13', ['python11', ['curl13'], ['curl11'], ['/usr/bin/curl']], ['/usr/bin/python3', ['curl11']]],
  ['python11', ['python13', ['python11', ['curl13'], ['python13', ['curl11']]]], ['/usr/bin/python3', ['python13']]],
  ['python13', ['python13', ['/usr/bin/python3', ['python11', ['curl13']], ['/usr/bin/curl']]], ['curl11'], ['curl13']],
  ['python11', ['curl13'], ['curl11'], ['/usr/bin/curl'], ['python11', ['python13']]],
]

const linesOf = (chain: Chain): string =>
  chain.map(one => (typeof one === 'string' ? `${LINES[one]}\n` : linesOf(one))).join('')

forEachPerson((who, makeSite) =>
  t.test(`two releases at the same time, ${who}`, async t => {
    const [trixie, bullseye] = [roots.trixie(), roots.bullseye()]
    const site = makeSite()
    t.teardown(() => site.remove())
    const script = join(site.directory, 'chain.py')
    writeFileSync(script, SCRIPT)
    await site.packAll(
      [trixie, 'python13', 'python3.13'],
      [trixie, 'curl13', 'curl'],
      [bullseye, 'python11', 'python3.9'],
      [bullseye, 'curl11', 'curl'],
    )
    const run = (chain: Chain, PATH: string) =>
      site.run([`${chain[0]}`, script, site.launcher, JSON.stringify(chain)], { env: { PATH } })

    t.test('each starts the other and programs of the host, while all are planned for at once', async t => {
      const results = await Promise.all(CHAINS.map(chain => run(chain, site.environment.PATH)))
      for (const [index, chain] of CHAINS.entries()) {
        t.match(results[index], { status: 0, stdout: linesOf(chain), stderr: '' }, JSON.stringify(chain))
      }
    })

    t.test('many at once, by their plans: there is no Node', async t => {
      const chains = [...CHAINS, ...CHAINS]
      const results = await Promise.all(chains.map(chain => run(chain, '/nonexistent')))
      t.same(
        results.map(({ status, stdout, stderr }) => ({ status, stdout, stderr })),
        chains.map(chain => ({ status: 0, stdout: linesOf(chain), stderr: '' })),
      )
    })
  }),
)
