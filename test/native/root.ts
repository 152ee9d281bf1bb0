import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { Plan } from '../../lib/plan/types.js'
import { coldStatus, identity, makeTree, Sandbox, users } from './fixture.js'

/** A tree with the machine's shell and what it and `cat` need to run: another host in small. */
function makeHost(tree: string): void {
  makeTree(tree, { proc: null, tmp: null, home: null, usr: null, 'etc/name': 'tree' })
  const programs = ['/bin/sh', '/bin/cat', '/bin/ls', '/bin/readlink']
  const { stdout } = spawnSync('ldd', programs, { encoding: 'utf8' })
  const libraries = [...stdout.matchAll(/\/\S+\.so\S*/g)].map(([path]) => path)
  for (const file of new Set([...programs, ...libraries])) {
    mkdirSync(join(tree, dirname(file)), { recursive: true })
    cpSync(realpathSync(file), join(tree, file))
  }
}

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const tree = sandbox.path('tree')
    makeHost(tree)
    makeTree(tree, { 'opt/lib/x': 'tree', 'opt/lib/y': 'tree' })
    // As /lib on a merged-/usr tree, but absolute: it must not lead out of the tree.
    symlinkSync('/opt', join(tree, 'link'))
    makeTree(sandbox.directory, { 'layer/.appc-host': null, 'layer/x': 'layer', 'home/file': 'machine' })
    const overlays = [{ target: '/opt/lib', layer: sandbox.path('layer'), carried: [] }]
    const binds = [
      { source: '/proc', target: '/proc' },
      { source: sandbox.path('home'), target: '/home' },
    ]
    const install = (parts: Partial<Plan>) =>
      sandbox.install(sandbox.plan('other', { root: tree, overlays, binds, ...parts }))
    const run = (script: string, cwd = '/') => sandbox.run(['--root', tree, 'other', '-c', script], { cwd })

    t.test('the tree is the host, with overlays and the machine’s directories in it', async t => {
      install({ guards: [identity(tree), identity(`${tree}/opt/lib/y`, '/link/lib/y')] })
      const { stdout, stderr } = run('cat /etc/name /opt/lib/x /opt/lib/y /home/file; ls /')
      t.equal(stderr, '')
      t.equal(stdout, `treelayertreemachine${readdirSync(tree).sort().join('\n')}\n`)
    })

    t.test('nothing of the machine’s mounts is left inside', async t => {
      install({})
      const points = run('cat /proc/self/mountinfo')
        .stdout.trim()
        .split('\n')
        .map(line => line.split(' ')[4] ?? '')
      const strange = points.filter(point => !/^\/($|proc($|\/)|home$|opt\/lib($|\/.appc-host$))/.test(point))
      t.same(strange, [])
      t.equal(run('cd ..; ls -d etc; readlink /proc/self/cwd /proc/self/root').stdout, 'etc\n/\n/\n')
    })

    t.test('the working directory is kept where the tree has it', async t => {
      install({})
      mkdirSync(join(tree, sandbox.directory), { recursive: true })
      t.equal(run('/bin/sh -c pwd', sandbox.directory).stdout, `${sandbox.directory}\n`)
      t.equal(run('pwd', sandbox.path('home')).stdout, '/\n')
    })

    t.test('a target that leads out of the tree by a symlink is refused', async t => {
      makeTree(sandbox.directory, { 'outside/x': 'machine' })
      symlinkSync(sandbox.path('outside'), join(tree, 'opt/escape'))
      install({ overlays: [{ target: '/opt/escape', layer: sandbox.path('layer'), carried: [] }] })
      t.equal(run('exit 0').status, coldStatus)
      install({ binds: [{ source: sandbox.path('home'), target: '/opt/escape' }] })
      t.not(run('exit 0').status, 0)
      t.equal(readFileSync(sandbox.path('outside/x'), 'utf8'), 'machine')
    })

    t.test('a plain program is the one that was planned for, and is called as it was typed', async t => {
      const script = '#!/bin/sh\necho "$0 in $(pwd)"\n'
      const [home, away] = [sandbox.path('home'), sandbox.path('away')]
      makeTree(sandbox.directory, { 'home/prog': script, 'home/deep/prog': script, 'away/prog': script })
      const another = '#!/bin/sh\necho another\n'
      makeTree(tree, { 'opt/tool': script, [home]: null, tool: another, prog: another })
      symlinkSync('tool', join(tree, 'opt/alias'))
      symlinkSync(join(home, 'prog'), join(away, 'alias'))
      const shared = ['/proc', home].map(path => ({ source: path, target: path }))
      const ran = (subject: string, cwd: string, ...line: readonly string[]) => {
        const plan = { root: tree, request: [subject], programs: [], overlays, binds: shared }
        sandbox.install(sandbox.plan('program', plan))
        return sandbox.run(['--root', tree, ...line], { cwd })
      }
      const shows = (subject: string, cwd: string, typed: string, shown: string) =>
        t.match(ran(subject, cwd, typed), { status: 0, stdout: `${shown}\n`, stderr: '' }, `${typed} in ${cwd}`)
      const tool = join(tree, 'opt/tool')
      shows(tool, '/', '/opt/tool', '/opt/tool in /')
      shows(tool, '/', '/opt/alias', '/opt/alias in /')
      shows(tool, '/opt', './tool', './tool in /opt')
      shows(tool, join(tree, 'opt'), './tool', '/opt/tool in /')
      shows(join(home, 'prog'), home, './prog', `./prog in ${home}`)
      shows(join(home, 'prog'), join(home, 'deep'), '../prog', `../prog in ${home}/deep`)
      shows(join(home, 'prog'), away, '../home/prog', `${home}/prog in /`)
      shows(join(home, 'prog'), away, './alias', `${home}/prog in /`)
      // One that is a library too, and for which the plan has a private one.
      makeTree(tree, { 'opt/lib/libc': script })
      makeTree(sandbox.directory, { 'layer/libc': '#!/bin/sh\necho private\n' })
      shows(join(tree, 'opt/lib/libc'), '/', '/opt/lib/libc', 'private')
      // A working directory that has no path any more: what is typed is not looked for in the tree's /.
      chmodSync(home, 0o777)
      const gone = 'mkdir home/gone; cd home/gone; rmdir ../gone; exec $APPC_RUN --root "$0" ../prog'
      sandbox.install(
        sandbox.plan('program', { root: tree, request: [join(home, 'prog')], programs: [], binds: shared }),
      )
      t.equal(sandbox.run(['-c', gone, tree], { command: '/bin/sh' }).stdout, `${home}/prog in /\n`)
      // Its first argument is what a shell shows as $0 when it is no script's.
      const shell = realpathSync(join(tree, 'bin/sh'))
      const line = ['./sh', '-c', 'echo $0; readlink /proc/$$/exe']
      t.equal(ran(shell, join(tree, 'bin'), ...line).stdout, `./sh\n${shell.slice(tree.length)}\n`)
    })

    t.test('a program that the tree does not show is not there, whatever else has its name', async t => {
      const [home, away, both] = [sandbox.path('home'), sandbox.path('away'), sandbox.path('both')]
      const another = '#!/bin/sh\necho another\n'
      makeTree(sandbox.directory, { 'away/prog': 'planned', 'both/prog': 'planned', 'home/hidden': another })
      makeTree(tree, { prog: another, [`${both}/prog`]: another, [home]: null, 'home/hidden': 'planned' })
      symlinkSync(join(both, 'prog'), join(home, 'link'))
      const refuses = (subject: string, cwd: string, typed: string, inside = subject) => {
        const shared = [...binds, { source: home, target: home }]
        sandbox.install(
          sandbox.plan('program', { root: tree, request: [subject], programs: [], overlays, binds: shared }),
        )
        const { status, stdout, stderr } = sandbox.run(['--root', tree, typed], { cwd })
        t.same({ status, stdout }, { status: 127, stdout: '' }, `${typed} in ${cwd}`)
        const message = `no such program: ${typed}: the tree at ${tree} does not show ${inside}`
        t.equal(stderr.split('\nhint: ')[0], `appc-run: ${message}\n`)
      }
      refuses(join(away, 'prog'), away, './prog')
      refuses(join(away, 'prog'), '/', join(away, 'prog'))
      // A link in a directory that is the machine's, to what the tree has a file of its own for.
      refuses(join(both, 'prog'), home, './link')
      // A file of the tree below a directory of the machine's.
      refuses(join(tree, 'home/hidden'), '/', '/home/hidden', '/home/hidden')
    })

    t.test('a tree that cannot be looked into is told, and not looked past', async t => {
      // The first one is of the store's own directory (native/launcher/host-word.cpp).
      const inject = ['-qq', '-o', '/dev/null', '-e', 'inject=openat2:error=EIO:when=2']
      const line = [...inject, sandbox.launcher, '--root', tree, '/bin/ls']
      const { status, stderr } = sandbox.run(line, { command: 'strace' })
      t.same(
        { status, stderr },
        { status: 126, stderr: 'appc-run: cannot find the program /bin/ls: Input/output error\n' },
      )
    })

    t.test('a changed file seen through the view: Node sees the machine as it was', async t => {
      writeFileSync(
        sandbox.path('installation/bin/node'),
        `#!/bin/sh\ncat ${tree}/opt/lib/x\ngrep -c ${tree} /proc/self/mountinfo\n`,
      )
      install({ guards: [identity(`${tree}/opt/lib/x`, '/opt/lib/x')] })
      t.equal(run('exit 0').stdout, 'tree0\n')
    })
  })
}
