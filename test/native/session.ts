import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { makeTree, Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

/** Says what a socket's server says. */
const CONNECT = `
import socket, sys
client = socket.socket(socket.AF_UNIX)
try:
  client.connect(sys.argv[1])
  print(client.recv(99).decode())
except OSError as error: print(error.strerror)
`

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    makeTree(inside.directory, { 'connect.py': CONNECT })
    const runtime = sandbox.path('runtime')

    const serve = async (path: string, says: string) => {
      mkdirSync(dirname(path), { recursive: true })
      const server = createServer(socket => socket.end(says)).listen(path)
      await once(server, 'listening')
      chmodSync(path, 0o777)
      t.teardown(() => server.close())
    }
    const launch = async (options: readonly string[], script: string, env: Readonly<Record<string, string>>) => {
      const words = inside.command(options, script, `${inside.directory}/connect.py`)
      const child = spawn(sandbox.launcher, words, { ...user, env: sandbox.environment(env) })
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
      return { out, err }
    }

    t.test('wayland and pulse: where the caller has them, though the runtime directory is another', async t => {
      await serve(`${runtime}/wayland-0`, 'wayland')
      await serve(`${runtime}/wayland-7`, 'seven')
      await serve(`${runtime}/pulse/native`, 'pulse')
      await serve(sandbox.path('elsewhere'), 'elsewhere')
      const env = { XDG_RUNTIME_DIR: runtime }
      const script = `python3 "$1" "$WAYLAND_DISPLAY"; python3 "$1" "\${PULSE_SERVER#unix:}"; ls "\${WAYLAND_DISPLAY%/*}"; echo $XDG_RUNTIME_DIR`
      const both = await launch(['--sandbox', '--allow', 'wayland,pulse'], script, env)
      t.same(both, { out: `wayland\npulse\npulse\nwayland-0\n/run/user/${user.uid}\n`, err: '' })
      const seven = await launch(
        ['--sandbox', '--allow', 'wayland'],
        `python3 "$1" "$WAYLAND_DISPLAY"; ls "\${WAYLAND_DISPLAY%/*}"; echo "\${PULSE_SERVER-none}"`,
        {
          ...env,
          WAYLAND_DISPLAY: 'wayland-7',
          PULSE_SERVER: 'unix:/run/pulse',
        },
      )
      t.same(seven, { out: 'seven\nwayland-7\nnone\n', err: '' })
      const named = {
        ...env,
        WAYLAND_DISPLAY: sandbox.path('elsewhere'),
        PULSE_SERVER: `unix:${sandbox.path('elsewhere')}`,
      }
      t.same(
        await launch(
          ['--sandbox', '--allow', 'wayland,pulse'],
          `python3 "$1" "$WAYLAND_DISPLAY"; python3 "$1" "\${PULSE_SERVER#unix:}"`,
          named,
        ),
        { out: 'elsewhere\nelsewhere\n', err: '' },
      )
      const none = await launch(
        ['--sandbox'],
        `python3 "$1" ${runtime}/wayland-0; python3 "$1" ${runtime}/pulse/native`,
        env,
      )
      t.same(none, { out: 'No such file or directory\n'.repeat(2), err: '' })
    })

    t.test('x11: the display’s socket, and what it takes to be let in', async t => {
      let display = 70
      while (existsSync(`/tmp/.X11-unix/X${display}`)) display += 1
      await serve(`/tmp/.X11-unix/X${display}`, 'x11')
      await serve(`/tmp/.X11-unix/X${display + 1}`, 'another')
      makeTree(sandbox.directory, { 'home/.Xauthority': 'own', authority: 'named' })
      const script = `python3 "$1" /tmp/.X11-unix/X${display}; ls /tmp/.X11-unix; echo $DISPLAY; cat "\${XAUTHORITY:-$HOME/.Xauthority}"; echo; cat /proc/sys/kernel/hostname`
      const env = { DISPLAY: `:${display}.0`, HOME: sandbox.path('home') }
      const shown = (authority: string) => `x11\nX${display}\n:${display}.0\n${authority}\n${hostname()}\n`
      const allow = ['--sandbox', '--allow', 'x11']
      t.same(await launch(allow, script, env), { out: shown('own'), err: '' })
      t.same(await launch(allow, script, { ...env, XAUTHORITY: sandbox.path('authority') }), {
        out: shown('named'),
        err: '',
      })
      t.match(await launch(allow, 'echo ran', { ...env, HOME: '/nonexistent' }), { out: 'ran\n', err: '' })
      const none = await launch(['--sandbox'], `python3 "$1" /tmp/.X11-unix/X${display}; echo "\${DISPLAY-none}"`, env)
      t.same(none, { out: 'No such file or directory\nnone\n', err: '' })
    })

    t.test('the resolver’s configuration, where it is a link into /run, and its servers can be reached', async t => {
      if (process.geteuid?.() !== 0) return
      const etc = sandbox.path('etc')
      makeTree(etc, { upper: null, work: null })
      const resolve = (...options: readonly string[]) => {
        const show = `'cat /etc/resolv.conf; echo x >>/etc/resolv.conf; ls /run'`
        const script = `mount -t overlay -o lowerdir=/etc,upperdir=${etc}/upper,workdir=${etc}/work etc /etc
          mount -t tmpfs run /run && mkdir -p /run/resolver/private && echo nameserver 192.0.2.7 >/run/resolver/conf
          ln -sf ../run/resolver/conf /etc/resolv.conf && touch /run/other
          exec setpriv --reuid ${user.uid} --regid ${user.gid} --clear-groups $APPC_RUN ${inside.command(options, show).join(' ')}`
        return spawnSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8', env: sandbox.environment() })
      }
      const shown = resolve('--sandbox', '--allow', 'net')
      t.match(shown, {
        stdout: 'nameserver 192.0.2.7\nresolver\nuser\n',
        stderr: /(Read-only|Permission denied)[^\n]*\n$/,
      })
      t.match(resolve('--private-run'), { stdout: 'nameserver 192.0.2.7\nresolver\nuser\n' })
      t.match(resolve('--sandbox'), { stdout: 'user\n', stderr: /No such file/ })
    })

    t.test('what is not there is told, and nothing is run', async t => {
      const cases: readonly (readonly [feature: string, env: Readonly<Record<string, string>>, told: RegExp])[] = [
        ['wayland', {}, /cannot let through wayland: XDG_RUNTIME_DIR is not set/],
        ['wayland', { XDG_RUNTIME_DIR: '/nonexistent' }, /\/nonexistent\/wayland-0: No such file or directory/],
        ['pulse', { XDG_RUNTIME_DIR: 'relative' }, /cannot let through pulse: XDG_RUNTIME_DIR is not set/],
        ['pulse', { XDG_RUNTIME_DIR: '/nonexistent' }, /\/nonexistent\/pulse\/native: No such file or directory/],
        ['x11', {}, /cannot let through x11: DISPLAY names no display of this machine/],
        ['x11', { DISPLAY: 'host:0' }, /cannot let through x11/],
        ['x11', { DISPLAY: ':4711' }, /X4711: No such file or directory/],
        ['gpu', {}, existsSync('/dev/dri') ? /^$/ : /cannot show to the program \/dev\/dri: No such file or directory/],
      ]
      for (const [feature, env, told] of cases) {
        const { out, err } = await launch(['--sandbox', '--allow', feature], 'echo ran', env)
        t.match(err, told)
        t.equal(out, err === '' ? 'ran\n' : '', feature)
      }
    })
  })
}
