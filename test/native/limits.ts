import { spawnSync } from 'node:child_process'
import t from 'tap'
import { bootMachine } from '../support/machine.js'
import { Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)

    t.test('of each process, however much is confined besides', async t => {
      const limits: readonly (readonly [word: string, shown: RegExp])[] = [
        ['as=4G', /^Max address space +4294967296 +4294967296/m],
        ['core=0', /^Max core file size +0 +0/m],
        ['cpu=100', /^Max cpu time +100 +100/m],
        ['data=1T', /^Max data size +1099511627776 +1099511627776/m],
        ['fsize=3M', /^Max file size +3145728 +3145728/m],
        ['memlock=64K', /^Max locked memory +65536 +65536/m],
        ['msgqueue=0', /^Max msgqueue size +0 +0/m],
        ['nice=0', /^Max nice priority +0 +0/m],
        ['nofile=7', /^Max open files +7 +7/m],
        ['nproc=1000', /^Max processes +1000 +1000/m],
        ['rtprio=0', /^Max realtime priority +0 +0/m],
        ['stack=1M', /^Max stack size +1048576 +1048576/m],
      ]
      const words = limits.flatMap(([word]) => ['--limit', word])
      for (const options of [[], ['--sandbox'], ['--new-session']]) {
        const { stdout, stderr } = inside.run([...options, ...words], 'cat /proc/self/limits')
        for (const [word, shown] of limits) t.match(stdout, shown, `${options.join(' ')} ${word}: ${stderr}`)
      }
      const own = spawnSync('cat', ['/proc/self/limits'], { encoding: 'utf8' }).stdout
      t.equal(inside.run([], 'cat /proc/self/limits').stdout, own)
      t.match(inside.run(['--limit', 'fsize=1K', '--rw', inside.directory], 'head -c 2000 /dev/zero'), { status: 0 })
    })

    t.test('the last of the same counts, and none can be raised', async t => {
      const show = 'grep "open files" /proc/self/limits'
      t.match(inside.run(['--limit', 'nofile=50', '--limit', 'nofile=40'], show).stdout, /files +40 +40/)
      const raised = {
        status: 125,
        stdout: '',
        stderr: /^appc-run: cannot set the limit nofile: Operation not permitted\n/,
      }
      const first = ['/bin/sh', '-c', 'ulimit -n 100; exec "$0" "$@"', sandbox.launcher]
      // Root with all capabilities may.
      const become = ['setpriv', '--bounding-set=-sys_resource', '--inh-caps=-sys_resource']
      const [command = '', ...rest] = user.uid === 0 ? [...become, ...first] : first
      for (const value of ['200', 'unlimited']) {
        t.match(sandbox.run([...rest, ...inside.command(['--limit', `nofile=${value}`], show)], { command }), raised)
      }
    })

    t.test('what is no limit', async t => {
      const wrong = [
        '',
        '=',
        'nofile',
        'nofile=',
        'nofile=x',
        'nofile=-1',
        'nofile=1X',
        'nofile=1KK',
        'nofile= 1',
        'files=1',
      ]
      const tooLarge = [
        'nofile=99999999999999999999',
        'as=9999999T',
        'memory=0',
        'memory=unlimited',
        'pids=0',
        'cpus=0',
      ]
      for (const word of [
        ...wrong,
        ...tooLarge,
        'cpus=1.2345',
        'cpus=.5',
        'cpus=1.5.5',
        'cpus=x',
        'Memory=1',
        'memory',
      ]) {
        const told = word === '' ? /^appc-run: this option needs NAME=VALUE: --limit\n/ : /^appc-run: no limit: /
        t.match(inside.run([`--limit=${word}`], 'echo ran'), { status: 125, stdout: '', stderr: told }, word)
      }
    })

    t.test('of all together, where there is no cgroup v2: told, and nothing is run', async t => {
      const ids = ['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups']
      const hide = 'mount -t tmpfs tmpfs /sys/fs/cgroup && exec setpriv "$@"'
      for (const options of [[], ['--sandbox']]) {
        const launch = [sandbox.launcher, ...inside.command([...options, '--limit', 'memory=64M'], 'echo ran')]
        const isRoot = process.geteuid?.() === 0
        const enter = isRoot ? ['--mount'] : ['--user', '--map-root-user', '--mount']
        const become = isRoot ? ids : ['--no-new-privs']
        const { status, stdout, stderr } = spawnSync(
          'unshare',
          [...enter, 'sh', '-c', hide, 'sh', ...become, ...launch],
          {
            encoding: 'utf8',
            env: sandbox.environment(),
          },
        )
        if (!isRoot) continue
        t.match(
          stderr,
          /^appc-run: cannot limit the program by a control group: cgroup v2: No such file or directory\n\nhint: /,
        )
        t.same([status, stdout], [125, ''])
      }
    })
  })
}

/*
 * Control groups take a kernel that leaves its controllers to cgroup v2, which the machine that runs the tests may have given to
 * cgroup v1, or to somebody else.
 */
const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mkdir -p /sys/fs/cgroup
mount -t cgroup2 cgroup /sys/fs/cgroup
cd /sys/fs/cgroup
say() { echo "== $*"; }
left() { sleep 1; for at in /sys/fs/cgroup/appc* /sys/fs/cgroup/user/appc*; do test -e $at && echo "left $at"; done; }
show='for file in memory.max pids.max cpu.max; do test -e /sys/fs/cgroup$(sed s/0::// /proc/self/cgroup)/$file && cat /sys/fs/cgroup$(sed s/0::// /proc/self/cgroup)/$file; done'

say root, in the root group
run() { APPC_HOME=/stores/root /installation/build/Release/appc-run "$@"; echo "status $?"; }
run --limit memory=64M --limit pids=9 --limit cpus=0.5 app -c "$show"
left
say root, read-only
run --sandbox --limit memory=64M --limit pids=9 --limit cpus=1.25 app -c "$show; touch /sys/fs/cgroup/x"
left
say too much memory
run --limit memory=16M app -c 'dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null'
left
say too many processes
run --limit pids=5 app -c 'for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo not reached' 2>&1 | sed 's/.*\\(fork\\).*/\\1/'
left
say what is in the background ends with it
run --limit pids=9 app -c 'sleep 1000 & sleep 1000 & :'
ps -o args | grep -c '[s]leep 1000'
left
for mode in '' --sandbox; do
  say "killed $mode"
  APPC_HOME=/stores/root /installation/build/Release/appc-run $mode --limit pids=9 app -c 'sleep 1000 & sleep 1000' &
  sleep 1
  ls -d /sys/fs/cgroup/appc-* | wc -l
  kill -9 $!
  left
  ps -o args | grep -c '[s]leep 1000'
done

echo '+memory +pids +cpu' >cgroup.subtree_control
mkdir user
chown -R 1000:1000 user /stores/user
chmod 755 user
export APPC_HOME=/stores/user
in_group() { sh -c 'echo $$ >/sys/fs/cgroup/user/cgroup.procs && exec su user -c "$1"' sh "$1"; echo "status $?"; }
launch=/installation/build/Release/appc-run
say a user, alone in a group that is his
in_group "exec $launch --limit memory=32M --limit pids=9 --limit cpus=2 app -c '$show'"
left
echo '-memory -pids -cpu' >user/cgroup.subtree_control
say once more, confined
in_group "exec $launch --sandbox --limit memory=32M --limit pids=9 --limit cpus=2 app -c '$show'"
left
echo '-memory -pids -cpu' >user/cgroup.subtree_control
rmdir user/appc-launchers
say not alone there
in_group "$launch --limit memory=32M app -c 'echo ran'; $launch --limit pids=9 app -c 'echo ran'; cat /proc/self/cgroup"
cat user/cgroup.subtree_control
left
say not his
echo $$ >/sys/fs/cgroup/cgroup.procs
su user -c "$launch --limit memory=32M app -c 'echo ran'"
say end
poweroff -f
`

t.test('control groups, on a machine that has them', async t => {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const { shown } = bootMachine(sandbox, {
    files: { init: INIT, dev: null, tmp: null, home: null, run: null },
    commands: 'cat chmod chown dd echo grep kill ls mkdir ps rmdir sed sleep su test touch wc'.split(' '),
    plan: {},
  })
  const told = new Map(
    shown
      .slice(shown.indexOf('== '))
      .split('== ')
      .slice(1)
      .map(part => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]),
  )
  const tells = (title: string, expected: string | RegExp) => t.match(told.get(title), expected, title)
  tells('root, in the root group', /^67108864\n9\n50000 100000\nstatus 0\n$/)
  tells('root, read-only', /^67108864\n9\n125000 100000\n[^\n]*Read-only file system\nstatus 1\n$/)
  tells('too much memory', /^(Killed\n)?status 137\n$/)
  tells('too many processes', /^fork\nstatus 2\n$/)
  tells('what is in the background ends with it', /^status 0\n0\n$/)
  tells('killed ', /^1\n(Killed\n)?0\n$/)
  tells('killed --sandbox', /^1\n(Killed\n)?0\n$/)
  const launchers = 'left /sys/fs/cgroup/user/appc-launchers\n'
  tells('a user, alone in a group that is his', `33554432\n9\n200000 100000\nstatus 0\n${launchers}`)
  tells('once more, confined', `33554432\n9\n200000 100000\nstatus 0\n${launchers}`)
  tells(
    'not alone there',
    /^(appc-run: [^\n]*cgroup.procs: Device or resource busy\n\nhint: [^\n]+\n){2}0::\/user\nstatus 0\n+$/,
  )
  tells('not his', /^appc-run: [^\n]*: Permission denied\n\nhint: [^\n]+\n$/)
  t.ok(told.has('end'))
})
