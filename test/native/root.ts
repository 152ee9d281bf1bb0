import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
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
