import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { roots } from '../support/roots.js'
import { serve } from '../support/servers.js'
import { forEachPerson } from '../support/site.js'

/** For each program the library that an exact dependency of its package ties to it, and what else a Debian 12 lacks. */
const PRIVATE: Readonly<Record<string, readonly string[]>> = {
  git: [],
  jq: ['libjq.so.1'],
  sqlite3: ['libsqlite3.so.0'],
  curl: ['libcrypto.so.1.1', 'libcurl.so.4', 'liblber-2.4.so.2', 'libldap_r-2.4.so.2', 'libssh2.so.1', 'libssl.so.1.1'],
}

/** The sonames that this host's own loader knows. */
const known = new Set(
  [...execFileSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).matchAll(/^\t(\S+) \(libc6,x86-64/gm)].map(
    ([, soname]) => soname,
  ),
)

forEachPerson((who, makeSite) =>
  t.test(`Debian 11’s programs on this host, ${who}`, async t => {
    const root = roots.bullseye()
    const site = makeSite()
    t.teardown(() => site.remove())
    await site.packAll(...Object.keys(PRIVATE).map(name => [root, name, name] as const))

    for (const [name, expected] of Object.entries(PRIVATE)) {
      t.test(`what is private of ${name}`, async t => {
        const { status, stdout } = await site.appc('plan', '--json', name)
        t.equal(status, 0)
        const { libraries } = JSON.parse(stdout) as { libraries: { soname: string; choice: string }[] }
        const sonames = libraries.filter(({ choice }) => choice === 'private').map(({ soname }) => soname)
        // A host may lack more of a program's libraries; what it has and nothing ties is shared.
        const lacking = libraries.map(({ soname }) => soname).filter(soname => !known.has(soname))
        t.same(sonames.sort(), [...new Set([...expected, ...lacking])].sort())
        for (const soname of expected) t.ok(sonames.includes(soname), soname)
      })
    }

    t.test('all run', async t => {
      const served = join(site.directory, 'served')
      mkdirSync(served)
      writeFileSync(join(served, 'greeting'), 'hello from the server\n')
      const servers = await serve(served)
      t.teardown(() => servers.close())
      const curl = await site.run(['curl', '-sS', '--cacert', servers.certificate, `${servers.https}/greeting`])
      t.match(curl, { status: 0, stdout: 'hello from the server\n', stderr: '' })
      t.match((await site.run(['curl', '--version'])).stdout, /^curl 7\.74\.0 .* libcurl\/7\.74\.0 OpenSSL\/1\.1\.1/)
      t.match(await site.run(['git', '--version']), { status: 0, stdout: 'git version 2.30.2\n', stderr: '' })
      t.match(await site.run(['git', 'init', '--quiet', 'repository']), {
        status: 0,
        stdout: '',
        stderr: /^(hint:.*\n)*$/,
      })
      t.match(await site.run(['jq', '.a + 1'], { input: '{"a":41}' }), { status: 0, stdout: '42\n', stderr: '' })
      const query = await site.run(['sqlite3', ':memory:', 'select sqlite_version(), 6 * 7'])
      t.match(query, { status: 0, stdout: /^3\.34\.\d+\|42\n$/, stderr: '' })
    })
  }),
)
