import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { Check, Diagnosis } from '../../lib/launch/doctor.js'
import { OLDEST_NODE } from '../../lib/launch/doctor-installation.js'
import { refusing } from '../support/refusing.js'
import { forEachPerson, type Site } from '../support/site.js'

const asRoot = process.geteuid?.() === 0

/** One of the checks, as this person's doctor has it with these variables. */
async function check(site: Site, name: string, env: Readonly<Record<string, string>> = {}): Promise<Check> {
  const { stdout, stderr } = await site.command(process.execPath, [site.cli, 'doctor', '--json'], { env })
  if (stderr !== '') throw new Error(stderr)
  const { checks } = JSON.parse(stdout) as Diagnosis
  return checks.find(found => found.name === name) as Check
}

const fails = (t: Test, found: Check, text: RegExp, hint: RegExp) => t.match(found, { verdict: 'missing', text, hint })

forEachPerson((who, makeSite) =>
  t.test(`doctor, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())

    t.test('the answer as text and as JSON, and as the exit status', async t => {
      const json = await site.appc('doctor', '--json')
      const { schema, launches, checks } = JSON.parse(json.stdout)
      t.same([schema, launches, json.status, json.stderr], ['appc.doctor/1', true, 0, ''])
      t.equal(new Set(checks.map((found: Check) => found.name)).size, checks.length)
      for (const found of checks) t.same(Object.keys(found), ['name', 'verdict', 'text', 'hint'])

      const text = await site.appc('doctor')
      t.same([text.status, text.stderr], [0, ''])
      t.match(text.stdout, /^ok {7}node {14}\S+, v\d/)
      t.match(text.stdout, /\n\ncontainers can be launched here\n$/)

      const [command, ...words] = [...refusing('unshare:EPERM'), process.execPath, site.cli, 'doctor']
      const refused = await site.command(command, words)
      t.same([refused.status, refused.stderr], [1, ''])
      t.match(refused.stdout, /^missing {2}mount namespace {3}cannot create a user namespace: .*\n {27}hint: \S/m)
      t.match(refused.stdout, /^missing {2}overlays {10}without a mount namespace there is none\n(?! )/m)
      t.match(refused.stdout, /\n\ncontainers cannot be launched here\n$/)
    })

    t.test('the Node that the launcher would start', async t => {
      const bin = join(site.home, 'bin')
      const node = (script: string) => {
        mkdirSync(bin, { recursive: true })
        writeFileSync(join(bin, 'node'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
        return check(site, 'node', { PATH: bin })
      }
      fails(t, await check(site, 'node', { PATH: '' }), /^no node on the PATH/, /Node\.js 20\.17/)
      fails(t, await check(site, 'node', { PATH: 'bin:.' }), /^no node on the PATH/, /Node\.js 20\.17/)
      t.match(await node('echo v20.17.0'), { verdict: 'ok', text: `${bin}/node, v20.17.0` })
      t.match(await node('echo v100.0.1'), { verdict: 'ok' })
      fails(t, await node('echo v20.16.0'), /too old: v20\.16\.0$/, /Node\.js 20\.17/)
      fails(t, await node('echo v18.20.0'), /too old/, /Node\.js 20\.17/)
      fails(t, await node('echo something else'), /tells no version$/, /Node\.js 20\.17/)
      fails(t, await node('echo broken >&2; exit 1'), /cannot be run: broken$/, /Node\.js 20\.17/)
    })

    t.test('the store: where it is, and whether a view could be built there', async t => {
      const found = await check(site, 'store')
      t.match(found, { verdict: 'ok', text: / not there yet$/ })
      t.ok(found.text.startsWith(`${site.store}, on `))
      t.notOk(existsSync(site.store), 'nothing is made')
      t.equal((await site.appc('list')).status, 0)
      const before = site.listing()
      t.match(await check(site, 'store'), { verdict: 'ok', text: found.text.replace('; not there yet', '') })
      t.same(site.listing(), before)

      writeFileSync(join(site.home, 'file'), '')
      fails(t, await check(site, 'store', { APPC_HOME: join(site.home, 'file/store') }), /ENOTDIR/, /./)
      fails(t, await check(site, 'store', { APPC_HOME: '/proc/appc' }), /cannot be written/, /./)
      fails(t, await check(site, 'store', { APPC_HOME: 'relative' }), /not an absolute path/, /absolute/)
      if (site.user.uid !== 0) fails(t, await check(site, 'store', { APPC_HOME: '/usr/appc' }), /EACCES/, /APPC_HOME/)
    })

    t.test('the launcher', async t => {
      t.match(await check(site, 'launcher'), { verdict: 'ok', text: `${site.launcher}, appc-run ` })
      // The one of the checkout is others' too.
      if (!asRoot) return
      const away = join(dirname(site.launcher), 'away')
      chmodSync(site.launcher, 0o644)
      fails(t, await check(site, 'launcher'), /cannot be run/, /executable/)
      chmodSync(site.launcher, 0o755)
      renameSync(site.launcher, away)
      fails(t, await check(site, 'launcher'), /cannot be run/, /^build it/)
      renameSync(away, site.launcher)
      // As another's, who would lend his rights.
      chownSync(site.launcher, 12345, 12345)
      chmodSync(site.launcher, 0o4755)
      fails(t, await check(site, 'launcher'), /must not be setuid/, /setuid/)
      chmodSync(site.launcher, 0o755)
    })

    t.test('what the kernel refuses of a confinement', async t => {
      const under = async (rule: string) => {
        const [command, ...words] = [...refusing(rule), process.execPath, site.cli, 'doctor', '--json']
        const { status, stdout } = await site.command(command, words)
        t.equal(status, 0, 'launches without it are none of its business')
        const { checks } = JSON.parse(stdout) as Diagnosis
        return checks.filter(({ verdict }) => verdict === 'missing').map(({ name }) => name)
      }
      const usual = await under('flock:ENOSYS')
      const without = async (rule: string) => (await under(rule)).filter(name => !usual.includes(name))
      // PR_SET_SECCOMP; CLONE_NEWNET
      t.same(await without('prctl@0=22:EINVAL'), ['seccomp'])
      t.same(await without('landlock_create_ruleset:ENOSYS'), ['Landlock'])
      t.same(await without('unshare@0&0x40000000:ENOSPC'), ['other namespaces'])
      t.same(await without('clone@0&0x20000000:ENOSPC'), ['PID namespace'])
      const bus = join(site.home, 'bus')
      mkdirSync(bus)
      t.match(await check(site, 'D-Bus proxy', { PATH: bus }), { verdict: 'missing', hint: /xdg-dbus-proxy/ })
      writeFileSync(join(bus, 'xdg-dbus-proxy'), '', { mode: 0o755 })
      t.match(await check(site, 'D-Bus proxy', { PATH: bus }), { verdict: 'ok', text: join(bus, 'xdg-dbus-proxy') })
    })
  }),
)

t.test('the oldest Node is package.json’s', async t => {
  const description = fileURLToPath(new URL('../../../package.json', import.meta.url))
  const { engines } = JSON.parse(readFileSync(description, 'utf8'))
  t.equal(engines.node, `>=${OLDEST_NODE.join('.')}`)
})
