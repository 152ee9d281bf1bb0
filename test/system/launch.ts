import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { roots } from '../support/roots.js'
import { finished, forEachPerson } from '../support/site.js'
import { onTerminal } from '../support/terminal.js'

/**
 * Catches Ctrl-C whenever it comes after "ready". (A shell would not: what arrives between its look for caught signals and
 * its read() only counts after the read.)
 */
const CATCHES = `
  use POSIX;
  sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGINT));
  $SIG{INT} = sub { print "caught\\n"; exit 7 };
  print "ready\\n";
  sigsuspend(POSIX::SigSet->new)`

const mountTable = () => readFileSync('/proc/self/mountinfo', 'utf8')

forEachPerson((who, makeSite) =>
  t.test(`launching, ${who}`, async t => {
    const site = makeSite()
    t.teardown(() => site.remove())
    const mounts = mountTable()
    const isRoot = site.user.uid === 0
    // Debian 13's bash needs its own glibc here: a launch has mounts to make.
    await site.packAll([roots.trixie(), 'shell', 'bash', 'jq'])
    const shell = (script: string, options = {}) => site.run(['shell', '-c', script], options)
    const forget = () => rmSync(join(site.store, 'plans'), { recursive: true, force: true })

    t.test('the second launch starts nothing but the program', async t => {
      const executed = async () => {
        const trace = join(site.home, 'trace')
        const options = ['-f', '--seccomp-bpf', '-qq', '-e', 'trace=execve', '-e', 'status=successful', '-o', trace]
        const ran = await site.command('strace', [...options, site.launcher, 'shell', '-c', 'echo $BASH_VERSION'])
        t.match(ran, { status: 0, stdout: /^5\.2\./, stderr: '' })
        return [...readFileSync(trace, 'utf8').matchAll(/execve\("([^"]*)"/g)].map(([, path = '']) => path)
      }
      const first = await executed()
      t.match(
        first.map(path => basename(path)),
        ['appc-run', 'node', 'appc-run', 'bash'],
      )
      t.same(await executed(), [site.launcher, '/usr/bin/bash'])
      t.match(await shell('echo $0', { env: { PATH: '/nonexistent' } }), { status: 0, stdout: 'bash\n', stderr: '' })
    })

    for (const [when, prepare] of [
      ['planned for', forget],
      ['with its plan', () => {}],
    ] as const) {
      t.test(`status, input, directory and arguments pass, ${when}`, async t => {
        const long = Array.from({ length: 12 }, () => 'x'.repeat(100_000))
        const many = Array.from({ length: 5000 }, (_, index) => `${index}`)
        prepare()
        const script = 'cat; echo $# $(printf %s "$1" | wc -c); exit 42'
        const input = 'a\0b\n'
        const passed = await site.run(['shell', '-c', script, 'sh', ...long, ...many], { input })
        t.match(passed, { status: 42, stdout: `${input}5012 100000\n`, stderr: '' })
        prepare()
        const removed = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" shell -c "echo started; ls -a"'
        const ran = await site.command('/bin/sh', ['-c', removed, site.launcher])
        t.match(ran, { status: 0, stdout: 'started\n' }, 'in a directory that was removed')
      })

      t.test(`signals reach the program, ${when}`, async t => {
        prepare()
        const child = site.start(site.launcher, ['shell', '-c', 'echo $$; exec sleep 1000'])
        const [line] = await once(child.stdout ?? child, 'data')
        t.equal(Number(String(line)), child.pid, 'the program has taken the launcher’s place')
        child.kill('SIGTERM')
        t.match(await finished(child), { status: null, signal: 'SIGTERM' })
        t.notOk(existsSync(`/proc/${child.pid}`))

        prepare()
        const interrupted = async (program: string) => {
          const shell = ['shell', '-c', `test -t 0 && exec perl -e '$| = 1; ${program}'`]
          const steps = [{ wait: 'ready', type: '\x03' }]
          const { shown, status } = await onTerminal(site.user, site.environment, steps, [site.launcher, ...shell])
          return { shown: shown.replace('^C', ''), status }
        }
        t.same(await interrupted(CATCHES), { shown: 'ready\ncaught\n', status: 7 })
        prepare()
        t.same(await interrupted('print "ready\\n"; sleep'), { shown: 'ready\n', status: -2 })
      })
    }

    t.test('a program’s end, the end of its input, and its directory', async t => {
      const passes = async (script: string, expected: object, options = {}) =>
        t.match(await shell(script, options), { stderr: '', ...expected }, script)
      await passes('kill -SEGV $$', { status: null, signal: 'SIGSEGV' })
      await passes('cat; echo end', { status: 0, stdout: 'end\n' })
      await passes('pwd; echo $PWD', { stdout: '/usr/lib\n/usr/lib\n' }, { cwd: '/usr/lib', env: { PWD: '/usr/lib' } })
      await passes('ls -d gconv/EUC-JP.so', { stdout: 'gconv/EUC-JP.so\n' }, { cwd: '/usr/lib/x86_64-linux-gnu' })
    })

    t.test('what cannot be launched: one clear error, and nothing left behind', async t => {
      const before = site.listing()
      const fails = async (args: readonly string[], status: number, stderr: RegExp) => {
        const ran = await site.run(args)
        t.match(ran, { status, stdout: '', stderr }, args.join(' '))
        t.match(ran.stderr, /^appc-run: [^\n]+\n(\nhint: [^\n]+\n)?$/, 'one error')
      }
      await fails(['shel'], 125, /no container shel\b[\s\S]*hint: .*shell/)
      await fails(['unknown/entry'], 125, /no container unknown/)
      await fails(['shell/ash'], 127, /no such program in the container: ash\n\nhint: /)
      for (const name of ['a/b/c', '..', '../', '', 'shell/', 'shell/..', 'Shell', '-shell']) {
        await fails([name], name === '../' ? 126 : 125, /./)
      }
      await fails(['--root', '/etc/passwd', 'shell'], 125, /\/etc\/passwd: Not a directory/)
      await fails(['--root', '/nonexistent', 'shell'], 125, /\/nonexistent: No such file or directory/)
      await fails(['--root', site.home, 'shell'], 125, /shell cannot run on this host/)
      t.same(site.listing(), before)
    })

    t.test('case 48: a kernel that refuses namespaces', async t => {
      await shell('exit 0')
      const before = site.listing()
      // A user namespace of its own can be given limits, which hold for it and those below it.
      const limit = isRoot ? 'mnt' : 'user'
      const become = isRoot ? '--map-root-user' : '--map-current-user'
      const script = `echo 0 >/proc/sys/user/max_${limit}_namespaces && exec setpriv --inh-caps -all --ambient-caps -all "$@"`
      const confined = (...command: string[]) =>
        site.command('unshare', [
          '--user',
          become,
          ...(isRoot ? [] : ['--keep-caps']),
          'sh',
          '-c',
          script,
          'sh',
          ...command,
        ])
      t.match(await confined('echo', 'works'), { status: 0, stdout: 'works\n', stderr: '' })
      const ran = await confined(site.launcher, 'shell', '-c', 'echo must not run')
      t.match(ran, { status: 125, stdout: '', stderr: /^appc-run: [^\n]*namespace[^\n]*\n\nhint: [^\n]+\n$/ })
      t.same(site.listing(), before)
    })

    t.equal(mountTable(), mounts, 'no mount is left')
  }),
)
