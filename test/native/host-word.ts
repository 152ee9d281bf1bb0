import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { refusing } from '../support/refusing.js'
import { coldStatus, Sandbox, users } from './fixture.js'

/** The links in the store, with their texts. */
function wordsIn(sandbox: Sandbox): Readonly<Record<string, string>> {
  const cache = join(sandbox.store, 'cache')
  return Object.fromEntries(readdirSync(cache).map(name => [name, readlinkSync(join(cache, name))]))
}

function isTold(): boolean {
  const sandbox = new Sandbox(users[0]?.[1] ?? { uid: 0, gid: 0 })
  const [name] = Object.keys(wordsIn(sandbox))
  sandbox.remove()
  return name !== undefined
}

const skip = !isTold() && 'before Linux 6.8'

for (const [who, user] of users) {
  t.test(`as ${who}`, { skip }, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const overlay = sandbox.overlay('app', { x: 'host', y: 'host' }, { x: 'layer' })
    sandbox.install(sandbox.plan('app', { overlays: [overlay] }))
    const trace = sandbox.path('trace')
    const cache = join(sandbox.store, 'cache')
    const [[name = '', word = ''] = []] = Object.entries(wordsIn(sandbox))
    const launch = (before: readonly string[] = []) => {
      writeFileSync(trace, '')
      chmodSync(trace, 0o666)
      const options = ['-qq', '-o', trace, '-e', 'trace=openat', ...before, sandbox.launcher]
      const { status, stdout } = sandbox.run([...options, 'app', '-c', `cat ${overlay.target}/x ${overlay.target}/y`], {
        command: 'strace',
      })
      return { status, stdout, looks: readFileSync(trace, 'utf8').split('/proc/self/mountinfo').length - 1 }
    }
    const known = { status: 0, stdout: 'layerhost', looks: 0 }
    const unknown = { ...known, looks: 1 }
    const say = (text: string) => {
      rmSync(join(cache, name), { recursive: true, force: true })
      symlinkSync(text, join(cache, name))
    }

    t.test('with word of this boot and namespace the mount table is not read', async t => {
      t.match(name, /^host-[0-9a-f]$/)
      t.match(word, new RegExp(`^[0-9a-f]+\\.[0-9a-f]+-[0-9a-f]*${name.slice(-1)}-[0-9]$`))
      t.same(launch(), known)
    })

    t.test('with none, or any other, it is, and the next one finds word again', async t => {
      const [boot = '', root = '', level = ''] = word.split('-')
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
        say(other)
        t.same(launch(), unknown, other)
        t.same(wordsIn(sandbox), { [name]: word })
        t.same(launch(), known)
      }
      rmSync(join(cache, name))
      t.same(launch(), unknown)
      t.same(launch(), known)
    })

    t.test('where none can be left each looks for itself', async t => {
      rmSync(cache, { recursive: true })
      for (const make of [() => {}, () => symlinkSync('cache', cache), () => writeFileSync(cache, '')]) {
        make()
        for (let time = 0; time < 2; time++) t.same(launch(), unknown)
        rmSync(cache, { force: true })
      }
      // Others could have written there.
      mkdirSync(cache)
      chmodSync(cache, 0o777)
      say(word)
      t.same(launch(), unknown)
      rmSync(cache, { recursive: true })
      spawnSync('install', ['-d', '-o', `${user.uid}`, '-g', `${user.gid}`, cache])
      t.same(launch(), unknown)
      t.same(launch(), known)
    })

    t.test('the processor is of the level that it says', async t => {
      say(`${word.slice(0, -1)}9`)
      t.equal(launch().status, coldStatus)
      sandbox.install(sandbox.plan('app', { overlays: [overlay], cpuLevel: 9 }))
      t.equal(launch().status, 0)
      say(word)
      sandbox.install(sandbox.plan('app', { overlays: [overlay] }))
    })

    t.test('where nobody tells what is mounted in the clones, the table is read', async t => {
      for (const error of ['ENOSYS', 'EPERM']) t.same(launch(refusing(`458:${error}`)), unknown, error)
    })
  })
}

/** A script is run as root, at least of a user namespace, in a mount namespace of its own: the lines that it prints. */
function linesOf(sandbox: Sandbox, script: readonly string[]): readonly string[] {
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['--user', '--map-root-user', '--mount', 'sh', '-c', script.join('\n')],
    {
      encoding: 'utf8',
      env: sandbox.environment(),
    },
  )
  return `${stdout}${stderr}`.split('\n').slice(0, -1)
}

const isRoot = process.geteuid?.() === 0
const skipUnlessRoot = skip || (!isRoot && 'only root makes its own files')
// Who is root inside only, has his own files there.
const root = { uid: 0, gid: 0 }

t.test('what is mounted below a target is noticed', { skip: skipUnlessRoot }, async t => {
  const sandbox = new Sandbox(root)
  t.teardown(() => sandbox.remove())
  const overlay = sandbox.overlay('app', { x: 'host', 'below/hidden': '' }, { x: 'layer' })
  const below = `${overlay.target}/below`
  sandbox.install(sandbox.plan('without', { overlays: [overlay] }))
  sandbox.install(sandbox.plan('with', { overlays: [{ ...overlay, carried: [below] }] }))
  const show = (name: string) =>
    `if out=$("$APPC_RUN" ${name} -c 'cat ${overlay.target}/x; ls ${below}'); then echo $out; else echo $?; fi`
  const asked = `"$APPC_RUN" --info without | grep -o '"holds":[a-z]*'`
  const script = [
    show('without'),
    show('without'),
    asked,
    `mount --bind ${sandbox.path('app-layer')} ${below}`,
    show('without'),
    show('without').replace('$(', `$(${refusing('458:ENOSYS').join(' ')} `),
    asked,
    show('with'),
    `umount ${below}`,
    show('with'),
    show('without'),
  ]
  t.same(linesOf(sandbox, script), [
    'layerhidden',
    'layerhidden',
    '"holds":true',
    `${coldStatus}`,
    `${coldStatus}`,
    '"holds":false',
    'layerx',
    `${coldStatus}`,
    'layerhidden',
  ])
})

t.test('from a chroot nothing is told of the whole', { skip: skipUnlessRoot }, async t => {
  const sandbox = new Sandbox(root)
  t.teardown(() => sandbox.remove())
  const overlay = sandbox.overlay('app', { x: 'host' }, { x: 'layer' })
  sandbox.install(sandbox.plan('app', { overlays: [overlay] }))
  sandbox.install(sandbox.plan('bare', {}))
  const tree = sandbox.path('tree')
  mkdirSync(tree)
  // With times: the words of two namespaces have the same name in one case of sixteen.
  const left = `$(ls -l --full-time ${sandbox.store}/cache)`
  // A plain directory of the mount that / lies in, with what a launch needs; within the container, whose overlay is not to be seen there.
  const inside = [
    `left="${left}"`,
    `for d in bin lib lib64 usr proc; do mkdir -p ${tree}/$d; mount --rbind /$d ${tree}/$d; done`,
    `mkdir -p ${tree}${sandbox.directory}; mount --bind ${sandbox.directory} ${tree}${sandbox.directory}`,
    `/usr/sbin/chroot ${tree} "$APPC_RUN" --info none | grep -c appc.info`,
    `[ "$left" = "${left}" ] && echo none left`,
    // Never against the mixed view.
    `"$APPC_RUN" bare -c 'cat ${overlay.target}/x'`,
  ]
  const script = [`"$APPC_RUN" app -c '${inside.join('; ').replaceAll("'", "'\\''")}'; echo`]
  t.same(linesOf(sandbox, script), ['1', 'none left', 'host'])
})
