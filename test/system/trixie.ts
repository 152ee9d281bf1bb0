import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { roots } from '../support/roots.js'
import { makeRepository, serve } from '../support/servers.js'
import { forEachPerson } from '../support/site.js'

const ENTRIES = { curl: 'curl', git: 'git', python: 'python3.13', sqlite: 'sqlite3', jq: 'jq' }

/** What it prints is what it read through each of the modules. */
const MODULES = `
import ctypes, json, sqlite3, ssl, sys, urllib.request
url, certificate = sys.argv[1:]
trusting = ssl.create_default_context(cafile=certificate)
version = ctypes.CDLL('libc.so.6').gnu_get_libc_version
version.restype = ctypes.c_char_p
database = sqlite3.connect(':memory:')
database.execute('create table t (n integer)')
database.executemany('insert into t values (?)', [(n,) for n in range(10)])
print(json.dumps({
  'python': sys.version_info[:2],
  'fetched': urllib.request.urlopen(url, context=trusting).read().decode(),
  'openssl': ssl.OPENSSL_VERSION_INFO[:2],
  'glibc': version().decode(),
  'sum': database.execute('select sum(n) from t').fetchone()[0],
}))
`

forEachPerson((who, makeSite) =>
  t.test(`Debian 13’s programs on this host, ${who}`, async t => {
    const root = roots.trixie()
    const site = makeSite()
    t.teardown(() => site.remove())
    const served = join(site.directory, 'served')
    mkdirSync(served)
    writeFileSync(join(served, 'greeting'), 'hello from the server\n')
    const commit = makeRepository(join(served, 'repository.git'), 'README', 'cloned\n')
    const servers = await serve(served)
    t.teardown(() => servers.close())
    chmodSync(servers.certificate, 0o644)
    for (const [name, entry] of Object.entries(ENTRIES)) await site.pack(root, name, entry)

    t.test('curl shares most of its libraries; OpenSSL’s are private, for a reason', async t => {
      const { status, stdout } = await site.appc('plan', '--json', 'curl')
      t.equal(status, 0)
      const plan = JSON.parse(stdout)
      t.match(plan, { schema: 'appc.plan/1', container: { name: 'curl' }, runnable: true, problems: [] })
      t.ok(plan.totals.shared.libraries >= 20, `${plan.totals.shared.libraries} are shared`)
      const libraryOf = (soname: string) =>
        plan.libraries.find((library: { soname: string }) => library.soname === soname)
      t.equal(libraryOf('libssl.so.3').choice, 'private')
      const versions = libraryOf('libssl.so.3').reasons.filter(({ rule }: { rule: string }) => rule === 'versions')
      t.match(versions, [{ text: /libcurl\.so\.4 .*OPENSSL_3\.2\.0/ }])
      t.equal(libraryOf('libnghttp2.so.14').choice, 'shared')
    })

    t.test('curl', async t => {
      const version = await site.run(['curl', '--version'])
      t.match(version, { status: 0, stderr: '', stdout: /^curl 8\.14\.\d+ .* libcurl\/8\.14\.\d+ OpenSSL\/3\.5\.\d+ / })
      const fetched = { status: 0, stdout: 'hello from the server\n', stderr: '' }
      t.match(await site.run(['curl', '-sS', `${servers.http}/greeting`]), fetched)
      const safely = ['-sS', '--cacert', servers.certificate, `${servers.https}/greeting`]
      t.match(await site.run(['curl', ...safely]), fetched)
      t.match(await site.run(['curl', '-sS', `${servers.https}/greeting`]), { status: 60, stdout: '' })
    })

    t.test('git clones over https', async t => {
      const trust = ['-c', `http.sslCAInfo=${servers.certificate}`]
      const url = `${servers.https}/repository.git`
      t.match((await site.run(['git', '--version'])).stdout, /^git version 2\.47\./)
      const cloned = await site.run(['git', ...trust, 'clone', '--quiet', url, 'clone'])
      t.match(cloned, { status: 0, stdout: '', stderr: '' })
      t.equal(readFileSync(join(site.home, 'clone/README'), 'utf8'), 'cloned\n')
      t.equal((await site.run(['git', '-C', 'clone', 'rev-parse', 'HEAD'])).stdout, `${commit}\n`)
      t.match(await site.run(['git', 'clone', '--quiet', url, 'refused']), { status: 128, stderr: /certificate/ })
    })

    t.test('python: TLS, SQLite, a C library, JSON', async t => {
      const ran = await site.run(['python', '-c', MODULES, `${servers.https}/greeting`, servers.certificate])
      t.equal(ran.stderr, '')
      t.same(JSON.parse(ran.stdout), {
        python: [3, 13],
        fetched: 'hello from the server\n',
        openssl: [3, 5],
        glibc: '2.41',
        sum: 45,
      })
    })

    t.test('a query, and a filter of standard input', async t => {
      const query =
        "select sqlite_version() like '3.46.%', group_concat(value, '+'), sum(value) from generate_series(1, 4)"
      t.match(await site.run(['sqlite', ':memory:', query]), { status: 0, stdout: '1|1+2+3+4|10\n', stderr: '' })
      const input = '{"rows":[{"n":"ä"},{"n":"b"}]}'
      const filtered = await site.run(['jq', '-c', '[.rows[].n | test("^.$")] + [.rows[0].n]'], { input })
      t.match(filtered, { status: 0, stdout: '[true,true,"ä"]\n', stderr: '' })
    })
  }),
)
