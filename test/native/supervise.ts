import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { makeTree, Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

/** Tells each signal that comes, once for each time; SIGQUIT is the last. */
const SIGNALS = `
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
int main(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  for (int signal = 0; signal != SIGQUIT && sigwait(&all, &signal) == 0;) puts(sigabbrev_np(signal));
}`

/** Each has a process that stays beside the program. The first tells by descriptor 3. */
const MODES: readonly (readonly string[])[] = [
  ['--status-fd', '3'],
  ['--new-session'],
  ['--unshare-pid'],
  ['--sandbox'],
  ['--sandbox', '--allow', 'pid,session', '--status-fd', '3'],
]
const hasProcessNamespace = (mode: readonly string[]) =>
  mode.includes('--unshare-pid') || (mode.length === 1 && mode[0] === '--sandbox')

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    inside.compile('signals', SIGNALS)
    const shared = sandbox.path('shared')
    mkdirSync(shared)
    chmodSync(shared, 0o777)
    sandbox.install(sandbox.plan('show', { programs: [{ name: 'grep', path: '/usr/bin/grep' }] }))

    const launch = (words: readonly string[], command = sandbox.launcher) =>
      spawn(command, words, {
        ...user,
        cwd: sandbox.directory,
        env: sandbox.environment(),
        stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      })
    const start = (mode: readonly string[], script: string, ...args: readonly string[]) =>
      launch(inside.command(mode, script, ...args))
    const output = async (child: ChildProcess) => {
      const [out, err] = await Promise.all([text(child.stdout as Readable), text(child.stderr as Readable)])
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      return { out, err, status: child.exitCode, signal: child.signalCode }
    }
    const lines = (child: ChildProcess) => createInterface(child.stdout as Readable)[Symbol.asyncIterator]()

    for (const mode of MODES) {
      t.test(mode.join(' '), async t => {
        t.test('the program’s end is the launch’s', async t => {
          for (const status of [0, 1, 42, 125, 255])
            t.equal((await output(start(mode, `exit ${status}`))).status, status)
          for (const signal of ['TERM', 'KILL', 'SEGV', 'ABRT', 'USR1', 'PIPE'] as const) {
            const ended = await output(start(mode, `ulimit -c 0; kill -${signal} $$`))
            t.match(ended, { status: null, signal: `SIG${signal}`, out: '', err: '' })
          }
        })

        t.test('what is sent to it reaches the program, each once', async t => {
          const child = start(mode, 'exec "$1"', `${inside.directory}/signals`)
          const said = lines(child)
          t.equal((await said.next()).value, 'ready')
          for (const signal of [
            'TERM',
            'INT',
            'HUP',
            'USR1',
            'USR2',
            'WINCH',
            'CONT',
            'ALRM',
            'TERM',
            'QUIT',
          ] as const) {
            child.kill(`SIG${signal}`)
            t.equal((await said.next()).value, signal)
          }
          t.same(await said.next(), { done: true, value: undefined })
          t.match(await output(child), { status: 0, err: '' })
        })

        t.test('stopped by SIGTSTP it is stopped, and continues', async t => {
          const child = start(mode, 'echo ready; while read line; do echo "$line"; done')
          const said = lines(child)
          t.equal((await said.next()).value, 'ready')
          child.kill('SIGTSTP')
          while (!/^State:\tT/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'))) await new Promise(setImmediate)
          child.kill('SIGCONT')
          child.stdin?.end('on\n')
          t.equal((await said.next()).value, 'on')
          t.equal((await output(child)).status, 0)
        })

        t.test('kill -9: a second later nobody is left', async t => {
          const busy =
            'trap "" TERM HUP INT; setsid sh -c "sleep 1000 & sleep 1000" & (sleep 1000 &) ; echo ready; wait'
          const child = start(mode, busy)
          await lines(child).next()
          const ended = once(child.stdout as Readable, 'close')
          child.stdout?.resume()
          const killed = Date.now()
          child.kill('SIGKILL')
          // All of them hold it.
          await ended
          t.ok(Date.now() - killed < 1000, `${Date.now() - killed} ms`)
        })

        t.test('what is left in the background', async t => {
          const fifo = join(shared, 'fifo')
          const behind = `mkfifo ${fifo}; (read line <${fifo}; echo later) & exit 3`
          const child = start([...mode, '--rw', shared], behind)
          await once(child, 'exit')
          t.equal(child.exitCode, 3)
          if (!hasProcessNamespace(mode)) writeFileSync(fifo, 'go\n')
          const { out } = await output(child)
          t.equal(out, hasProcessNamespace(mode) ? '' : 'later\n', hasProcessNamespace(mode) ? 'ends' : 'goes on')
          rmSync(fifo)
        })

        t.test('who closes standard output, or never had one', async t => {
          const child = start(mode, 'exec >&- 2>&-; read line; exit 5')
          child.stdout?.resume()
          await once(child.stdout as Readable, 'end')
          t.pass('the reader is told while the program runs')
          child.stdin?.end('\n')
          t.equal((await output(child)).status, 5)
          for (const closed of ['<&-', '>&-', '<&- >&-', '<&- >&- 2>&-']) {
            const show = 'for fd in 0 1 2; do test -e /proc/self/fd/$fd && echo $fd; done >/dev/fd/3'
            const seen = async (words: readonly string[]) => {
              const line = ['"$0" "$@"', closed].join(' ')
              const child = launch(['-c', line, ...words], '/bin/sh')
              const [told] = await Promise.all([text(child.stdio[3] as Readable), output(child)])
              return told
            }
            const outside = await seen(['/bin/sh', '-c', show])
            const options = mode.includes('--status-fd') ? ['--keep-fd', '3'] : [...mode, '--keep-fd', '3']
            t.equal(await seen([sandbox.launcher, ...inside.command(options, show)]), outside, closed)
          }
        })

        t.test('signals that the caller ignores or blocks: as without it', async t => {
          const how = `import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.set_inheritable(3, True)
os.execv(sys.argv[1], sys.argv[1:])`
          const shown = async (...words: readonly string[]) => output(launch(['-c', how, ...words], '/usr/bin/python3'))
          const pattern = ['-E', '^Sig(Ign|Blk)', '/proc/self/status']
          const outside = await shown('/usr/bin/grep', ...pattern)
          t.match(await shown(sandbox.launcher, ...mode, 'show', ...pattern), { ...outside, status: 0 })
          t.match(await shown(sandbox.launcher, ...mode, 'show', 'x', '/nonexistent'), { status: 2, signal: null })
        })

        t.test('a program that cannot be executed is told as without it', async t => {
          makeTree(sandbox.directory, { 'inside/text': 'no program\n', 'inside/script': '#!/nonexistent\n' })
          for (const [name, path] of [
            ['text', `${inside.directory}/text`],
            ['script', `${inside.directory}/script`],
            ['none', '/nonexistent'],
          ] as const) {
            sandbox.install(sandbox.plan('broken', { programs: [{ name, path }] }))
            const plain = await output(launch(['broken']))
            t.match(plain, { status: /^12[67]$/, err: /^appc-run: / })
            t.same(await output(launch([...mode, '--ro', inside.directory, 'broken'])), plain)
          }
        })
      })
    }

    t.test('orphans inside are reaped', async t => {
      const orphans = 'for i in 1 2 3 4 5 6 7 8 9; do sh -c "sh -c : &"; done'
      const zombies = 'while grep -q "^State:.Z" /proc/[0-9]*/status 2>/dev/null; do :; done; echo none'
      for (const mode of ['--sandbox', '--unshare-pid']) {
        const child = start([mode], `${orphans}; ${zombies}`)
        t.match(await output(child), { out: 'none\n', status: 0 })
      }
    })

    t.test('kill -9 of the first process of the namespace ends all', async t => {
      const child = start(['--sandbox'], 'sleep 1000 & echo ready; wait')
      await lines(child).next()
      const [first = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ')
      process.kill(Number(first), 'SIGKILL')
      t.match(await output(child), { status: null, signal: 'SIGKILL' })
    })

    t.test('--status-fd', async t => {
      const told = async (child: ChildProcess) => {
        const [lines] = await Promise.all([text(child.stdio[3] as Readable), output(child)])
        return lines
          .split('\n')
          .filter(Boolean)
          .map(line => JSON.parse(line))
      }
      const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts']
      for (const mode of [[], ['--sandbox'], ['--unshare-net']]) {
        t.test(mode.join(' ') || 'alone', async t => {
          const child = start([...mode, '--status-fd', '3'], 'read line; exit 6')
          const [first] = await once(createInterface(child.stdio[3] as Readable), 'line')
          const started = JSON.parse(first)
          t.match(started, { event: 'started', pid: Number })
          t.same(Object.keys(started.namespaces), kinds)
          for (const kind of kinds) {
            const link =
              process.geteuid?.() === 0
                ? readlinkSync(`/proc/${started.pid}/ns/${kind}`)
                : `[${started.namespaces[kind]}]`
            t.match(link, `[${started.namespaces[kind]}]`)
          }
          t.equal(readFileSync(`/proc/${started.pid}/comm`, 'utf8'), 'sh\n')
          child.stdin?.end('\n')
          t.equal((await output(child)).status, 6)
        })
      }
      t.match(await told(start(['--status-fd', '3'], 'exit 9')), [{ event: 'started' }, { event: 'exited', status: 9 }])
      t.match(await told(start(['--status-fd', '3'], 'kill -9 $$')), [
        { event: 'started' },
        { event: 'exited', signal: 9 },
      ])
      t.same(await told(launch(['--status-fd', '3', 'broken'])), [], 'nothing of what was not executed')
      t.equal((await output(start(['--status-fd', '3'], 'test ! -e /proc/self/fd/3'))).status, 0, 'not the program’s')

      const reader = start(['--status-fd', '3'], 'read line; exit 7')
      reader.stdio[3]?.destroy()
      reader.stdin?.end('\n')
      t.match(await output(reader), { status: 7, err: '' }, 'who asked has gone')

      const file = openSync('/etc/hostname', 'r')
      t.teardown(() => closeSync(file))
      const unwritable = spawn(sandbox.launcher, inside.command(['--status-fd', '3'], 'echo ran'), {
        ...user,
        env: sandbox.environment(),
        stdio: ['ignore', 'pipe', 'pipe', file],
      })
      t.match(await output(unwritable), { status: 125, out: '', err: /^appc-run: no descriptor for --status-fd: 3/ })
      const full = openSync('/dev/full', 'w')
      t.teardown(() => closeSync(full))
      const lost = spawn(sandbox.launcher, inside.command(['--status-fd', '3'], 'sleep 1000'), {
        ...user,
        env: sandbox.environment(),
        stdio: ['ignore', 'pipe', 'pipe', full],
      })
      t.match(await output(lost), { status: 125, err: /cannot write to the descriptor of --status-fd: No space left/ })
    })

    t.test('--error-fd ends when the program runs', async t => {
      for (const mode of [['--sandbox'], ['--new-session']]) {
        const child = start([...mode, '--error-fd', '3'], 'read line')
        t.equal(await text(child.stdio[3] as Readable), '\n', mode.join())
        t.equal(child.exitCode, null)
        child.stdin?.end('\n')
        t.equal((await output(child)).status, 0)
      }
    })

    t.test('many at once', async t => {
      const ended = await Promise.all(
        Array.from({ length: 40 }, (_, i) => output(start(['--sandbox'], `echo ${i}; exit ${i}`))),
      )
      t.same(
        ended,
        ended.map((_, i) => ({ out: `${i}\n`, err: '', status: i, signal: null })),
      )
    })
  })
}
