import { chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { onTerminal, type Step } from '../support/terminal.js'
import { makeTree, Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

/** Tells the size of its terminal, and each signal that comes with the size as it is then. */
const WATCH = `
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
int main(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  for (int signal = 0;;) {
    struct winsize size = {0};
    ioctl(0, TIOCGWINSZ, &size);
    printf("%s %dx%d.\\n", signal ? sigabbrev_np(signal) : "ready", size.ws_row, size.ws_col);
    fflush(stdout);
    if (signal == SIGQUIT) return 7;
    sigwait(&all, &signal);
  }
}`

const MODES: readonly (readonly string[])[] = [[], ['--new-session'], ['--unshare-pid'], ['--sandbox']]
const PROMPT = '^ready> '
/** The prompt after this, since what is typed before it may be lost. */
const after = (shown: string) => `${shown}[\\s\\S]*?${PROMPT}`
/** Waits until the job is stopped. */
const STOPPED = 'until jobs | grep -q Stopped; do sleep 0.01; done; echo is "stopped"\n'
/** What bash says that it continues. */
const AGAIN = '^\\./run \\w+$'

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    inside.compile('watch', WATCH)
    chmodSync(sandbox.directory, 0o777)
    const env = sandbox.environment()
    const direct = (mode: readonly string[], steps: readonly Step[], script: string, ...args: readonly string[]) =>
      onTerminal(user, env, steps, [sandbox.launcher, ...inside.command(mode, script, ...args)])

    /** In a shell with job control; `run` is the launch of a script. */
    const inShell = (mode: readonly string[], scripts: Readonly<Record<string, string>>, steps: readonly Step[]) => {
      makeTree(inside.directory, scripts)
      const rc = join(sandbox.directory, 'bashrc')
      const run = `exec $APPC_RUN ${[...mode, '--ro', inside.directory].join(' ')} inside ${inside.directory}/$1`
      makeTree(sandbox.directory, { bashrc: "PS1='ready> '\n", run: `#!/bin/sh\n${run}\n` })
      return onTerminal(user, env, steps, ['/bin/bash', '--noprofile', '--rcfile', rc, '-i'], sandbox.directory)
    }

    for (const mode of MODES) {
      t.test(mode.join(' ') || 'without a confinement', async t => {
        t.test('Ctrl-C and Ctrl-\\ come once, sizes follow', async t => {
          const steps: readonly Step[] = [
            { wait: 'ready \\d+x\\d+\\.', size: [33, 101] },
            { wait: 'WINCH 33x101', type: '\x03' },
            { wait: 'INT', type: '\x1c' },
            { wait: 'QUIT' },
          ]
          const { shown, status, missing } = await direct(mode, steps, 'exec "$1"', `${inside.directory}/watch`)
          t.equal(missing, null, shown)
          t.match(shown.replace(/\^[C\\]/g, ''), /^ready \d+x\d+\.\nWINCH 33x101\.\nINT 33x101\.\nQUIT 33x101\.\n$/)
          t.equal(status, 7)
        })

        t.test('keys as they are typed, and all that is written last', async t => {
          const script = 'read line; echo "<$line>"; seq 1 20000'
          const { shown, status } = await direct(mode, [{ wait: '', type: 'a key\n' }], script)
          const [, numbers = ''] = shown.split('<a key>\n')
          t.equal(numbers, `${Array.from({ length: 20000 }, (_, i) => i + 1).join('\n')}\n`)
          t.equal(status, 0)
        })

        t.test('the window is closed: the program gets SIGHUP', async t => {
          const heard = sandbox.path(`heard${mode.join('')}`)
          mkdirSync(heard)
          chmodSync(heard, 0o777)
          const script = `trap 'echo hung up >${heard}/x; exit' HUP; echo on; while :; do read line || sleep 0.1; done`
          const { missing } = await direct([...mode, '--rw', heard], [{ wait: 'on', hangUp: true }], script)
          t.equal(missing, null)
          t.equal(readFileSync(`${heard}/x`, 'utf8'), 'hung up\n')
        })

        t.test('Ctrl-Z, bg and fg', async t => {
          const steps: readonly Step[] = [
            { wait: PROMPT, type: './run cat\n' },
            { wait: 'started', type: 'one\n' },
            { wait: '^<one>', type: '\x1a' },
            { wait: after('Stopped'), type: 'stty -a\n' },
            { wait: after(' echo '), type: 'fg\n' },
            { wait: AGAIN, type: 'two\n' },
            { wait: '^<two>', type: '\x1a' },
            { wait: after('Stopped'), type: 'bg\n' },
            // It reads: in the background it is stopped again.
            { wait: after('cat &'), type: STOPPED },
            { wait: after('is stopped'), type: 'fg\n' },
            { wait: AGAIN, type: 'end\n' },
            { wait: after('ended'), type: 'echo status $?; stty -a\n' },
            { wait: 'status 4' },
            { wait: after(' echo '), type: 'exit\n' },
          ]
          const cat =
            'echo started; while read line; do echo "<$line>"; [ "$line" = end ] && break; done; echo ended; exit 4'
          const { shown, missing } = await inShell(mode, { cat }, steps)
          t.equal(missing, null, shown)
        })

        t.test('in the background it runs until it reads', async t => {
          const script = `echo begun; read go <&3; echo read; read line; echo "<$line>"`
          const steps: readonly Step[] = [
            { wait: PROMPT, type: `rm -f fifo; mkfifo fifo; exec 3<>fifo; ./run script &\n` },
            { wait: 'begun', type: '\n' },
            { wait: PROMPT, type: 'jobs\n' },
            { wait: after('Running'), type: 'fg\n' },
            { wait: AGAIN, type: '\x1a', toJob: true },
            { wait: after('Stopped'), type: 'bg\n' },
            { wait: after('script &'), type: 'jobs\n' },
            { wait: after('Running'), type: `echo go >&3; ${STOPPED}` },
            { wait: after('is stopped'), type: 'fg\n' },
            { wait: AGAIN, type: 'typed\n' },
            { wait: after('^typed\n<typed>'), type: 'exit\n' },
          ]
          const { shown, missing } = await inShell([...mode, '--keep-fd', '3'], { script }, steps)
          t.equal(missing, null, shown)
        })

        t.test('input from elsewhere: Ctrl-C still ends it', async t => {
          // Not from a pipe: what bash shows of a job depends on which of its members ends first.
          const steps: readonly Step[] = [
            { wait: PROMPT, type: './run wait </dev/null\n' },
            { wait: '^waiting', type: '\x03' },
            { wait: PROMPT, type: 'echo "status" $?\n' },
            { wait: after('status 130'), type: 'exit\n' },
          ]
          const { shown, missing } = await inShell(mode, { wait: 'echo waiting; exec sleep 1000' }, steps)
          t.equal(missing, null, shown)
        })

        t.test('output to something that reads the keys: they are for that alone', async t => {
          makeTree(sandbox.directory, {
            pager: 'read line; for i in 1 2 3 4 5 6 7 8; do read key </dev/tty; echo "<$key>"; done',
          })
          const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
          const steps: readonly Step[] = [
            { wait: PROMPT, type: './run talk | sh pager; echo "status $?"\n' },
            ...keys.map((key, i) => ({ wait: i === 0 ? 'status \\$' : `^<${keys[i - 1]}>`, type: `${key}\n` })),
            { wait: '^<h>' },
            { wait: after('status 0'), type: 'exit\n' },
          ]
          const { shown, missing } = await inShell(mode, { talk: 'while echo x; do :; done' }, steps)
          t.equal(missing, null, shown)
        })

        t.test('killed, it leaves the terminal as it was', async t => {
          const steps: readonly Step[] = [
            {
              wait: PROMPT,
              type: 'stty -a >before; ./run raw; echo "status $?"; stty -a >after; cmp before after && echo same\n',
            },
            { wait: '^raw', type: 'x' },
            { wait: 'status 143' },
            { wait: after('^same'), type: 'exit\n' },
          ]
          const raw = 'stty raw -echo; echo raw; head -c 1 >/dev/null; kill -TERM $$'
          const { shown, missing } = await inShell(mode, { raw }, steps)
          t.equal(missing, null, shown)
        })
      })
    }

    t.test('it is a terminal of its own', async t => {
      for (const mode of [['--sandbox'], ['--new-session']]) {
        const script =
          'tty; test -t 0 && test -t 1 && test -t 2 && echo all; echo x >/dev/tty; ps -o tpgid=,pgid= -p $$'
        const { shown, status } = await direct(mode, [], script)
        t.match(shown, /^\/dev\/pts\/\d+\nall\nx\n *(\d+) +\1\n$/, mode.join())
        t.equal(status, 0)
      }
      const { shown } = await direct(['--sandbox'], [], 'tty; ls /dev/pts')
      t.match(shown, /^\/dev\/pts\/0\n0 +ptmx\n$/)
    })
  })
}
