import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { refusing } from '../support/refusing.js'
import { coldStatus, makeTree, Sandbox, users } from './fixture.js'

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const overlay = sandbox.overlay('lib', { x: 'host' }, { x: 'layer' })
    sandbox.install(sandbox.plan('app', { overlays: [overlay] }))

    t.test('no descriptor is left but the standard streams and what the caller gave', async t => {
      const inside = (before: string) =>
        sandbox.run(['-c', `${before} exec $APPC_RUN app -c 'ls /proc/self/fd'`], { command: '/bin/sh' })
      const outside = (before: string) =>
        sandbox.run(['-c', `${before} exec sh -c 'ls /proc/self/fd'`], { command: '/bin/sh' })
      t.equal(inside('').stdout, outside('').stdout)
      t.equal(inside('exec 7</etc/hostname;').stdout, outside('exec 7</etc/hostname;').stdout)
      t.match(inside('exec 7</etc/hostname;').stdout, /^7$/m)
    })

    t.test('capabilities and ids are the caller’s own', async t => {
      const show = 'grep -E "^(Cap(Inh|Prm|Eff|Amb)|Uid|Gid)" /proc/self/status'
      const outside = sandbox.run(['-c', show], { command: '/bin/sh' }).stdout
      const inside = sandbox.run(['app', '-c', show]).stdout
      t.equal(inside, outside)
      if (user.uid !== 0) t.match(inside, /CapPrm:\t0+\nCapEff:\t0+\n/)
    })

    t.test('nothing appears in a host whose mounts are shared', async t => {
      const show = 'grep -c -E " - overlay appc:|appc-native" /proc/self/mountinfo'
      const script = [`$APPC_RUN app -c 'cat ${overlay.target}/x; ${show}'`, show].join('; ')
      // As systemd leaves a machine; this one's own may be private. The caller gets no new rights by it.
      const asUser = ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', 'sh', '-c', script]
      const args =
        user.uid === 0
          ? ['-m', '--propagation', 'shared', 'sh', '-c', script]
          : ['-m', '--propagation', 'shared', ...asUser]
      const { stdout } = spawnSync('unshare', args, { encoding: 'utf8', env: sandbox.environment() })
      t.equal(stdout, 'layer2\n0\n')
    })

    t.test('one process from begin to end, and no Node', async t => {
      const trace = ['-f', '-e', 'trace=execve,fork,vfork,clone,clone3', sandbox.launcher, 'app', '-c', 'exit 0']
      const { stderr } = sandbox.run(trace, { command: 'strace' })
      // An older strace shows calls that it does not know, whatever it is to trace.
      const calls = stderr.split('\n').filter(line => /^(?!syscall_)\w+\(/.test(line))
      t.equal(calls.length, 2)
      t.match(calls[1], /^execve\("\/bin\/sh", \["sh", "-c", "exit 0"\]/)
    })

    t.test('many at once', async t => {
      const launches = Array.from({ length: 60 }, async () => {
        const child = spawn(sandbox.launcher, ['app', '-c', `cat ${overlay.target}/x`], {
          ...user,
          env: sandbox.environment(),
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const [output] = await Promise.all([text(child.stdout), once(child, 'exit')])
        return output
      })
      t.same(new Set(await Promise.all(launches)), new Set(['layer']))
    })

    t.test('kernels and containers that allow less are made do with', async t => {
      const show = ['app', '-c', `cat ${overlay.target}/x; stat -f -c %T ${overlay.target}`]
      const fallsBack = (rules: readonly string[], type: string, what: string) => {
        const [command, ...words] = [...refusing(...rules), sandbox.launcher, ...show]
        const { stdout, stderr } = sandbox.run(words, { command })
        t.same({ stdout, stderr }, { stdout: `layer${type}\n`, stderr: '' }, what)
      }
      const [setFlag, setDescriptor] = ['fsconfig@1=0', 'fsconfig@1=5']
      fallsBack([`${setDescriptor}:EOPNOTSUPP`], 'overlayfs', 'no options by descriptor, before Linux 6.5')
      fallsBack([`${setDescriptor}:EINVAL`], 'overlayfs', 'no directories by descriptor, before Linux 6.13')
      fallsBack([`${setDescriptor}:EBADF`], 'overlayfs', 'none that were opened with O_PATH, before Linux 6.15')
      fallsBack([`${setFlag}:EINVAL`], 'tmpfs', 'no overlay')
      if (user.uid === 0) fallsBack(['unshare@0=0x20000:EPERM'], 'overlayfs', 'root without CAP_SYS_ADMIN')
    })

    t.test('whatever call fails, the program sees the planned files or does not run', async t => {
      const calls = [
        'openat',
        'openat2',
        'statx',
        'read',
        'readlinkat',
        'getcwd',
        'mmap',
        'madvise',
        'uname',
        'unshare',
        'mount_setattr',
        'write',
        'open_tree',
        'fsopen',
        'fsconfig',
        'fsmount',
        'move_mount',
        'fstatfs',
        'close_range',
        'chdir',
      ]
      const trace = sandbox.path('trace')
      // By the shell itself: a second program would take longer than the launch.
      const launch = [sandbox.launcher, 'app', '-c', `read -r x <${overlay.target}/x; printf %s "$x"`]
      const traced = (...options: readonly string[]) => {
        writeFileSync(trace, '', { mode: 0o666 })
        chmodSync(trace, 0o666)
        const { status, stdout } = sandbox.run(['-qq', '-o', trace, ...options, ...launch], { command: 'strace' })
        // From the second execve on the calls are the program's.
        const [, ofLauncher = ''] = readFileSync(trace, 'utf8').split(/^execve\(/m)
        return { status, stdout, ofLauncher }
      }
      const whole = traced('-e', `trace=execve,${calls.join()}`)
      t.match(whole, { status: 0, stdout: 'layer' })
      for (const call of calls) {
        const count = whole.ofLauncher.split('\n').filter(line => line.startsWith(`${call}(`)).length
        for (const error of ['EPERM', 'ENOENT', 'EINVAL']) {
          for (let when = 1; when <= count; when += 1) {
            const inject = `inject=${call}:error=${error}:when=${when}`
            const { status, stdout, ofLauncher } = traced('-e', `trace=${call},execve`, '-e', inject)
            const right = status === 0 ? stdout === 'layer' : status === 125 || status === 126 || status === coldStatus
            t.ok(
              right && ofLauncher.includes('(INJECTED)'),
              `${call} number ${when}, ${error}: ${status} ${JSON.stringify(stdout)}`,
            )
          }
        }
      }
    })
  })
}

t.test('mounts below a target', async t => {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const overlay = sandbox.overlay('lib', { x: 'host', 'below/hidden': 'host', plain: 'host' }, { x: 'layer' })
  makeTree(sandbox.directory, { 'mounted/deep/z': 'mounted', file: 'file' })
  const below = `${overlay.target}/below`
  const carried = [below, `${overlay.target}/plain`, `${below}/deep`]
  sandbox.install(sandbox.plan('without', { overlays: [overlay] }))
  sandbox.install(sandbox.plan('with', { overlays: [{ ...overlay, carried }] }))
  const show = `cat ${overlay.target}/x ${overlay.target}/plain; cd ${below}; ls; cat deep/z; echo $?`
  const mounts = [
    `mount --bind ${sandbox.path('mounted')} ${below}`,
    `mount --bind ${sandbox.path('mounted/deep')} ${below}/deep`,
    `mount --bind ${sandbox.path('file')} ${overlay.target}/plain`,
  ]
  const inNamespace = (lines: readonly string[], flags: readonly string[] = ['-m']) =>
    spawnSync('unshare', [...flags, 'sh', '-c', lines.join('\n')], { encoding: 'utf8', env: sandbox.environment() })

  t.test('one that came, and one that went, since the plan was made', async t => {
    t.equal(inNamespace([`$APPC_RUN without -c 'exit 0'`]).status, 0)
    t.equal(inNamespace([...mounts, `$APPC_RUN without -c 'exit 0'`]).status, coldStatus)
    t.equal(inNamespace([...mounts.slice(0, 2), `$APPC_RUN with -c 'exit 0'`]).status, coldStatus)
  })

  t.test('they are carried over, also into a container in the container', async t => {
    const seen = 'layerfiledeep\nmounted0\n'
    const { stdout, stderr } = inNamespace([...mounts, `$APPC_RUN with -c '${show}; $APPC_RUN with -c "${show}"'`])
    t.equal(stderr, '')
    t.equal(stdout, seen + seen)
  })

  t.test('a table of mounts longer than the buffer', async t => {
    const long = sandbox.path('x'.repeat(200))
    makeTree(long, { '.': null })
    const fill = `i=0; while [ $i -lt 200 ]; do mount --bind ${long} ${long}; i=$((i+1)); done; wc -c < /proc/self/mountinfo`
    sandbox.install(sandbox.plan('with', { overlays: [{ ...overlay, carried }] }))
    const [size, ...seen] = inNamespace([fill, ...mounts, `$APPC_RUN with -c '${show}'`]).stdout.split('\n')
    t.ok(Number(size) > 65536, `${size} bytes`)
    t.equal(seen.join('\n'), 'layerfiledeep\nmounted0\n')
    t.equal(inNamespace([fill, ...mounts, `$APPC_RUN without -c 'exit 0'`]).status, coldStatus)
  })

  t.test('what an unprivileged user may not look beneath cannot be overlaid: something else stands in', async t => {
    const asUser = `exec setpriv --reuid=54321 --regid=54321 --clear-groups "$APPC_RUN" with -c '${show}; stat -f -c %T ..'`
    sandbox.install(sandbox.plan('with', { uid: 54321, gid: 54321, overlays: [{ ...overlay, carried }] }))
    spawnSync('chown', ['54321:54321', `${sandbox.store}/plans/with`])
    const { stdout, stderr } = inNamespace([...mounts, asUser])
    t.same({ stdout, stderr }, { stdout: 'layerfiledeep\nmounted0\ntmpfs\n', stderr: '' })
  })
})

t.test('a setuid copy does nothing', async t => {
  const sandbox = new Sandbox({ uid: 54321, gid: 54321 })
  t.teardown(() => sandbox.remove())
  sandbox.install(sandbox.plan('app', {}))
  t.equal(sandbox.run(['app', '-c', 'exit 0']).status, 0)
  chmodSync(sandbox.launcher, 0o4755)
  t.match(sandbox.run(['app', '-c', 'exit 0']), { status: 125, stderr: /must not be setuid/ })
})

t.test('the table of mounts of this machine is as before', async t => {
  t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), /appc-native| - overlay appc:/)
})
