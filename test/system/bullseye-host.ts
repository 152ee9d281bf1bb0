import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { roots } from '../support/roots.js'
import { serve } from '../support/servers.js'
import { forEachPerson } from '../support/site.js'

/** Programs of Debian 11, as children of Debian 13's python: each prints a line that no other release's would. */
const NEIGHBOURS: readonly (readonly [command: readonly string[], output: RegExp])[] = [
  [['/usr/bin/git', '--version'], /^git version 2\.30\.2$/],
  [['/usr/bin/git', 'init', '--quiet', 'repository'], /^$/],
  [['/usr/bin/git', '-C', 'repository', 'symbolic-ref', 'HEAD'], /^refs\/heads\/master$/],
  [['/usr/bin/curl', '--version'], /^curl 7\.74\.0 .* OpenSSL\/1\.1\.1/],
  [
    ['/usr/bin/python3', '-c', 'import ctypes, sqlite3, ssl, sys; print(*sys.version_info[:2], ssl.OPENSSL_VERSION)'],
    /^3 9 OpenSSL 1\.1\.1/,
  ],
  [['/usr/bin/perl', '-MPOSIX', '-e', 'print "$^V ", POSIX::floor(2.5)'], /^v5\.32\.1 2$/],
  [['/usr/bin/apt', '--version'], /^apt 2\.2\.4 /],
  [['/usr/bin/apt-config', 'dump', 'APT::Architecture'], /^APT::Architecture "amd64";$/],
  [['/bin/ls', '-d', '/etc/debian_version', '/proc/self'], /^\/etc\/debian_version\n\/proc\/self$/],
  [['/bin/cat', '/etc/debian_version'], /^11\./],
]

const RUN_EACH = `
import json, subprocess, sys
def run(command):
  ran = subprocess.run(command, capture_output=True, text=True)
  return [ran.returncode, ran.stdout.rstrip(), ran.stderr]
print(json.dumps([run(command) for command in json.loads(sys.argv[1])]))
`

forEachPerson((who, makeSite) =>
  t.test(`Debian 13’s programs in a Debian 11 tree, ${who}`, async t => {
    const [trixie, bullseye] = [roots.trixie(), roots.bullseye()]
    const site = makeSite()
    t.teardown(() => site.remove())
    const served = join(site.directory, 'served')
    mkdirSync(served)
    writeFileSync(join(served, 'greeting'), 'hello from the server\n')
    const servers = await serve(served)
    t.teardown(() => servers.close())
    chmodSync(servers.certificate, 0o644)
    await site.packAll([trixie, 'curl', 'curl'], [trixie, 'python', 'python3.13'])
    const run = (...args: string[]) => site.run(['--root', bullseye, ...args])

    t.test('curl, sharing the tree’s libraries', async t => {
      const { status, stdout } = await site.appc('plan', '--json', '--root', bullseye, 'curl')
      t.equal(status, 0)
      const plan = JSON.parse(stdout)
      t.match(plan, { host: { os: /^Debian GNU\/Linux 11/ }, runnable: true })
      t.ok(plan.totals.shared.libraries >= 20, `${plan.totals.shared.libraries} are shared`)
      const choiceOf = (soname: string) =>
        plan.libraries.find((library: { soname: string }) => library.soname === soname)?.choice
      // Nothing of curl's own names it: the host's libraries do, and theirs needs private symbols of the old libc.
      t.equal(choiceOf('libpthread.so.0'), 'private')

      t.match(await run('curl', '--version'), { status: 0, stderr: '', stdout: /^curl 8\.14\./ })
      const safely = ['-sS', '--cacert', servers.certificate, `${servers.https}/greeting`]
      t.match(await run('curl', ...safely), { status: 0, stderr: '', stdout: 'hello from the server\n' })
    })

    t.test('the tree’s own programs run inside', async t => {
      const commands = JSON.stringify(NEIGHBOURS.map(([command]) => command))
      const { stdout, stderr } = await run('python', '-c', RUN_EACH, commands)
      t.equal(stderr, '')
      const results = JSON.parse(stdout)
      for (const [index, [command, output]] of NEIGHBOURS.entries()) {
        t.match(results[index], [0, output, ''], command.join(' '))
      }
    })
  }),
)
