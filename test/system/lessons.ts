import { spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { identity, makeTree, Sandbox, users } from '../native/fixture.js'
import { Inside } from '../native/inside.js'
import { onTerminal } from '../support/terminal.js'

/*
 * What went wrong in others' runtimes, one test for each, by the number under which it is known. Archives (`..`, links out of the tree,
 * devices, setuid bits) are test/container/manifest.ts and test/container/pack.ts, damaged ELF files test/elf and scripts/fuzz-readers;
 * exchanged names by the million are scripts/check-races, and that Ctrl-Z works in a session of its own test/native/terminal.ts.
 */

/** Types into its own terminal, with nothing and with something in the upper half of the request. */
const TYPES = `
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
  const unsigned long requests[] = {TIOCSTI, TIOCSTI | 1UL << 32, TIOCLINUX, TIOCLINUX | 1UL << 32};
  char byte = 'x';
  for (int i = 0; i < 4; ++i) {
    const long done = syscall(SYS_ioctl, 0, requests[i], &byte);
    printf("%s ", done == 0 ? "typed" : strerrorname_np(errno));
  }
  puts("");
  return 0;
}
`

/** Writes into the executable at each path, and overwrites it by name. */
const WRITES = 'for p; do (: >>"$p") 2>/dev/null && echo "$p can be written"; done; echo tried'

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)

    t.test('CVE-2019-5736: the launcher’s executable cannot be reached from inside', async t => {
      const before = readFileSync(sandbox.launcher)
      // No launcher is left beside the program; and where one is, it is the first process.
      const plain = inside.run([], 'readlink /proc/self/exe')
      t.notMatch(plain.stdout, 'appc-run')
      for (const options of [['--unshare-pid'], ['--sandbox']]) {
        // Plain root may look at all processes; without capabilities not even the link can be read.
        if (user.uid === 0 && options[0] !== '--sandbox') continue
        const seen = inside.run(options, `readlink /proc/1/exe || echo unreadable; ${WRITES}`, ['/proc/1/exe'])
        t.equal(seen.stdout, 'unreadable\ntried\n', options.join(' '))
      }
      t.same(readFileSync(sandbox.launcher), before)
    })

    t.test('CVE-2024-21626: no descriptor leads out, and the working directory is inside', async t => {
      const overlay = sandbox.overlay('cwd', { x: 'host' }, { x: 'layer' })
      sandbox.install(sandbox.plan('cwd', { overlays: [overlay], guards: [identity(overlay.target)] }))
      const list = 'ls -l /proc/self/fd | sed -n "s/.* -> //p"; cat x 2>/dev/null'
      const out = openSync('/', 'r')
      // The caller's own is passed on where the program is the caller's, and not into a confinement.
      const launch = (...options: readonly string[]) =>
        spawnSync(sandbox.launcher, [...options, 'cwd', '-c', list], {
          ...user,
          cwd: overlay.target,
          env: sandbox.environment({ HOME: '/nonexistent' }),
          stdio: ['ignore', 'pipe', 'pipe', out],
          encoding: 'utf8',
        })
      const plain = launch().stdout.split('\n')
      t.equal(plain.filter(line => line === '/').length, 1, 'the caller’s alone')
      t.notOk(
        plain.some(line => line.includes('appc-')),
        'none of the launcher’s',
      )
      t.equal(plain.at(-1), 'layer', 'names are looked up in the mix')
      const confined = launch('--sandbox').stdout
      t.notMatch(confined, /^\/$/m)
      t.notMatch(confined, 'host', 'not the directory that was covered')
      closeSync(out)
    })

    t.test(
      'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881, CVE-2026-41579: a target that is a link is not followed',
      async t => {
        const overlay = sandbox.overlay('swapped', { x: 'host' }, { x: 'layer' })
        makeTree(sandbox.path('forbidden'), { x: 'untouched' })
        sandbox.install(sandbox.plan('swapped', { overlays: [overlay] }))
        t.equal(sandbox.run(['swapped', '-c', `cat ${overlay.target}/x`]).stdout, 'layer')
        rmSync(overlay.target, { recursive: true })
        symlinkSync(sandbox.path('forbidden'), overlay.target)
        const ran = sandbox.run(['swapped', '-c', `cat ${overlay.target}/x ${sandbox.path('forbidden')}/x`])
        t.notMatch(ran.stdout, 'layer', 'nothing lies over what the link leads to')
        t.not(ran.status, 0)
        // Links on the way to a layer would have it taken from elsewhere.
        rmSync(overlay.target)
        makeTree(overlay.target, { x: 'host' })
        rmSync(overlay.layer, { recursive: true })
        symlinkSync(sandbox.path('forbidden'), overlay.layer)
        t.notMatch(sandbox.run(['swapped', '-c', `cat ${overlay.target}/x`]).stdout, 'untouched')
      },
    )

    t.test('CVE-2025-24965: nothing is written outside of what is shown', async t => {
      const victim = sandbox.path('inside', 'victim')
      writeFileSync(victim, 'whole')
      inside.run(['--sandbox'], `echo gone >${victim}; rm ${victim}; ln -s /etc/passwd ${inside.directory}/link`)
      t.equal(readFileSync(victim, 'utf8'), 'whole')
      t.notOk(readdirSync(inside.directory).includes('link'))
    })

    t.test('CVE-2022-27650: no capability is inheritable', async t => {
      const sets = inside.run(['--sandbox'], 'grep ^Cap /proc/self/status').stdout
      t.equal(sets.match(/\t0{16}$/gm)?.length, 5, sets)
    })

    t.test('CVE-2026-30892: ids are numbers of the kernel’s, and no name is looked up', async t => {
      const ids = `${user.uid} ${user.gid}\n`
      for (const options of [[], ['--sandbox']]) t.equal(inside.run(options, 'echo $(id -u) $(id -g)').stdout, ids)
    })

    t.test('CVE-2020-5291: nothing is installed setuid, and a setuid launcher refuses to work', async t => {
      t.equal(statSync(sandbox.launcher).mode & 0o6000, 0)
    })

    t.test('CVE-2017-5226, CVE-2019-10063, CVE-2023-28100: nothing is typed into the caller’s terminal', async t => {
      const types = inside.compile('types', TYPES)
      const command = (...options: readonly string[]) => [
        sandbox.launcher,
        ...inside.command(options, 'exec "$1"', types),
      ]
      const shown = await onTerminal(user, sandbox.environment(), [], command('--sandbox'))
      t.match(shown.shown, 'EPERM EPERM EPERM EPERM')
      const filtered = await onTerminal(user, sandbox.environment(), [], command('--seccomp'))
      t.match(filtered.shown, 'EPERM EPERM EPERM EPERM')
    })

    t.test('CVE-2024-32462: what a program is given never becomes an option', async t => {
      const words = ['--sandbox', '--root=/', '--help', '--', '-c']
      const shown = inside.run([], 'printf "%s|" "$@"', words).stdout
      t.equal(shown, words.map(word => `${word}|`).join(''))
      const named = sandbox.run(['--', '--help'])
      t.match(named, { status: 125, stderr: /not a container's name: --help/ })
      const bus = inside.run(['--sandbox', '--allow', 'dbus=--own'], 'echo ran')
      t.match(bus, { status: 125, stdout: '' })
    })

    t.test(
      'CVE-2024-42472, CVE-2026-34078, CVE-2026-34079: a link that the program left is not shown by the next launch',
      async t => {
        const data = sandbox.path('data')
        mkdirSync(join(data, 'sub'), { recursive: true })
        makeTree(sandbox.path('secret'), { file: 'secret' })
        spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, data])
        const options = ['--sandbox', '--rw', data]
        const first = inside.run(options, `rmdir ${data}/sub && ln -s ${sandbox.path('secret')} ${data}/sub`)
        t.equal(first.status, 0, first.stderr)
        const second = inside.run(['--sandbox', '--rw', join(data, 'sub')], `cat ${data}/sub/file`)
        t.match(second, { status: 125, stdout: '', stderr: /links on the way are not followed/ })
        // So too where the container asks for it.
        sandbox.install(sandbox.plan('asks', { needs: [`rw=${join(data, 'sub')}`] }))
        t.match(sandbox.run(['--sandbox', 'asks', '-c', 'echo ran']), { status: 125, stdout: '' })
      },
    )

    t.test('CVE-2023-28101: what a container says of itself steers no terminal', async t => {
      sandbox.install(sandbox.plan('says', { needs: ['\x1b[2Jnet'] }))
      const ran = sandbox.run(['--sandbox', 'says', '-c', 'echo ran'])
      t.match(ran, { status: 125, stdout: '', stderr: /\\x1b\[2Jnet/ })
      t.notMatch(ran.stderr, '\x1b')
    })

    t.test('CVE-2026-3888: no name in /tmp can be foreseen, and the runtime directory is nobody else’s', async t => {
      const script = 'ls -A /tmp | grep -v ^appc-native- ; stat -c %a "$XDG_RUNTIME_DIR"'
      t.equal(inside.run(['--sandbox'], script).stdout, '700\n')
      // With strace each name in /tmp that the launcher itself would make is seen.
      const trace = sandbox.path('trace')
      writeFileSync(trace, '', { mode: 0o666 })
      spawnSync('chmod', ['666', trace])
      const calls = ['-f', '-qq', '-o', trace, '-e', 'trace=mkdirat,mkdir,symlinkat,mknodat,openat']
      sandbox.run([...calls, sandbox.launcher, ...inside.command(['--sandbox'], 'exit 0')], { command: 'strace' })
      const made = readFileSync(trace, 'utf8')
        .split('\n')
        .filter(line => /"\/tmp\//.test(line) && /O_CREAT|mk/.test(line))
      t.same(made, [])
    })
  })
}
