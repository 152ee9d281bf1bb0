import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { makeTree, Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

const NAMES = ['org.example.Allowed', 'org.example.Other', 'org.example.below.One', 'org.example.below.Two']

/** A session bus that would start these names, were it not that their program cannot be started. */
const CONFIGURATION = (directory: string) => `<busconfig>
<type>session</type><listen>unix:path=${directory}/bus</listen><servicedir>${directory}/services</servicedir>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

/** The bus lets nobody in who has no name; this one has. */
const nobody = { uid: 65534, gid: 65534 }

for (const [who, someone] of users) {
  t.test(`as ${who}`, async t => {
    const user = process.geteuid?.() === 0 && someone.uid !== 0 ? nobody : someone
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    const directory = sandbox.path('session')
    const services = NAMES.map(name => [`services/${name}.service`, `[D-BUS Service]\nName=${name}\nExec=/bin/false\n`])
    makeTree(directory, { ...Object.fromEntries(services), configuration: CONFIGURATION(directory) })
    chownSync(directory, user.uid, user.gid)
    const daemon = spawn('dbus-daemon', [`--config-file=${directory}/configuration`, '--nofork', '--print-address'], {
      ...user,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    t.teardown(() => daemon.kill())
    // With a guid behind the path.
    const [address] = await once(createInterface(daemon.stdout), 'line')
    const bus = `${directory}/bus`
    const env = { DBUS_SESSION_BUS_ADDRESS: address }

    const start = (options: readonly string[], script: string, extra: Readonly<Record<string, string>> = env) =>
      spawn(sandbox.launcher, inside.command(options, script), {
        ...user,
        env: sandbox.environment(extra),
        stdio: ['pipe', 'pipe', 'pipe'],
      })
    const output = async (child: ChildProcess) => {
      const [out, err] = await Promise.all([text(child.stdout as Readable), text(child.stderr as Readable)])
      if (child.exitCode === null) await once(child, 'exit')
      return { out, err, status: child.exitCode }
    }
    const call = (name: string) =>
      `dbus-send --session --print-reply --dest=${name} / ${name}.Ping 2>&1 | sed 's/:.*//'`
    const listed = `dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListActivatableNames | grep -o 'org.example[^"]*' | sort`
    const reached = 'Error org.freedesktop.DBus.Error.Spawn.ChildExited\n'
    const unknown = 'Error org.freedesktop.DBus.Error.ServiceUnknown\n'

    t.test('names that are allowed are reached, no others', async t => {
      const plain = await output(start([], `${NAMES.map(call).join('; ')}; ${listed}`))
      t.equal(
        plain.out,
        reached.repeat(4) +
          [...NAMES]
            .sort()
            .map(name => `${name}\n`)
            .join(''),
      )
      const one = await output(
        start(
          ['--sandbox', '--allow', 'dbus=org.example.Allowed'],
          `${call(NAMES[0] ?? '')}; ${call(NAMES[1] ?? '')}; ${listed}`,
        ),
      )
      t.match(one, { out: `${reached}${unknown}org.example.Allowed\n`, err: '', status: 0 })
      const below = await output(
        start(['--sandbox', '--allow', 'dbus=org.example.below.*,dbus=org.example.Other'], listed),
      )
      t.equal(below.out, 'org.example.Other\norg.example.below.One\norg.example.below.Two\n')
      const none = await output(start(['--sandbox'], 'env | grep -c ^DBUS; ls -A /run/user/*'))
      t.equal(none.out, '0\n')
    })

    t.test('the bus itself is not to be seen, and the proxy has nothing of the caller’s', async t => {
      const child = spawn(
        'sh',
        [
          '-c',
          'exec 7</etc/hostname; exec "$0" "$@"',
          sandbox.launcher,
          ...inside.command(
            ['--sandbox', '--allow', 'dbus=org.example.Allowed'],
            `ls ${directory}; ls -A /run/user/*; ls /proc/self/fd; echo up; read line`,
          ),
        ],
        { ...user, env: sandbox.environment(env), stdio: ['pipe', 'pipe', 'pipe'] },
      )
      const lines: string[] = []
      for await (const line of createInterface(child.stdout)) {
        lines.push(line)
        if (line === 'up') break
      }
      t.same(lines, ['bus', '0', '1', '2', '3', 'up'])
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')
      const proxy = children.find(pid => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'xdg-dbus-proxy\n') ?? ''
      t.match(proxy, /^\d+$/)
      if (process.geteuid?.() === 0) {
        const files = readdirSync(`/proc/${proxy}/fd`).map(fd => readlinkSync(`/proc/${proxy}/fd/${fd}`))
        t.notOk(files.includes('/etc/hostname'))
      }
      const killed = Date.now()
      child.kill('SIGKILL')
      await once(child, 'exit')
      // Who has ended stays in the list until the machine's first process looks.
      const isThere = () =>
        existsSync(`/proc/${proxy}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${proxy}/status`, 'utf8'))
      while (isThere() && Date.now() - killed < 5000) await new Promise(setImmediate)
      t.ok(Date.now() - killed < 1000, 'and ends with the launch')
    })

    t.test('where /run is the machine’s, the bus stays as it is', async t => {
      const before = statSync(bus).ino
      for (const options of [
        ['--allow', 'dbus=org.example.Allowed'],
        ['--sandbox', '--allow', 'run,dbus=org.example.Allowed'],
      ]) {
        const address = await output(start(options, 'echo "$DBUS_SESSION_BUS_ADDRESS"'))
        t.match(address, { out: `${env.DBUS_SESSION_BUS_ADDRESS}\n`, err: '', status: 0 })
      }
      t.equal(statSync(bus).ino, before)
      execFileSync(
        'dbus-send',
        ['--session', '--print-reply', '--dest=org.freedesktop.DBus', '/', 'org.freedesktop.DBus.ListNames'],
        { ...user, env: { ...process.env, ...env } },
      )
    })

    t.test('what is missing is told, and nothing is run', async t => {
      const allow = ['--sandbox', '--allow', 'dbus=org.example.Allowed']
      const told = async (options: readonly string[], extra: Readonly<Record<string, string>>) => {
        const ran = await output(start(options, 'echo ran', { ...env, ...extra }))
        t.match(ran, { out: '', status: 125, err: /^appc-run: [^\n]+\n\nhint: [^\n]+\n$/ })
        return ran.err
      }
      t.match(await told(allow, { DBUS_SESSION_BUS_ADDRESS: '', XDG_RUNTIME_DIR: '' }), /no session bus/)
      t.match(await told(allow, { DBUS_SESSION_BUS_ADDRESS: 'unix:abstract=/tmp/x' }), /no session bus/)
      t.match(await told(['--sandbox', '--allow', 'pid,dbus=org.example.Allowed'], {}), /dbus/)
      const gone = await output(start(allow, 'echo ran', { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent' }))
      t.match(gone, {
        out: '',
        status: 125,
        err: 'appc-run: cannot let through dbus: /nonexistent: No such file or directory\n',
      })
      const bin = sandbox.path('bin')
      mkdirSync(bin)
      chmodSync(bin, 0o755)
      t.match(await told(allow, { PATH: bin }), /cannot start the D-Bus proxy/)
      for (const name of ['', '.', '*', 'org.*.x', '*.x', 'a b', '1org', 'org.example.$']) {
        const wrong = await output(start(['--sandbox', '--allow', `dbus=${name}`], 'echo ran'))
        t.match(wrong, { out: '', status: 125, err: /nothing that can be allowed/ }, name)
      }
      t.notOk(existsSync(join(directory, 'proxy')))
    })
  })
}
