import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { constants } from 'node:os'
import type { Duplex } from 'node:stream'
import t from 'tap'
import { finished } from '../support/site.js'
import { coldStatus, makeTree, Sandbox, users } from './fixture.js'

const { EACCES, EPERM, ENOENT } = constants.errno

for (const [who, user] of users) {
  t.test(`--error-fd, as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    /** Runs a line of shell in which "$@" is appc-run that reports by descriptor 3. */
    const run = (line: string) => {
      const script = `exec 3>&1 >&2; set -- "$APPC_RUN" --error-fd 3; ${line}`
      const { status, stdout, stderr } = sandbox.run(['-c', script], { command: '/bin/sh' })
      return { status, report: stdout, printed: stderr }
    }
    const overlay = sandbox.overlay('app', { x: 'host' }, { x: 'layer' })
    makeTree(sandbox.directory, { data: 'x', script: '#!/nonexistent/interpreter\n' })
    chmodSync(sandbox.path('data'), 0o644)
    const programs = ['/bin/sh', '/nonexistent/missing', sandbox.path('data'), sandbox.path('script')].map(path => ({
      name: path.replace(/.*\//, ''),
      path,
    }))
    sandbox.install(sandbox.plan('app', { overlays: [overlay], programs }))

    t.test('an empty line before the program, which does not get the descriptor', async t => {
      const line = `"$@" app -c 'cat ${overlay.target}/x; for fd in 0 1 2 3 4; do if [ -e /proc/$$/fd/$fd ]; then echo $fd; fi; done'`
      t.same(run(line), { status: 0, report: '\n', printed: 'layer0\n1\n2\n' })
    })

    t.test('a failure is one line of JSON, and nothing on standard error', async t => {
      const none = { step: null, path: null, errno: null }
      const cases: readonly (readonly [string, object])[] = [
        ['"$@"', { status: 125, code: 'USAGE', message: 'nothing to run', cause: null, ...none, hint: /--help/ }],
        ['"$@" --nonsense', { status: 125, code: 'USAGE', message: 'unknown option --nonsense', ...none }],
        ['"$@" Name', { status: 125, code: 'NAME_INVALID', message: "not a container's name: Name", ...none }],
        ['"$@" app/other', { status: 127, code: 'ENTRY_UNKNOWN', message: /: other$/, ...none, hint: /^appc list/ }],
        ['"$@" ./nothing', { status: 127, code: 'FILE_MISSING', cause: 'No such file or directory', ...none }],
        [
          '"$@" --root /nonexistent app',
          { status: 125, code: 'LAUNCH_FAILED', step: 'openDirectory', path: '/nonexistent', errno: ENOENT },
        ],
        [
          'PATH=/nonexistent; "$@" unknown',
          { status: 125, code: 'LAUNCH_FAILED', message: 'cannot plan: no node on PATH', ...none },
        ],
        [
          'APPC_REPLANNED=4:0: "$@" unknown',
          {
            status: 125,
            code: 'PLAN_UNSTABLE',
            message: 'the host keeps changing: planned 4 times, and still',
            ...none,
          },
        ],
        [
          'strace -qq -o /dev/null -e inject=fsopen:error=EPERM "$@" app',
          {
            status: 125,
            code: 'KERNEL_REFUSED',
            message: `the kernel refuses an overlay, and what would stand in for it, for ${overlay.target}`,
            cause: 'Operation not permitted',
            hint: /seccomp/,
            step: 'createSkeleton',
            path: overlay.target,
            errno: EPERM,
          },
        ],
      ]
      for (const [line, expected] of cases) {
        const { status, report, printed } = run(line)
        t.match({ status, printed }, { printed: '' }, line)
        t.match(report, /^[^\n]+\n$/, line)
        t.match({ status, ...JSON.parse(report) }, { schema: 'appc.error/1', ...expected }, line)
      }
    })

    t.test('what the program itself is refused for comes after the empty line', async t => {
      const cases: readonly (readonly [string, object])[] = [
        [
          'missing',
          { status: 127, code: 'FILE_MISSING', step: 'execute', path: '/nonexistent/missing', errno: ENOENT },
        ],
        ['data', { status: 126, code: 'LAUNCH_FAILED', step: 'execute', path: sandbox.path('data'), errno: EACCES }],
        ['script', { status: 126, code: 'LAUNCH_FAILED', cause: /interpreter/, hint: /first line/, step: null }],
      ]
      for (const [name, expected] of cases) {
        const { status, report, printed } = run(`"$@" app/${name}`)
        t.equal(printed, '')
        t.match(report, /^\n[^\n]+\n$/)
        t.match({ status, ...JSON.parse(report) }, expected, name)
      }
    })

    t.test('any bytes of a name make sound JSON', async t => {
      const name = String.raw`./\001\n"\\\177\303\251\360\237\230\200 \377 \300\200 \355\240\200 \303`
      const { report } = run(`"$@" "$(printf '${name}')"`)
      const shown = './\x01\n"\\\x7fé😀 \ufffd \ufffd\ufffd \ufffd\ufffd\ufffd \ufffd'
      t.equal(JSON.parse(report).message, `no such program: ${shown}`)
    })

    t.test('Node gets it too, and is told which it is', async t => {
      const { status, printed } = run('"$@" unknown; status=$?; [ -e /proc/$$/fd/3 ]; exit $status')
      t.equal(status, coldStatus)
      t.match(printed, /^1:[0-9a-f]+:0,1,2,3\b/)
      t.match(printed, /\n--error-fd=3\n--exe=/)
    })

    t.test('what cannot be one is refused on standard error', async t => {
      for (const value of ['0', '2', '9', '03', '3x', '-3', '1024', '99999999999999999999']) {
        const { status, stderr } = sandbox.run(['--error-fd', value, 'app'])
        t.equal(status, 125)
        t.match(stderr, /^appc-run: no descriptor for --error-fd: \S+: Bad file descriptor\n\nhint: it is one from 3/)
      }
    })

    t.test('who asked may have gone: the program is started all the same', async t => {
      const script = 'read -r _; exec "$APPC_RUN" --error-fd 3 app -c "echo alive"'
      const child = spawn('/bin/sh', ['-c', script], {
        ...user,
        env: sandbox.environment(),
        stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      })
      const reader = child.stdio[3] as Duplex
      reader.destroy()
      await once(reader, 'close')
      t.match(await finished(child, '\n'), { status: 0, signal: null, stdout: 'alive\n' })
    })
  })
}
