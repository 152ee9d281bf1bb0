import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, symlinkSync } from 'node:fs'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { coldStatus, identity, makeTree, Sandbox, users } from './fixture.js'

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())

    t.test('a layer adds, replaces and hides names of the host, for the program alone', async t => {
      const overlay = sandbox.overlay(
        'lib',
        { kept: 'host', replaced: 'host', hidden: 'host' },
        { replaced: 'layer', added: 'layer' },
      )
      addon().makeWhiteout(`${overlay.layer}/hidden`)
      sandbox.install(sandbox.plan('mixed', { overlays: [overlay] }))
      const script = `cd ${overlay.target} && for f in *; do echo $f $(cat $f); done; ls .appc-host`
      const { stdout } = sandbox.run(['mixed', '-c', script])
      t.equal(stdout, 'added layer\nkept host\nreplaced layer\nhidden\nkept\nreplaced\n')
      t.equal(
        sandbox.run(['-c', `cd ${overlay.target} && echo *`], { command: '/bin/sh' }).stdout,
        'hidden kept replaced\n',
      )
      const writing = sandbox.run(['mixed', '-c', `echo x > ${overlay.target}/new`])
      t.match(writing.stderr, /Read-only file system/)
    })

    t.test('names with the characters of option strings and of mountinfo', async t => {
      const overlay = sandbox.overlay('a:b,c \\ d\te', { x: 'host' }, { x: 'layer' })
      sandbox.install(sandbox.plan('odd', { overlays: [overlay], guards: [identity(overlay.target)] }))
      const { stdout } = sandbox.run(['odd', '-c', 'cat "$1/x"', 'sh', overlay.target])
      t.equal(stdout, 'layer')
    })

    t.test('an overlay in a directory that an overlay covers', async t => {
      const outer = sandbox.overlay('outer', { 'inner/x': 'host', y: 'host' }, { y: 'outer' })
      const inner = { target: `${outer.target}/inner`, layer: sandbox.path('inner-layer'), carried: [] }
      makeTree(inner.layer, { '.appc-host': null, x: 'inner' })
      sandbox.install(sandbox.plan('both', { overlays: [outer, inner] }))
      t.equal(
        sandbox.run(['both', '-c', `cd ${outer.target}; cat inner/x y inner/.appc-host/x`]).stdout,
        'innerouterhost',
      )
    })

    t.test('status, input, arguments, working directory and environment are the program’s', async t => {
      const overlay = sandbox.overlay('pass', { x: 'host' }, { x: 'layer' })
      const environment = [
        { name: 'SET', value: 'a=b' },
        { name: 'CHANGED', value: 'new' },
        { name: 'GONE', value: null },
      ]
      sandbox.install(sandbox.plan('pass', { overlays: [overlay], environment }))
      t.equal(sandbox.run(['pass', '-c', 'exit 42']).status, 42)
      t.equal(sandbox.run(['pass', '-c', 'kill -TERM $$']).signal, 'SIGTERM')
      t.equal(sandbox.run(['pass', '-c', 'cat'], { input: 'through' }).stdout, 'through')
      t.equal(
        sandbox.run(['--', 'pass', '-c', 'echo "$0|$1|$2"', '--root', '', 'two words']).stdout,
        '--root||two words\n',
      )
      const env = { CHANGED: 'old', GONE: 'old', KEPT: 'kept', APPC_REPLANNED: '1:0:' }
      const shown = sandbox.run(
        ['pass', '-c', 'echo "$SET $CHANGED $KEPT"; env | grep -c -e ^GONE= -e ^APPC_REPLANNED='],
        {
          env,
        },
      )
      t.equal(shown.stdout, 'a=b new kept\n0\n')
      // The directory that it was started in is the one below the overlay, and would show the host's files.
      t.equal(sandbox.run(['pass', '-c', 'cat x; pwd'], { cwd: overlay.target }).stdout, `layer${overlay.target}\n`)
    })

    t.test('a working directory that cannot be looked up again would show the host’s files: no launch', async t => {
      const overlay = sandbox.overlay('here', { x: 'host' }, { x: 'layer' })
      sandbox.install(sandbox.plan('here', { overlays: [overlay] }))
      for (const call of ['getcwd', 'chdir']) {
        const inject = ['-qq', '-o', '/dev/null', '-e', `inject=${call}:error=EIO:when=1`]
        const line = [...inject, sandbox.launcher, 'here', '-c', 'cat x']
        const { status, stdout, stderr } = sandbox.run(line, { command: 'strace', cwd: overlay.target })
        t.match(
          { status, stdout, stderr },
          { status: 125, stdout: '', stderr: /^appc-run: cannot open .*: Input\/output error\n$/ },
        )
      }
    })

    t.test('the program takes the launcher’s place: the process stays', async t => {
      const overlay = sandbox.overlay('pid', {}, { x: 'layer' })
      sandbox.install(sandbox.plan('pid', { overlays: [overlay] }))
      const child = spawn(sandbox.launcher, ['pid', '-c', 'echo $$; exec sleep 100'], {
        ...user,
        env: sandbox.environment(),
      })
      const [line] = await once(child.stdout, 'data')
      t.equal(Number(String(line)), child.pid)
      child.kill('SIGINT')
      t.same(await once(child, 'exit'), [null, 'SIGINT'])
    })

    t.test('what is ignored stays ignored, also around Node', async t => {
      sandbox.install(sandbox.plan('signals', {}))
      const script = "trap '' HUP; exec $APPC_RUN signals -c 'kill -HUP $$; echo alive'"
      t.equal(sandbox.run(['-c', script], { command: '/bin/sh' }).stdout, 'alive\n')
      const cold = sandbox.run(['-c', "trap '' HUP; exec $APPC_RUN unknown"], { command: '/bin/sh' })
      const env = { APPC_REPLANNED: cold.stdout.split('\n')[0] ?? '' }
      t.match(env.APPC_REPLANNED, /^1:/)
      t.equal(sandbox.run(['signals', '-c', 'kill -HUP $$; echo alive'], { env }).stdout, 'alive\n')
    })

    t.test('what the launcher tells itself around Node is believed as a whole or not at all', async t => {
      const roundAfter = (value: string) =>
        sandbox.run(['unknown'], { env: { APPC_REPLANNED: value } }).stdout.split(':')[0]
      for (const value of ['1:0:', '1:ff:0,1,2', '1:0:0:7']) t.equal(roundAfter(value), '2', value)
      const malformed = ['', '9', '9:0', '9::', ':0:', '9:0:x', '9:0:0:', '9:0:0:2', '9:0:0:7:', '9:F:', '-9:0:']
      const long = ['9:0:0:9999999999', `${'9'.repeat(30)}:0:`, `9:${'f'.repeat(17)}:`]
      for (const value of [...malformed, ...long]) t.equal(roundAfter(value), '1', `${value} is none`)
    })

    t.test('the entry is chosen by name, the first without one', async t => {
      const programs = ['one', 'two'].map(name => ({ name, path: sandbox.path(name) }))
      makeTree(sandbox.directory, { one: '#!/bin/sh\necho one $0', two: '#!/bin/sh\necho two' })
      sandbox.install(sandbox.plan('entries', { programs }))
      t.match(sandbox.run(['entries']).stdout, 'one')
      t.match(sandbox.run(['entries/two']).stdout, 'two')
      const missing = sandbox.run(['entries/three'])
      t.equal(missing.status, 127)
      t.match(missing.stderr, /^appc-run: no such program in the container: three\n\nhint: /)
    })

    t.test('an entry is called by its name, or by its path where a PATH does not have it', async t => {
      symlinkSync('/bin/sh', sandbox.path('beside'))
      const programs = [
        { name: 'sh', path: '/bin/sh' },
        { name: 'beside', path: sandbox.path('beside') },
      ]
      sandbox.install(sandbox.plan('called', { programs }))
      t.equal(sandbox.run(['called/sh', '-c', 'echo $0']).stdout, 'sh\n')
      t.equal(sandbox.run(['called/beside', '-c', 'echo $0']).stdout, `${sandbox.path('beside')}\n`)
    })

    t.test('a plain program is run by the path that was typed', async t => {
      const overlay = sandbox.overlay('plain', { x: 'host' }, { x: 'layer' })
      symlinkSync('/bin/sh', sandbox.path('shell'))
      const subject = sandbox.run(['-c', 'readlink -f /bin/sh'], { command: '/bin/sh' }).stdout.trim()
      sandbox.install(sandbox.plan('shell', { request: [subject], overlays: [overlay], programs: [] }))
      t.equal(sandbox.run(['./shell', '-c', `echo $0; cat ${overlay.target}/x`]).stdout, './shell\nlayer')
    })

    t.test('126 for what cannot be executed, 127 for what is not there', async t => {
      makeTree(sandbox.directory, {
        script: '#!/nonexistent/interpreter\n',
        text: 'no program\n',
        data: 'x',
        directory: null,
      })
      chmodSync(sandbox.path('data'), 0o644)
      const statusOf = (path: string) => {
        sandbox.install(sandbox.plan('status', { programs: [{ name: 'p', path }] }))
        return sandbox.run(['status'])
      }
      t.match(statusOf(sandbox.path('script')), { status: 126, stderr: /interpreter that it names does not exist/ })
      t.match(statusOf(sandbox.path('text')), { status: 126, stderr: /Exec format error/ })
      t.match(statusOf(sandbox.path('data')), { status: 126, stderr: /Permission denied/ })
      t.equal(statusOf(sandbox.path('directory')).status, 126)
      t.match(statusOf(sandbox.path('nothing')), { status: 127, stderr: /No such file or directory/ })
      t.match(sandbox.run(['./nothing']), {
        status: 127,
        stderr: 'appc-run: no such program: ./nothing: No such file or directory\n',
      })
    })

    t.test('125 for a command line that makes no sense, and no sequences for the terminal', async t => {
      const lines: readonly (readonly string[])[] = [
        [],
        ['--nonsense', 'x'],
        ['--root'],
        ['--root='],
        ['--root', '/', '--root', '/', 'x'],
        ['--lib', '/', 'name'],
        ['Upper'],
        ['x/'],
        ['x/..'],
        ['x/y/z'],
        ['.hidden'],
        ['x'.repeat(129)],
        [''],
        ['--root', '/nonexistent', 'x'],
        ['--lib', '/nonexistent', '/bin/sh'],
      ]
      for (const line of lines)
        t.match(sandbox.run(line), { status: 125, stderr: /^appc-run: .+\n(\nhint: .+\n)?$/ }, line.join(' '))
      t.equal(sandbox.run(['\x1b[31mred']).stderr.includes('\x1b'), false)
      t.match(sandbox.run(['--help']), { status: 0, stdout: /^Run a program/ })
      t.match(sandbox.run(['--version']), { status: 0, stdout: /^appc-run \d/ })
    })

    t.test('a directory that cannot be opened is told alike for a container and for a program', async t => {
      for (const [directory, cause] of [
        ['/nonexistent', 'No such file or directory'],
        ['/etc/passwd', 'Not a directory'],
      ]) {
        const told = { status: 125, stderr: `appc-run: cannot open ${directory}: ${cause}\n` }
        t.match(sandbox.run(['--root', `${directory}`, 'name']), told)
        t.match(sandbox.run(['--root', `${directory}`, '/bin/sh']), told)
        t.match(sandbox.run(['--root', `${directory}`, './nothing']), told)
        t.match(sandbox.run(['--lib', `${directory}`, './nothing']), told)
      }
    })

    t.test('the store is where the environment says, and nowhere else', async t => {
      const storeWith = (env: Readonly<Record<string, string>>) =>
        /^--store=(.*)$/m.exec(sandbox.run(['unknown'], { env }).stdout)?.[1]
      const others = { XDG_DATA_HOME: '/data', HOME: '/home/me' }
      t.equal(storeWith({ ...others, APPC_HOME: '/a' }), '/a')
      t.match(sandbox.run(['unknown'], { env: { ...others, APPC_HOME: 'a\x1bb' } }), {
        status: 125,
        stderr: /^appc-run: APPC_HOME is not an absolute path: a\\x1bb\n\nhint: .+\n$/,
      })
      if (user.uid === 0) {
        t.equal(storeWith({ ...others, APPC_HOME: '' }), '/var/lib/appc')
        t.equal(storeWith({ APPC_HOME: '', HOME: 'relative' }), '/var/lib/appc')
        return
      }
      t.equal(storeWith({ ...others, APPC_HOME: '' }), '/data/appc')
      t.equal(storeWith({ ...others, APPC_HOME: '', XDG_DATA_HOME: 'data' }), '/home/me/.local/share/appc')
      t.match(sandbox.run(['unknown'], { env: { APPC_HOME: '', HOME: 'home' } }), {
        status: 125,
        stderr: /^appc-run: HOME is not an absolute path: home\n\nhint: /,
      })
      t.match(sandbox.run(['unknown'], { env: { APPC_HOME: '', HOME: '' } }), {
        status: 125,
        stderr: /^appc-run: no telling where the containers are: .+\n\nhint: /,
      })
    })

    t.test('an incomplete installation is told from a missing node', async t => {
      t.equal(sandbox.run(['unknown']).status, coldStatus)
      t.match(sandbox.run(['unknown'], { env: { PATH: '/nonexistent:relative' } }), {
        status: 125,
        stderr: /no node on PATH\n\nhint: /,
      })
    })
  })
}
