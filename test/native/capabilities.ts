import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync } from 'node:fs'
import t from 'tap'
import { Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

const SHOW = 'grep -E "^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs)" /proc/self/status'
const NONE = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(set => `${set}:\t0000000000000000\n`).join('')

/** Needs one capability each, and none of them a namespace of the machine's own. */
const BY_CAPABILITY = ['mount', 'umount', 'chroot', 'unshare-mounts', 'fsopen', 'open_tree', 'mknod', 'capset']

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    const overlay = sandbox.overlay('lib', { x: 'host' }, { x: 'layer' })
    sandbox.install(sandbox.plan('mounted', { overlays: [overlay] }))
    sandbox.install(sandbox.plan('bare', {}))

    for (const options of [['--drop-capabilities'], ['--sandbox'], ['--sandbox', '--no-seccomp', '--no-landlock']]) {
      t.test(`${options.join(' ')}: none is held, and none can be had`, async t => {
        t.equal(inside.run(options, SHOW).stdout, `${NONE}NoNewPrivs:\t1\n`)
        const names = BY_CAPABILITY.map(name => [name, 'EPERM'])
        t.same(inside.attempt(options, ...BY_CAPABILITY), Object.fromEntries(names))
      })
    }

    t.test('without a namespace too, where a user has no right to change his bounding set', async t => {
      const { stdout } = sandbox.run(['--drop-capabilities', 'bare', '-c', SHOW])
      t.match(stdout, /CapPrm:\t0{16}\nCapEff:\t0{16}\n/)
      t.match(stdout, /NoNewPrivs:\t1\n/)
    })

    t.test('capabilities that the caller passes on (ambient, inheritable) go too', async t => {
      if (process.geteuid?.() !== 0) return
      const pass = ['--inh-caps', '+net_raw', '--ambient-caps', '+net_raw', '--clear-groups']
      const ids = ['--reuid', `${user.uid}`, '--regid', `${user.gid}`]
      const launch = (...options: readonly string[]) =>
        spawnSync('setpriv', [...pass, ...ids, sandbox.launcher, ...options, 'bare', '-c', SHOW], {
          encoding: 'utf8',
          env: sandbox.environment(),
        }).stdout
      if (user.uid !== 0) t.match(launch(), /CapAmb:\t0000000000002000\n/)
      t.match(launch(), /CapInh:\t0000000000002000\n/)
      t.match(launch('--drop-capabilities'), /CapInh:\t0{16}\nCapPrm:\t0{16}\nCapEff:\t0{16}\n[\s\S]*CapAmb:\t0{16}\n/)
    })

    t.test('files with setuid or capabilities give none of it', async t => {
      if (process.geteuid?.() !== 0) return
      const [setuid, capable] = ['setuid', 'capable'].map(name => {
        copyFileSync('/usr/bin/cat', `${inside.directory}/${name}`)
        return `${inside.directory}/${name}`
      }) as [string, string]
      chmodSync(setuid, 0o4755)
      execFileSync('setcap', ['cap_net_raw+ep', capable])
      const show = (options: readonly string[], program: string) =>
        inside.run(options, '"$1" /proc/self/status', [program])
      for (const options of [['--drop-capabilities'], ['--sandbox']]) {
        const id = `${user.uid}\t`.repeat(4).trim()
        t.match(show(options, setuid).stdout, new RegExp(`Uid:\t${id}\n[\\s\\S]*CapPrm:\t0{16}\n`))
        // capabilities(7): a file that is to have what it cannot have is not executed.
        t.match(show(options, capable), { status: 126, stderr: /Operation not permitted/ })
      }
      // Where nothing is confined, the second does what it does outside.
      if (user.uid !== 0) t.match(show([], capable).stdout, /CapPrm:\t0000000000002000\n/)
    })

    t.test('what lies over the host cannot be taken away by a file that may do so outside', async t => {
      if (process.geteuid?.() !== 0 || user.uid === 0) return
      const umount = `${inside.directory}/umount`
      copyFileSync('/usr/bin/umount', umount)
      chmodSync(umount, 0o755)
      const script = `${umount} -l ${overlay.target} 2>/dev/null; cat ${overlay.target}/x`
      t.equal(sandbox.run(['mounted', '-c', script]).stdout, 'layer')
      execFileSync('setcap', ['cap_sys_admin+ep', umount])
      t.equal(sandbox.run(['mounted', '-c', script]).stdout, 'layer')
    })

    t.test('in a further user namespace the mounts are locked', async t => {
      if (user.uid === 0) return
      for (const target of [overlay.target, '/proc']) {
        const script = `unshare -rm umount -l ${target} 2>&1; cat ${overlay.target}/x`
        t.match(sandbox.run(['mounted', '-c', script]).stdout, /(not mounted|Invalid argument)[\s\S]*layer$/)
      }
    })
  })
}
