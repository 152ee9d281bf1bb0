import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeTree, Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

const ALL = ['--read-only', '--private-tmp', '--private-home', '--private-run', '--private-dev']

/** What mount points are read-only for those inside; `/proc/self/mountinfo` as read there. */
function mountPoints(mountinfo: string) {
  return mountinfo
    .trim()
    .split('\n')
    .map(line => {
      const [, , , , point = '', options = '', ...rest] = line.split(' ')
      return { point, isReadOnly: options.split(',').includes('ro'), source: rest[rest.indexOf('-') + 2] }
    })
}

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    makeTree(sandbox.directory, { 'mine/file': 'mine', 'mine/sub/deep': 'deep', 'other/secret': 'secret' })
    const mine = sandbox.path('mine')
    for (const path of ['mine', 'mine/file', 'mine/sub', 'mine/sub/deep', 'other']) chmodSync(sandbox.path(path), 0o777)
    const home = sandbox.path('home')
    mkdirSync(home)
    chownSync(home, user.uid, user.gid)
    const env = { HOME: home }
    const run = (options: readonly string[], script: string, how = {}) =>
      inside.run(options, script, [], { env, ...how })

    t.test('--read-only: every mount is, but for what lies over it', async t => {
      for (const options of [['--read-only'], ALL, ['--sandbox'], ['--sandbox', '--no-landlock', '--no-seccomp']]) {
        const points = mountPoints(run(options, 'cat /proc/self/mountinfo').stdout)
        t.ok(points.length > 3)
        const open = points.filter(({ isReadOnly, source }) => !isReadOnly && source !== 'appc-private')
        const devices = /^\/dev\/(null|zero|full|random|urandom|tty)$/
        const writable = open.map(({ point }) => point).filter(point => !devices.test(point))
        t.same(writable, [], options.join(' '))
      }
      const script = `for at in ${mine} ${mine}/sub /usr /etc /var/lib .; do touch $at/new 2>&1; done`
      t.match(run(['--read-only'], script).stdout, /^(touch: [^\n]+: Read-only file system\n){6}$/)
      t.match(run(['--read-only'], `echo x >${mine}/file`), { status: 2, stderr: /Read-only file system/ })
      t.match(run(['--read-only'], `rm ${mine}/file`), { status: 1, stderr: /Read-only file system/ })
      t.match(run(['--read-only'], `chmod 600 ${mine}/file`).stderr, /Read-only file system/)
      t.equal(run([], `touch ${mine}/new && rm ${mine}/new`).status, 0, 'without it they can be written to')
    })

    t.test('private directories are empty, can be written to, and leave nothing', async t => {
      const cases: readonly (readonly [option: string, directory: string])[] = [
        ['--private-tmp', '/tmp'],
        ['--private-tmp', '/var/tmp'],
        ['--private-home', home],
        ['--private-run', '/run'],
        ['--private-dev', '/dev/shm'],
      ]
      for (const [option, directory] of cases) {
        const name = `appc-test-${process.pid}`
        const ran = run([option], `cd ${directory} && touch ${name} && ls -A`)
        const shown = directory === '/run' ? `${name}\nuser\n` : `${name}\n`
        // Of the host's /tmp what is shown lies there, and the home.
        const seen = directory === '/tmp' ? ran.stdout.replace(/^appc-native-\w+\n/, '') : ran.stdout
        t.equal(seen, shown, `${option} ${directory}: ${ran.stderr}`)
        t.notOk(existsSync(join(directory, name)))
      }
      t.match(run(['--private-tmp'], 'stat -c %a /tmp /var/tmp').stdout, '1777\n1777\n')
      t.match(run(['--private-home'], 'stat -c "%a %u" "$HOME"; ls -A /home').stdout, `700 ${user.uid}\n`)
      const runtime = run(['--private-run'], 'echo $XDG_RUNTIME_DIR; stat -c "%a %u" $XDG_RUNTIME_DIR')
      t.equal(runtime.stdout, `/run/user/${user.uid}\n700 ${user.uid}\n`)
    })

    t.test('--private-dev has the harmless devices, terminals and memory of its own', async t => {
      const names = 'fd full null ptmx pts random shm stderr stdin stdout tty urandom zero'
      t.equal(run(['--private-dev'], 'echo $(ls /dev)').stdout, `${names}\n`)
      const use =
        'echo x >/dev/null && head -c 1 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c && echo y | cat /dev/fd/0'
      t.equal(run(['--private-dev'], use).stdout, '1\n4\ny\n')
      const terminals = `python3 -c "import os, pty; m, s = pty.openpty(); print(os.ttyname(s)); os.write(m, b'a\\n'); print(os.read(s, 9))"`
      t.equal(run(['--sandbox'], terminals).stdout, "/dev/pts/0\nb'a\\n'\n")
      t.equal(inside.attempt(['--private-dev'], 'dev-mem')['dev-mem'], 'ENOENT')
    })

    t.test('--ro and --rw show paths of the host, wherever these lie', async t => {
      const all = (...options: readonly string[]) => [...ALL, ...options]
      t.match(run(all('--ro', mine), `cat ${mine}/file; touch ${mine}/new`), { stdout: 'mine', stderr: /Read-only/ })
      t.equal(run(all('--ro', `${mine}/file`), `cat ${mine}/file; ls ${mine}`).stdout, 'minefile\n')
      t.equal(
        run(all('--rw', mine), `echo new >${mine}/new && mv ${mine}/new ${mine}/sub && cat ${mine}/sub/new`).stdout,
        'new\n',
      )
      t.equal(readFileSync(`${mine}/sub/new`, 'utf8'), 'new\n')
      t.match(
        run(all('--rw', mine, '--ro', `${mine}/sub`), `touch ${mine}/a && touch ${mine}/sub/b`).stderr,
        /sub\/b.*Read-only/,
      )
      t.match(
        run(all('--ro', `${mine}/sub`, '--rw', mine), `touch ${mine}/a && touch ${mine}/sub/b`).stderr,
        /sub\/b.*Read-only/,
      )
      t.equal(run(all('--ro', mine, '--rw', `${mine}/sub`), `touch ${mine}/sub/b; touch ${mine}/c`).status, 1)
      t.equal(run(all('--rw', './mine'), `cat ${mine}/file`, { cwd: sandbox.directory }).stdout, 'mine')
      t.equal(
        run(all('--allow', `ro=${mine},rw=${mine}/sub`), `cat ${mine}/file && touch ${mine}/sub/d`).stdout,
        'mine',
      )
      const hidden = run(all('--ro', mine), `ls ${sandbox.directory}; cat ${sandbox.path('other')}/secret`)
      t.match(hidden, { stdout: 'inside\nmine\n', stderr: /No such file/ })
      for (const name of ['a', 'sub/new', 'sub/b', 'sub/d']) rmSync(join(mine, name))
    })

    t.test('~ is the home directory, also when it is one of many names', async t => {
      makeTree(home, { 'data/x': 'data', plain: 'plain' })
      t.equal(run([...ALL, '--ro', '~/data'], 'cat ~/data/x; ls -A ~').stdout, 'datadata\n')
      t.equal(run([...ALL, '--rw', '~'], 'cat ~/plain; touch ~/new && rm ~/new').stdout, 'plain')
      symlinkSync(home, sandbox.path('link'))
      const byLink = run([...ALL, '--ro', '~/data'], 'cat ~/data/x; ls -A ~; pwd -P', {
        env: { HOME: sandbox.path('link') },
        cwd: home,
      })
      t.match(byLink, { stdout: `datadata\n${home}\n`, stderr: '' })
    })

    t.test('what cannot be shown is told, and nothing is run', async t => {
      symlinkSync(mine, sandbox.path('to-mine'))
      const cases: readonly (readonly [path: string, because: string])[] = [
        ['/nonexistent', 'No such file or directory'],
        [sandbox.path('to-mine'), 'Too many levels of symbolic links'],
        [`${sandbox.path('to-mine')}/sub`, 'Too many levels of symbolic links'],
        [`${mine}/file/x`, 'Not a directory'],
        ['/', 'Invalid argument'],
        ['/proc/self/root', 'Too many levels of symbolic links'],
        ['~/nothing', 'No such file or directory'],
      ]
      for (const [path, because] of cases) {
        const { status, stdout, stderr } = run(['--private-tmp', '--rw', path], 'echo ran')
        t.match(stderr, `appc-run: cannot show to the program ${path}: ${because}\n`)
        t.same([status, stdout], [125, ''], path)
      }
      const none = run(['--private-tmp', '--rw', '~/x'], 'echo ran', { env: { HOME: '' } })
      t.match(none, { status: 125, stdout: '', stderr: /cannot show to the program ~\/x/ })
    })

    t.test('homes of all kinds: it starts, and nothing is made on the host', async t => {
      const before = readdirSync('/').sort()
      const homes: readonly (readonly [home: string, isPrivate: boolean])[] = [
        [home, true],
        [`${home}/`, true],
        [`${home}/below/that/does/not/exist`, true],
        ['/home/appc-test-nobody', true],
        ['/home', true],
        ['/root', true],
        ['/run/appc-test-service', true],
        ['/', false],
        ['//', false],
        ['/etc', false],
        ['/usr/../etc', false],
        ['/appc-test-nonexistent', false],
        ['relative', false],
        ['', false],
      ]
      for (const [at, isPrivate] of homes) {
        for (const options of [['--sandbox'], ALL, ['--private-home'], ['--private-tmp', '--private-home']]) {
          // One that does not exist, in a directory of the host's, is none.
          const alone = options.length < 3 && !options.includes('--sandbox')
          if (alone && (at.startsWith('/run') || at.endsWith('exist'))) continue
          const script = 'test -e /usr/bin/env && test -e /etc/passwd || echo gone; cd "$HOME" && touch x && echo wrote'
          const ran = run(options, isPrivate ? script : script.replace('touch', 'test ! -w / -a ! -w . && touch'), {
            env: { HOME: at },
          })
          t.equal(ran.stdout, isPrivate ? 'wrote\n' : '', `${at} ${options.join(' ')}: ${ran.stderr}`)
        }
      }
      t.notOk(existsSync(`${home}/x`) || existsSync(`${home}/below`) || existsSync('/home/appc-test-nobody'))
      t.same(readdirSync('/').sort(), before)
    })

    t.test('the working directory: kept where it is to be seen, else the home', async t => {
      t.equal(run([...ALL, '--ro', mine], 'pwd', { cwd: mine }).stdout, `${mine}\n`)
      t.equal(run(ALL, 'pwd', { cwd: mine }).stdout, `${home}\n`)
      t.equal(run(ALL, 'pwd; cat ./file', { cwd: mine, env: { HOME: '/nonexistent' } }).stdout, '/\n')
      t.equal(run(['--read-only'], 'pwd', { cwd: mine }).stdout, `${mine}\n`)
    })

    t.test('a program by its path is shown where it lies in a private directory, and it alone', async t => {
      makeTree(sandbox.directory, { 'mine/prog': '#!/bin/sh\necho "$0"; ls $(dirname $0)\n' })
      const subject = `${mine}/prog`
      sandbox.install(sandbox.plan('prog', { request: [subject], programs: [] }))
      const ran = sandbox.run(['--sandbox', './prog'], { cwd: mine, env })
      t.match(ran, { status: 0, stdout: './prog\nprog\n', stderr: '' })
      const shown = sandbox.run(['--sandbox', '--ro', mine, './prog'], { cwd: mine, env })
      t.match(shown, { status: 0, stdout: './prog\nfile\nprog\nsub\n', stderr: '' })
    })

    t.test('private mounts are its own: none is seen outside, none stays', async t => {
      const script = `$APPC_RUN ${inside.command(['--sandbox'], "'grep -c appc-private /proc/self/mountinfo'").join(' ')}`
      const after = 'grep -c appc-private /proc/self/mountinfo'
      const ids = ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
      if (process.geteuid?.() !== 0) return
      // As systemd leaves a machine; this one's own may be private.
      const { stdout } = spawnSync(
        'unshare',
        ['-m', '--propagation', 'shared', ...ids, 'sh', '-c', `${script}; ${after}`],
        { encoding: 'utf8', env: sandbox.environment(env) },
      )
      t.match(stdout, /^[1-9]\d*\n0\n$/)
    })

    t.test('what the host mounts later does not come in where nothing is to be written', async t => {
      if (process.geteuid?.() !== 0) return
      const ids = `setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups`
      const late = sandbox.path('late')
      makeTree(late, { '.': null })
      chmodSync(late, 0o777)
      const run = (...options: readonly string[]) => {
        const words = inside.command(options, `'echo up; read x; touch ${late}/x'`).join(' ')
        const script = `mkfifo ${late}-in ${late}-out
          ${ids} $APPC_RUN ${words} <${late}-in >${late}-out 2>&1 &
          exec 3>${late}-in 4<${late}-out; read up <&4
          mount -t tmpfs -o mode=777 tmpfs ${late}; echo go >&3; cat <&4; rm ${late}-in ${late}-out`
        return spawnSync('unshare', ['-m', '--propagation', 'shared', 'sh', '-c', script], {
          encoding: 'utf8',
          env: sandbox.environment(env),
        }).stdout
      }
      t.equal(run(), '', 'elsewhere it does')
      t.match(run('--read-only'), /Read-only file system/)
      t.match(run('--ro', late), /Read-only file system/)
      t.match(run('--sandbox', '--ro', late), /Read-only file system/)
    })
  })
}
