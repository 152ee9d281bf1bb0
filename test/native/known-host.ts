import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { coldStatus, Sandbox, users } from './fixture.js'

const module = fileURLToPath(new URL('../../../build/Release/appc.node', import.meta.url))
const word = addon().describeHost()

t.test('the kernel tells boot and mount namespace', { skip: word === null && 'before Linux 6.8' }, async t => {
  t.match(word, /^[0-9a-f]+\.[0-9a-f]+-[0-9a-f]+-[0-9]$/)
  t.equal(addon().describeHost(), word)
  const inAnother = `unshare --user --map-root-user --mount ${process.execPath} -p 'require(process.argv[1]).describeHost()' ${module}`
  const [boot, , level] = String(word).split('-')
  const other = spawnSync('sh', ['-c', inAnother], { encoding: 'utf8' }).stdout.trim()
  t.match(other, new RegExp(`^${boot}-[0-9a-f]+-${level}$`))
  t.not(other, word)
})

for (const [who, user] of users) {
  t.test(`as ${who}`, { skip: word === null && 'before Linux 6.8' }, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const overlay = sandbox.overlay('app', { x: 'host', y: 'host' }, { x: 'layer' })
    sandbox.install(sandbox.plan('app', { overlays: [overlay] }))
    const trace = sandbox.path('trace')
    const launch = () => {
      writeFileSync(trace, '')
      chmodSync(trace, 0o666)
      const options = ['-qq', '-o', trace, '-e', 'trace=openat', sandbox.launcher]
      const { status, stdout } = sandbox.run([...options, 'app', '-c', `cat ${overlay.target}/x ${overlay.target}/y`], {
        command: 'strace',
      })
      return { status, stdout, looks: readFileSync(trace, 'utf8').split('/proc/self/mountinfo').length - 1 }
    }

    t.test('with word of this boot and namespace the mount table is not read', async t => {
      t.same(launch(), { status: 0, stdout: 'layerhost', looks: 0 })
    })

    t.test('with none, or any other, it is', async t => {
      const [boot = '', root = '', level = ''] = String(word).split('-')
      const others = [
        `${boot}0-${root}-${level}`,
        `0${boot}-${root}-${level}`,
        `${boot}-${root}0-${level}`,
        `${boot}-${root}-`,
        `${boot}-${root}-x`,
        `${boot}-${root}-${level}${level}`,
        `${boot}-${root}-${level}`.padEnd(200, '4'),
        boot,
      ]
      for (const other of others) {
        sandbox.leaveWord(other)
        t.same(launch(), { status: 0, stdout: 'layerhost', looks: 1 }, other)
      }
      rmSync(join(sandbox.store, 'cache'), { recursive: true })
      t.same(launch(), { status: 0, stdout: 'layerhost', looks: 1 })
    })

    t.test('the processor is of the level that it says', async t => {
      sandbox.leaveWord(`${word?.slice(0, -1)}9`)
      t.equal(launch().status, coldStatus)
      sandbox.install(sandbox.plan('app', { overlays: [overlay], cpuLevel: 9 }))
      t.equal(launch().status, 0)
    })
  })
}

t.test('what is mounted below a target is noticed', { skip: word === null && 'before Linux 6.8' }, async t => {
  // Root, or root of a user namespace: who may mount.
  const sandbox = new Sandbox({ uid: 0, gid: 0 })
  t.teardown(() => sandbox.remove())
  const overlay = sandbox.overlay('app', { x: 'host', 'below/hidden': '' }, { x: 'layer' })
  const below = `${overlay.target}/below`
  sandbox.install(sandbox.plan('without', { overlays: [overlay] }))
  sandbox.install(sandbox.plan('with', { overlays: [{ ...overlay, carried: [below] }] }))
  const show = (name: string) =>
    `if out=$("$APPC_RUN" ${name} -c 'cat ${overlay.target}/x; ls ${below}'); then echo $out; else echo $?; fi`
  const script = [
    `ln -snf "$(${process.execPath} -p 'require(process.argv[1]).describeHost()' ${module})" ${sandbox.store}/cache/host`,
    show('without'),
    `mount --bind ${sandbox.path('app-layer')} ${below}`,
    show('without'),
    show('with'),
    `umount ${below}`,
    show('with'),
    show('without'),
  ]
  const { stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', script.join('\n')], {
    encoding: 'utf8',
    env: sandbox.environment(),
  })
  const lines = ['layerhidden', coldStatus, 'layerx', coldStatus, 'layerhidden']
  t.same({ stdout, stderr }, { stdout: `${lines.join('\n')}\n`, stderr: '' })
})
