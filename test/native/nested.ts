import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { identity, makeTree, Sandbox, users } from './fixture.js'

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const shared = sandbox.overlay('shared', { x: 'host', y: 'host', 'deep/z': 'host' }, { x: 'first' })
    const second = { ...shared, layer: sandbox.path('second-layer') }
    makeTree(second.layer, { '.appc-host': null, y: 'second' })
    const other = sandbox.overlay('other', { x: 'host' }, { x: 'other' })
    const inner = { target: `${shared.target}/deep`, layer: sandbox.path('deep-layer'), carried: [] }
    makeTree(inner.layer, { '.appc-host': null, z: 'deep' })
    // The guards hold for the real host alone: through the first's overlay x is another file.
    const guards = [identity(`${shared.target}/x`), identity(`${shared.target}/y`), identity(`${shared.target}/deep/z`)]
    sandbox.install(sandbox.plan('first', { overlays: [shared, inner], guards }))
    sandbox.install(sandbox.plan('second', { overlays: [second], guards }))
    sandbox.install(sandbox.plan('other', { overlays: [other], guards }))
    sandbox.install(sandbox.plan('bare', { guards }))
    const show = `cat ${shared.target}/x ${shared.target}/y ${shared.target}/deep/z ${other.target}/x; echo`

    t.test('each sees its own files over the host’s, whatever container it was started from', async t => {
      const within = (name: string, script: string) => `$APPC_RUN ${name} -c '${script}'`
      const run = (script: string) => sandbox.run(['-c', script], { command: '/bin/sh' })
      t.equal(run(within('first', show)).stdout, 'firsthostdeephost\n')
      t.equal(
        run(within('first', `${within('second', show).replaceAll("'", '"')}; ${show}`)).stdout,
        'hostsecondhosthost\nfirsthostdeephost\n',
      )
      t.equal(run(within('second', within('first', show).replaceAll("'", '"'))).stdout, 'firsthostdeephost\n')
      t.equal(run(within('first', within('other', show).replaceAll("'", '"'))).stdout, 'hosthosthostother\n')
      t.equal(run(within('first', within('bare', show).replaceAll("'", '"'))).stdout, 'hosthosthosthost\n')
    })

    t.test('four levels deep', async t => {
      const script = sandbox.path('deeper')
      const body = `#!/bin/sh\n${show}\nname=$1; [ $# = 0 ] && exit; shift; exec $APPC_RUN $name ${script} "$@"\n`
      writeFileSync(script, body, { mode: 0o755 })
      const { stdout, stderr } = sandbox.run([script, 'first', 'second', 'other', 'first'], { command: '/bin/sh' })
      t.equal(stderr, '')
      t.equal(stdout, 'hosthosthosthost\nfirsthostdeephost\nhostsecondhosthost\nhosthosthostother\nfirsthostdeephost\n')
    })

    t.test('Node too sees the host, and what it starts needs no further restoring', async t => {
      const node = sandbox.path('installation/bin/node')
      writeFileSync(node, `#!/bin/sh\n${show}\nexec $APPC_RUN second -c '${show}'\n`)
      const { stdout } = sandbox.run(['first', '-c', `${show}; $APPC_RUN unknown`])
      t.equal(stdout, 'firsthostdeephost\nhosthosthosthost\nhostsecondhosthost\n')
    })

    t.test('the working directory is looked up again in the restored view', async t => {
      const { stdout } = sandbox.run(['first', '-c', `cd ${shared.target}; cat x; $APPC_RUN bare -c 'cat x; pwd'`])
      t.equal(stdout, `firsthost${shared.target}\n`)
    })
  })
}

t.test('root of a user namespace of his own', async t => {
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const overlay = sandbox.overlay('lib', { x: 'host' }, { x: 'layer' })
  const path = sandbox.install(sandbox.plan('mapped', { overlays: [overlay] }))
  const script = `$APPC_RUN mapped -c 'cat ${overlay.target}/x; $APPC_RUN mapped -c "cat ${overlay.target}/x"'`
  t.match(path, 'mapped')
  const { stdout, stderr } = spawnSync('unshare', ['-Ur', 'sh', '-c', script], {
    encoding: 'utf8',
    env: sandbox.environment(),
  })
  t.equal(stderr, '')
  t.equal(stdout, 'layerlayer')
})
