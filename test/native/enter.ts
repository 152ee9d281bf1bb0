import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { listProcesses } from '../../lib/launch/processes.js'
import { Sandbox, users } from './fixture.js'

const KINDS = ['user', 'cgroup', 'ipc', 'uts', 'net', 'pid', 'mnt']
/** Prints 3 where all of these are so. */
const CONFINED = 'exec grep -c -E "^(Seccomp:\t2|NoNewPrivs:\t1|CapBnd:\t0+)$" /proc/self/status'
const ALL_PARTS = '1fff'

function childOf(pid: number): number {
  const child = listProcesses().find(({ parent }) => parent === pid)
  if (child === undefined) throw new Error(`${pid} has no child`)
  return child.pid
}

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const overlay = sandbox.overlay('lib', { x: 'host' }, { x: 'layer' })
    sandbox.install(sandbox.plan('app', { overlays: [overlay] }))
    const start = async (...options: readonly string[]) => {
      const args = [...options, 'app', '-c', 'echo ready; read x']
      const child = spawn(sandbox.launcher, args, {
        ...user,
        env: sandbox.environment(),
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      return child
    }
    /** As `appc exec` starts it: with descriptors of the namespaces that differ. */
    const enter = (
      pid: number,
      options: readonly string[],
      command: readonly string[],
      before: readonly string[] = [],
    ) => {
      const kinds = KINDS.filter(
        kind => readlinkSync(`/proc/${pid}/ns/${kind}`) !== readlinkSync(`/proc/self/ns/${kind}`),
      )
      const opening = kinds.map((kind, index) => `${index + 3}</proc/${pid}/ns/${kind}`).join(' ')
      const list = kinds.map((_, index) => index + 3).join()
      const args = [...before, sandbox.launcher, `--enter=${list}`, ...options, '--', ...command]
      return sandbox.run(['-c', `exec "$@" ${opening}`, 'sh', ...args], { command: '/bin/sh', cwd: overlay.target })
    }

    t.test('in its place: files, directory and descriptors are the container’s and the caller’s', async t => {
      const child = await start()
      const { pid = 0 } = child
      t.equal(enter(pid, [], ['cat', 'x']).stdout, 'layer', 'the working directory as it is inside')
      const descriptors = ['-c', 'cd /proc/self/fd; echo *']
      const outside = sandbox.run(descriptors, { command: '/bin/sh' }).stdout
      t.equal(enter(pid, [], ['sh', ...descriptors]).stdout, outside)
      const ids = enter(pid, [], ['sh', '-c', 'echo $$ $PPID']).stdout.split(' ')
      t.equal(Number(ids[1]), process.pid, 'no process is in between')
      t.equal(enter(pid, [], ['sh', '-c', 'exit 42']).status, 42)
      child.stdin.end()
      await once(child, 'exit')
    })

    t.test('commands are looked for on PATH', async t => {
      const child = await start()
      const { pid = 0 } = child
      writeFileSync(sandbox.path('refused'), 'x')
      writeFileSync(sandbox.path('broken'), '#!/nonexistent/interpreter\n', { mode: 0o755 })
      const statusOf = (path: string, ...command: readonly string[]) => {
        const { status, stderr } = enter(pid, [], command, ['env', `PATH=${path}`])
        return [status, stderr.split('\n')[0]]
      }
      const { directory } = sandbox
      t.same(statusOf(`${directory}:/bin`, 'true'), [0, ''])
      t.same(statusOf(`${directory}:/bin`, 'none'), [
        127,
        'appc-run: no such program: none: no directory of PATH has it',
      ])
      t.same(statusOf('', 'true')[0], 127)
      t.same(statusOf(':.:/usr/bin', 'x')[0], 127, 'not the working directory')
      t.same(statusOf(`${directory}:/bin`, 'refused'), [
        126,
        `appc-run: cannot execute ${directory}/refused: Permission denied`,
      ])
      t.match(statusOf(`${directory}:/bin`, 'broken'), [126, /the interpreter that it names does not exist/])
      t.same(statusOf(directory, '/bin/true'), [0, ''])
      t.same(statusOf('/bin', '')[0], 127)
      child.stdin.end()
      await once(child, 'exit')
    })

    t.test('what is no list of descriptors is refused', async t => {
      const lines = [
        '--enter=',
        '--enter=x',
        '--enter=1,',
        '--enter=,1',
        '--enter=1,2,3,4,5,6,7,8,9',
        '--enter=99999999999',
      ]
      for (const line of lines) t.match(sandbox.run([line, '--', 'true']), { status: 125, stdout: '' }, line)
      t.match(sandbox.run(['--enter=0', '--', 'true']), {
        status: 125,
        stderr: /cannot enter a namespace of the container/,
      })
      for (const as of ['x', '1', '1:', '1:zz', `${process.pid}:ffff`, '0:1']) {
        t.match(sandbox.run(['--enter=0', `--confined-as=${as}`, '--', 'true']), { status: 125, stdout: '' }, as)
      }
    })

    t.test('whatever call fails, the command is confined or does not run', async t => {
      const child = await start('--sandbox')
      const program = childOf(childOf(child.pid ?? 0))
      const trace = sandbox.path('trace')
      const options = [`--confined-as=${program}:${ALL_PARTS}`, '--rw=/tmp', '--rw=/dev', '--rw=/proc']
      const traced = (...with_: readonly string[]) => {
        writeFileSync(trace, '')
        chmodSync(trace, 0o666)
        const strace = ['strace', '-f', '-qq', '-o', trace, ...with_]
        const { status, stdout } = enter(program, options, ['/bin/sh', '-c', CONFINED], strace)
        return { status, stdout, calls: readFileSync(trace, 'utf8') }
      }
      const names = [
        ...['setns', 'ioctl', 'openat2', 'fstatfs', 'prlimit64', 'prctl', 'capset', 'close_range', 'signalfd4'],
        ...[
          'landlock_create_ruleset',
          'landlock_add_rule',
          'landlock_restrict_self',
          'clone',
          'setsid',
          'socketpair',
          'pipe2',
        ],
      ]
      const whole = traced('-e', `trace=execve,${names.join()}`)
      t.match(whole, { status: 0, stdout: '3\n' })
      // From there on the calls are the command's.
      const ofLauncher = whole.calls.slice(0, whole.calls.indexOf('execve("/bin/sh"'))
      for (const name of names) {
        const lines = ofLauncher.split('\n').filter(line => line.includes(` ${name}(`))
        t.ok(lines.length > 0, `${name} is called`)
        // Counted for each process.
        const processes = lines.map(line => line.split(' ')[0])
        const most = Math.max(...processes.map(one => processes.filter(other => other === one).length))
        // Of the bounding set's drops, all alike, a few.
        for (let when = 1; when <= most; when += when > 8 ? 16 : 1) {
          const { status, stdout, calls } = traced(
            '-e',
            `trace=${name}`,
            '-e',
            `inject=${name}:error=EPERM:when=${when}`,
          )
          t.match(calls, '(INJECTED)')
          t.ok(stdout === '3\n' || (stdout === '' && status !== 0), `${name} number ${when}: ${status} ${stdout}`)
        }
      }
      child.stdin.end()
      await once(child, 'exit')
    })
  })
}
