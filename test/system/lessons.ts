import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { coldStatus, makeTree, Sandbox, users } from '../native/fixture.js'
import { Inside } from '../native/inside.js'
import { onTerminal } from '../support/terminal.js'

/*
 * What others got wrong, each as it would look here. The rest of the list is in lessons-packing.ts; and what takes more to be seen has
 * files of its own: names that are exchanged by the million (scripts/check-races), stopping a program in a session of its own (test/native/terminal.ts), --root and links (test/native/root.ts), file
 * capabilities (test/native/capabilities.ts), ELF files that lie (test/elf/malformed.ts, test/fuzz).
 */

/** With a process of the launcher's that stays. */
const BESIDE: readonly (readonly string[])[] = [
  ['--sandbox'],
  ['--sandbox', '--no-seccomp', '--no-landlock'],
  ['--sandbox', '--allow', 'pid'],
]
const PLAIN_TOO: readonly (readonly string[])[] = [[], ['--unshare-pid'], ['--new-session'], ['--sandbox']]

/** Exchanges two names as fast as it can, from when it says so until it is killed. */
const EXCHANGE = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
int main(int argc, char** argv) {
  puts("exchanging");
  fflush(stdout);
  for (; argc == 3;) renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE);
}`

/** Types into its terminal: TIOCSTI and TIOCLINUX (a paste), as they are and with the upper half of the request set. */
const TYPE = `
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
  const unsigned long requests[] = {TIOCSTI, TIOCSTI | 1UL << 32, TIOCSTI | ~0UL << 32, TIOCLINUX, TIOCLINUX | 1UL << 63};
  for (int i = 0; i < 5; ++i) {
    char argument[8] = {i < 3 ? '#' : 3};
    printf("%s ", syscall(SYS_ioctl, 0, requests[i], argument) == 0 ? "ok" : strerrorname_np(errno));
  }
  puts("");
}`

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    inside.compile('exchange', EXCHANGE)
    inside.compile('type', TYPE)
    const env = sandbox.environment()
    /** A directory of the user's. */
    const own = (name: string) => {
      const path = sandbox.path(name)
      mkdirSync(path)
      chownSync(path, user.uid, user.gid)
      return path
    }
    const asUser = (script: string) => sandbox.run(['-c', script], { command: '/bin/sh' })

    t.test('CVE-2019-5736: the launcher’s executable is out of reach from inside', async t => {
      const look = `for process in /proc/[0-9]*; do
          grep -q -e --ro $process/cmdline || continue
          echo seen; readlink $process/exe; cat $process/exe; : >>$process/exe
        done 2>/dev/null | head -c 9`
      for (const mode of BESIDE) t.match(inside.run(mode, look).stdout, /^(seen\n)+(s|se|see|seen)?$/, mode.join(' '))
      if (user.uid !== 0)
        for (const mode of PLAIN_TOO.slice(1)) t.match(inside.run(mode, look).stdout, /^(seen\n)+(s|se|see|seen)?$/)
      // The other way: a program that is the launcher itself, as its own interpreter. It may not change itself, and starts nothing.
      const launcher = readFileSync(sandbox.launcher)
      chownSync(sandbox.launcher, user.uid, user.gid)
      makeTree(inside.directory, { again: '#!/proc/self/exe --\n' })
      sandbox.install(sandbox.plan('again', { programs: [{ name: 'again', path: `${inside.directory}/again` }] }))
      t.match(sandbox.run(['--sandbox', '--ro', inside.directory, 'again']), { status: 125, stdout: '' })
      t.ok(readFileSync(sandbox.launcher).equals(launcher))
    })

    t.test('CVE-2024-21626: no descriptor and no working directory leads out', async t => {
      const secret = own('secret')
      writeFileSync(join(secret, 'x'), 'secret')
      const fds = 'for fd in /proc/self/fd/*; do readlink $fd; done'
      const open = (stdout: string) => stdout.split('\n').map(line => line.replace(/\[\d+\]$/, ''))
      const outside = asUser(fds).stdout
      t.same(open(inside.run([], fds).stdout), open(outside))
      for (const mode of [['--unshare-pid'], ['--new-session'], ['--sandbox']]) {
        t.match(inside.run(mode, fds).stdout, /^((pipe|socket):\[\d+\]\n){3}$/, mode.join(' '))
      }
      const look = 'pwd; cat x ../secret/x 2>/dev/null'
      for (const mode of [[], ['--unshare-pid'], ['--read-only']]) {
        t.equal(inside.run(mode, look, [], { cwd: secret }).stdout, `${secret}\nsecretsecret`)
      }
      const hidden = inside.run(['--sandbox'], look, [], { cwd: secret, env: { HOME: '/nonexistent' } })
      t.equal(hidden.stdout, '/\n')
      const up = inside.run(['--sandbox'], 'for fd in /proc/self/fd/*; do ls $fd/../../etc/hostname; done', [], {
        cwd: secret,
      })
      t.equal(up.stdout, '')
    })

    t.test('CVE-2025-31133, -52565, 2026-47766: a source or target that is exchanged for a link', async t => {
      const at = own('exchanged')
      const secret = sandbox.path('protected')
      makeTree(at, { 'real/x': 'real' })
      makeTree(secret, { x: 'protected' })
      symlinkSync(secret, join(at, 'link'))
      const overlay = { target: join(at, 'real'), layer: sandbox.path('exchanged-layer'), carried: [] }
      makeTree(overlay.layer, { '.appc-host': null, x: 'layer' })
      sandbox.install(sandbox.plan('exchanged', { overlays: [overlay] }))
      const exchange = spawn(`${inside.directory}/exchange`, [join(at, 'real'), join(at, 'link')], {
        ...user,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      await once(exchange.stdout, 'data')
      const seen = { shown: new Map<string, number>(), mounted: new Map<string, number>() }
      const count = (kind: keyof typeof seen, what: string) => seen[kind].set(what, (seen[kind].get(what) ?? 0) + 1)
      for (let i = 0; i < 150; i += 1) {
        const shown = inside.run(['--private-tmp', '--ro', join(at, 'real')], `cat ${at}/*/x`)
        count('shown', shown.stdout)
        const mounted = sandbox.run(['exchanged', '-c', `cat ${secret}/x`])
        count('mounted', mounted.status === coldStatus ? 'planned anew' : mounted.stdout)
      }
      exchange.kill()
      await once(exchange, 'exit')
      t.ok(seen.shown.get('real'), 'it was shown')
      t.same(
        [...seen.shown.keys()].filter(what => what !== 'real' && what !== ''),
        [],
        'never what the link leads to',
      )
      t.ok(seen.mounted.get('protected'), 'it was mounted')
      t.same(
        [...seen.mounted.keys()].filter(what => !['protected', 'planned anew', ''].includes(what)),
        [],
        'never over that',
      )
      // Standing still: a layer that is a link would have it taken from elsewhere.
      renameSync(overlay.layer, `${overlay.layer}-away`)
      symlinkSync(secret, overlay.layer)
      makeTree(sandbox.directory, { 'still/x': 'host' })
      sandbox.install(sandbox.plan('still', { overlays: [{ ...overlay, target: sandbox.path('still') }] }))
      t.notMatch(sandbox.run(['still', '-c', `cat ${sandbox.path('still')}/x`]).stdout, 'protected')
    })

    t.test('CVE-2025-52881: what is written to /proc is written to /proc', async t => {
      // A confinement’s own /proc is one, whatever lies at that path in the tree.
      const script = 'stat -f -c %T /proc /proc/self /proc/sys; test -e /proc/self/attr && echo attributes'
      t.match(inside.run(['--sandbox'], script).stdout, /^proc\nproc\nproc\n/)
      t.match(
        inside.run(['--sandbox'], 'echo 0 >/proc/sys/vm/drop_caches; echo x >/proc/sysrq-trigger').stderr,
        /(Read-only|denied|cannot create)/,
      )
    })

    t.test('CVE-2025-24965: nothing is written below a tree that is the root', async t => {
      const tree = sandbox.path('tree')
      makeTree(tree, { proc: null, sys: null, dev: null, usr: null })
      for (const name of ['usr', 'lib', 'lib64', 'bin']) {
        if (name === 'usr') continue
        symlinkSync(`usr/${name}`, join(tree, name))
      }
      const binds = ['/proc', '/sys', '/dev', '/usr'].map(path => ({ source: path, target: path }))
      sandbox.install(sandbox.plan('inside', { root: tree, binds }))
      const list = () =>
        readdirSync(tree, { recursive: true, encoding: 'utf8' })
          .filter(path => !/^(usr|proc|sys|dev)\//.test(path))
          .sort()
      const before = list()
      for (const options of [['--sandbox'], ['--private-home', '--private-run', '--private-tmp', '--private-dev']]) {
        const words = ['--root', tree, ...options, 'inside', '-c', 'ls /; id -u']
        const ran = sandbox.run(words, { env: { HOME: '/home/somebody' } })
        t.match(ran, { status: 0, stdout: `bin\ndev\nlib\nlib64\nproc\nsys\nusr\n${user.uid}\n`, stderr: '' })
      }
      const missing = sandbox.run(['--root', tree, '--rw', sandbox.path('exchanged'), 'inside', '-c', 'echo ran'])
      t.match(missing, { status: 125, stdout: '', stderr: /cannot show to the program .*: No such file or directory/ })
      t.same(list(), before)
    })

    t.test('CVE-2026-30892, 2022-27650: the user is the caller, and inherits no capability', async t => {
      for (const mode of PLAIN_TOO) {
        const { stdout } = inside.run(mode, 'id -u; id -g; grep CapInh /proc/self/status')
        t.equal(stdout, `${user.uid}\n${user.gid}\nCapInh:\t0000000000000000\n`)
      }
    })

    t.test('CVE-2020-5291: nothing is setuid, and what was made so does nothing', async t => {
      const built = statSync(sandbox.launcher)
      t.equal(built.mode & 0o7000, 0)
      if (process.geteuid?.() !== 0 || user.uid === 0) return
      const copy = `${sandbox.launcher}-copy`
      copyFileSync(sandbox.launcher, copy)
      for (const make of [() => chmodSync(copy, 0o4755), () => spawnSync('setcap', ['cap_sys_admin+ep', copy])]) {
        chmodSync(copy, 0o755)
        make()
        t.match(sandbox.run(['inside', '-c', 'echo ran'], { command: copy }), {
          status: 125,
          stdout: '',
          stderr: /must not be setuid, nor have/,
        })
      }
    })

    t.test('CVE-2017-5226, 2019-10063, 2023-28100: nothing is typed for the caller’s shell', async t => {
      const typed = async (mode: readonly string[]) => {
        const command = [sandbox.launcher, ...inside.command(mode, `${inside.directory}/type; stty -echo; echo done`)]
        const { shown } = await onTerminal(
          user,
          env,
          [{ wait: '^done$' }, { wait: 'left:' }],
          ['/bin/sh', '-c', '"$@"; stty -icanon min 0 time 1; printf "left:"; cat', 'sh', ...command],
        )
        return shown
      }
      const isAllowed = user.uid === 0 || readFileSync('/proc/sys/dev/tty/legacy_tiocsti', 'utf8') === '1\n'
      if (isAllowed) t.match(await typed([]), /ok ok ok [\s\S]*left:.*###/, 'without a confinement they are')
      for (const mode of [['--seccomp'], ['--sandbox'], ['--new-session', '--seccomp']]) {
        t.match(await typed(mode), /^EPERM EPERM EPERM EPERM EPERM \ndone\nleft:$/, mode.join(' '))
      }
      // Into a terminal of its own it may.
      t.match(await typed(['--sandbox', '--no-seccomp']), /done\nleft:$/)
    })

    t.test('CVE-2024-32462: what a container or a program says is no option', async t => {
      const words = ['--sandbox', '--root', '/', '--', '-c', '--error-fd=3']
      t.equal(sandbox.run(['inside', '-c', 'echo "$@"', 'sh', ...words]).stdout, `${words.join(' ')}\n`)
      const [ours = '', theirs = ''] = sandbox.run(['unknown', '--exe=/x', '--store=/x']).stdout.split('\n--\n')
      t.match(ours, /--store=/)
      t.notMatch(ours, '/x')
      t.match(theirs, /--exe=\/x\n--store=\/x\n$/)
      sandbox.install(sandbox.plan('named', { programs: [{ name: '--help', path: '/bin/sh' }] }))
      t.equal(sandbox.run(['named/--help', '-c', 'echo ran']).stdout, 'ran\n')
      t.match(sandbox.run(['--', '--help']), { status: 125, stderr: /not a container’s name|not a container's name/ })
      // Neither are the names that a container needs on the bus: the proxy gets one argument for each.
      const bin = own('bin')
      makeTree(bin, { 'xdg-dbus-proxy': '#!/bin/sh\nprintf "%s\\n" "$@" >&2\n' })
      makeTree(sandbox.directory, { bus: '' })
      const bus = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${sandbox.path('bus')}`, PATH: bin }
      sandbox.install(sandbox.plan('bus', { needs: ['dbus=org.example.A', 'dbus=--filter'] }))
      const { stderr } = sandbox.run(['--sandbox', '--ro', bin, 'bus', '-c', 'echo ran'], { env: bus })
      const [fd = '', address = '', place = '', ...rest] = stderr.split('\n')
      t.match([fd, address, place], [/^--fd=\d+$/, /^unix:path=/, /^\/run\/user\//])
      t.same(rest.slice(0, 3), ['--filter', '--talk=org.example.A', '--talk=--filter'])
      for (const need of ['--sandbox', 'net,home']) {
        sandbox.install(sandbox.plan('bus', { needs: [need] }))
        t.match(sandbox.run(['--sandbox', 'bus', '-c', 'echo ran'], { env: bus }), { status: 125, stdout: '' }, need)
      }
    })

    t.test('CVE-2024-42472, 2026-34078, -34079: a link that a program left for its next launch', async t => {
      const shared = own('shared')
      const secret = sandbox.path('kept-secret')
      makeTree(secret, { 'deep/x': 'secret' })
      chmodSync(secret, 0o755)
      const first = inside.run(
        ['--sandbox', '--rw', shared],
        `mkdir -p ${shared}/data/deep && echo own >${shared}/data/deep/x`,
      )
      t.match(first, { status: 0, stderr: '' })
      const look = (...options: readonly string[]) =>
        inside.run(['--sandbox', ...options], `cat ${shared}/data/deep/x ${secret}/deep/x`, [], {
          env: { HOME: shared },
        })
      for (const path of [`${shared}/data`, `${shared}/data/deep`, `${shared}/data/deep/x`, '~/data/deep']) {
        t.equal(look('--ro', path).stdout, 'own\n', path)
      }
      // Its whole directory, and something in it.
      for (const link of ['data', 'data/deep', 'data/deep/x']) {
        const left = inside.run(
          ['--sandbox', '--rw', shared],
          `mv ${shared}/${link} ${shared}/away && ln -s ${secret}${link.slice(4)} ${shared}/${link}`,
        )
        t.match(left, { status: 0, stderr: '' })
        for (const option of ['--ro', '--rw']) {
          for (const path of [`${shared}/data/deep/x`, '~/data/deep/x']) {
            t.match(look(option, path), {
              status: 125,
              stdout: '',
              stderr: /cannot show to the program .*: Too many levels of symbolic links/,
            })
          }
        }
        unlinkSync(join(shared, link))
        renameSync(join(shared, 'away'), join(shared, link))
      }
      t.equal(look('--ro', `${shared}/data`).stdout, 'own\n')
      // So too where the container asks for it.
      symlinkSync(secret, join(shared, 'asked'))
      sandbox.install(sandbox.plan('asks', { needs: [`rw=${shared}/asked`] }))
      t.match(sandbox.run(['--sandbox', 'asks', '-c', 'echo ran']), {
        status: 125,
        stdout: '',
        stderr: /Too many levels of symbolic links/,
      })
    })

    t.test('CVE-2023-28101: the launcher prints no control characters of others', async t => {
      const evil = `${sandbox.directory}/\x1b[31m\x07\n\x9b2J`
      mkdirSync(evil)
      sandbox.install(
        sandbox.plan('evil', { needs: [`ro=${evil}/none`], programs: [{ name: 'x', path: `${evil}/none` }] }),
      )
      const told = [
        sandbox.run(['--sandbox', 'evil']),
        sandbox.run(['evil']),
        sandbox.run(['evil/\x1b[31m']),
        sandbox.run([`${evil}/none`]),
        sandbox.run(['--root', `${evil}/none`, 'none']),
        sandbox.run(['--ro', `${evil}/none`, 'inside']),
        sandbox.run(['--allow', '\x1b[31m', 'inside']),
        sandbox.run(['--limit', '\x1b[31m', 'inside']),
        sandbox.run(['--info', '--sandbox', 'evil']),
      ]
      rmdirSync(evil)
      for (const { stdout, stderr } of told) {
        // In JSON, which is for programs, those of ASCII are escaped.
        t.notMatch(stdout.startsWith('{') ? '' : stdout + stderr, /[\u0080-\u009f]/)
        t.notMatch(stdout + stderr, /[^\n\x20-\x7e\u{80}-\u{10ffff}]/u)
        t.ok(stdout + stderr)
      }
    })

    t.test('CVE-2026-3888: no name in a directory that all write to', async t => {
      const trace = sandbox.path('trace')
      writeFileSync(trace, '')
      chmodSync(trace, 0o666)
      for (const mode of [[], ['--sandbox'], ['--private-tmp', '--private-run', '--private-home']]) {
        const calls =
          'open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,symlink,symlinkat,link,linkat,rename,renameat2,bind'
        const ran = sandbox.run(
          ['-f', '-qq', '-y', '-o', trace, '-e', `trace=${calls}`, sandbox.launcher, ...inside.command(mode, ':')],
          { command: 'strace' },
        )
        t.equal(ran.status, 0)
        const made = readFileSync(trace, 'utf8')
          .split('\n')
          .filter(line => /O_CREAT|\b(creat|mk\w+|symlink\w*|link\w*|rename\w*|bind)\(/.test(line))
        // By descriptor, in file systems of its own alone; there a name is no path.
        const byPath = made.filter(line => /"[^"]*\/[^"]*"/.test(line.replace(/symlinkat\("[^"]*"/, '')))
        t.same(byPath, [], mode.join(' '))
      }
      const runtime = inside.run(['--sandbox'], 'stat -c "%a %u" $XDG_RUNTIME_DIR').stdout
      t.equal(runtime, `700 ${user.uid}\n`)
    })

    t.test('launchers that were killed: the program does not outlive them (bubblewrap: 7–10 % did)', async t => {
      for (const mode of [['--sandbox'], ['--new-session']]) {
        for (let i = 0; i < 10; i += 1) {
          const child = spawn(sandbox.launcher, inside.command(mode, 'echo up; sleep 1000 & sleep 1000'), {
            ...user,
            env,
            stdio: ['ignore', 'pipe', 'ignore'],
          })
          if (i % 2 === 0) await once(createInterface(child.stdout), 'line')
          child.kill('SIGKILL')
          child.stdout.resume()
          const killed = Date.now()
          await once(child.stdout, 'close')
          t.ok(Date.now() - killed < 1000, `${Date.now() - killed} ms`)
        }
      }
    })
  })
}
