import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { hostname } from 'node:os'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { makeTree, Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

/** Connects to a port of 127.0.0.1 and says what it was sent; or serves itself on one. */
const NETWORK = `
import os, socket, sys
if len(sys.argv) > 1:
  try: print(socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5).recv(9).decode())
  except OSError as error: print(error.strerror)
else:
  server = socket.create_server(('127.0.0.1', 0))
  client = socket.create_connection(server.getsockname())
  server.accept()[0].send(b'own')
  print(client.recv(9).decode())
`

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    makeTree(inside.directory, { 'network.py': NETWORK })

    t.test('--unshare-net: its own 127.0.0.1 works, the machine’s is out of reach', async t => {
      const server = createServer(socket => socket.end('host')).listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.teardown(() => server.close())
      const { port } = server.address() as AddressInfo
      const ask = async (options: readonly string[], ...args: readonly string[]) => {
        const words = inside.command(options, 'python3 "$@"', `${inside.directory}/network.py`, ...args)
        const child = spawn(sandbox.launcher, words, { ...user, env: sandbox.environment() })
        return (await text(child.stdout)).trim()
      }
      t.equal(await ask([], `${port}`), 'host')
      for (const option of ['--unshare-net', '--sandbox']) {
        t.equal(await ask([option]), 'own')
        t.equal(await ask([option], `${port}`), 'Connection refused')
        t.equal(inside.run([option], 'tail -n +3 /proc/net/dev | cut -d: -f1').stdout.trim(), 'lo')
      }
      t.equal(await ask(['--sandbox', '--allow', 'net'], `${port}`), 'host')
    })

    t.test('--unshare-uts: a name of its own, and none can be given', async t => {
      const show = (options: readonly string[]) => inside.run(options, 'cat /proc/sys/kernel/hostname').stdout.trim()
      t.equal(show([]), hostname())
      t.equal(show(['--unshare-uts']), 'inside')
      t.equal(show(['--sandbox']), 'inside')
      t.equal(show(['--sandbox', '--allow', 'uts']), hostname())
      t.equal(inside.attempt(['--sandbox'], 'sethostname').sethostname, 'EPERM')
      t.equal(readFileSync('/proc/sys/kernel/hostname', 'utf8').trim(), hostname())
    })

    t.test('--unshare-ipc: shared memory of System V is not shared with the machine', async t => {
      const [, id = ''] = /(\d+)\n$/.exec(execFileSync('ipcmk', ['-M', '64', '-p', '0666'], { encoding: 'utf8' })) ?? []
      t.teardown(() => execFileSync('ipcrm', ['-m', id]))
      const show = (...options: readonly string[]) => inside.run(options, 'ipcs -m | grep -c 0x').stdout
      t.equal(show('--unshare-ipc'), '0\n')
      t.equal(show('--sandbox'), '0\n')
      t.match(show(), /^[1-9]\d*\n$/)
    })

    t.test('--unshare-pid: only its own processes are to be seen', async t => {
      const show = 'ls -d /proc/[0-9]* | tr "\\n" " "; echo $$ $PPID; cat /proc/sys/kernel/ns_last_pid >/dev/null'
      for (const option of ['--unshare-pid', '--sandbox']) {
        t.match(inside.run([option], show).stdout, /^\/proc\/1 \/proc\/2 (\/proc\/\d+ ){1,3}2 1\n$/)
      }
      const ids = inside.run(['--unshare-pid'], `kill -0 ${process.pid} 2>&1; ls -d /proc/${process.pid} 2>&1`).stdout
      t.match(ids, /No such process\n[\s\S]*No such file/)
    })

    t.test('the first process shows nothing of itself, and cannot be traced or replaced', async t => {
      const paths = ['exe', 'root', 'cwd', 'fd/0', 'maps', 'mem', 'environ', 'auxv', 'ns/mnt', 'map_files']
      const script = `for path in ${paths.join(' ')}; do ls /proc/1/$path/ 2>/dev/null; cat /proc/1/$path 2>/dev/null; readlink /proc/1/$path; done; echo end`
      for (const options of [['--sandbox'], ['--unshare-pid', '--drop-capabilities']]) {
        t.equal(inside.run(options, script).stdout, 'end\n', options.join(' '))
      }
      if (user.uid !== 0) t.equal(inside.run(['--unshare-pid'], script).stdout, 'end\n')
      const kill = inside.run(
        ['--sandbox'],
        'for s in TERM INT HUP STOP KILL USR1 SEGV; do kill -$s 1; done; echo alive',
      )
      t.match(kill, { status: 0, stdout: 'alive\n' })
    })

    t.test('of processes outside nothing can be reached, where they can be seen', async t => {
      const other = spawn('sleep', ['1000'], { ...user, stdio: 'ignore' })
      const ended = once(other, 'exit')
      const at = `/proc/${other.pid}`
      const script = `for path in root cwd exe fd/0 ns/mnt; do readlink ${at}/$path; ls ${at}/$path/ 2>/dev/null; done; cat ${at}/mem ${at}/environ; echo end`
      const seen = (...options: readonly string[]) => inside.run(options, script).stdout
      t.equal(seen('--sandbox', '--allow', 'pid'), 'end\n')
      if (user.uid === 0) t.equal(seen('--drop-capabilities'), 'end\n')
      if (user.uid !== 0) t.equal(seen('--private-tmp'), 'end\n', 'a user namespace does it too')
      t.not(sandbox.run(['-c', script], { command: '/bin/sh' }).stdout, 'end\n')
      other.kill()
      await ended
    })

    t.test('the caller’s descriptors end at a confinement, but for those that are named', async t => {
      const fds = (options: readonly string[]) => {
        const words = inside.command(options, '\'ls /proc/self/fd | tr "\\n" " "\'').join(' ')
        const line = `exec 5</etc/hostname 7</etc/hostname 300</etc/hostname; exec $APPC_RUN ${words}`
        const { stdout } = sandbox.run(['-c', line], { command: '/bin/bash' })
        return stdout
          .split(' ')
          .filter(fd => ['0', '1', '2', '5', '7', '300'].includes(fd))
          .join(' ')
      }
      t.equal(fds([]), '0 1 2 300 5 7')
      for (const option of [
        '--sandbox',
        '--unshare-pid',
        '--new-session',
        '--seccomp',
        '--read-only',
        '--private-tmp',
      ]) {
        t.equal(fds([option]), '0 1 2', option)
        t.equal(fds([option, '--keep-fd', '7', '--keep-fd', '300']), '0 1 2 300 7', option)
      }
    })

    t.test('a standard stream that is a directory would lead out: refused', async t => {
      for (const stdio of [0, 1, 2]) {
        const child = spawn(sandbox.launcher, inside.command(['--sandbox'], 'cat /proc/self/fd/*/etc/hostname'), {
          ...user,
          env: sandbox.environment(),
          stdio: [0, 1, 2].map(fd => (fd === stdio ? openSync('/', 'r') : 'pipe')),
        })
        const told = stdio === 2 ? '' : /^appc-run: a standard stream is a directory: /
        t.match(child.stderr === null ? '' : await text(child.stderr), told)
        if (child.exitCode === null) await once(child, 'exit')
        t.equal(child.exitCode, 125)
      }
    })

    t.test('variables that lead to what is hidden are gone', async t => {
      const env = {
        TMPDIR: sandbox.directory,
        DISPLAY: ':7',
        WAYLAND_DISPLAY: 'wayland-7',
        PULSE_SERVER: 'unix:/run/pulse',
        XDG_RUNTIME_DIR: '/run/user/7',
        DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/bus',
        DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/run/system',
        KEPT: 'kept',
      }
      const names = Object.keys(env).join('|')
      const show = (option: string) =>
        inside.run([option], `env | grep -E '^(${names})=' | sort`, [], { env }).stdout.split('\n').filter(Boolean)
      t.same(show('--sandbox'), ['KEPT=kept', `XDG_RUNTIME_DIR=/run/user/${user.uid}`])
      t.equal(show('--unshare-ipc').length, Object.keys(env).length)
    })
  })
}
