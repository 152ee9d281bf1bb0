import { spawnSync } from 'node:child_process'
import { chmodSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { refusing } from '../support/refusing.js'
import { coldStatus, identity, makeTree, Sandbox, users } from './fixture.js'

/** FSCONFIG_SET_FLAG, which of what is mounted only an overlay is configured by. */
const FLAG = 'fsconfig@1=0'

/** A host and a layer in which whatever can meet meets. */
function makeEverything(sandbox: Sandbox) {
  const host = {
    kept: 'host',
    replaced: 'host',
    hidden: 'host',
    'both/kept': 'host',
    'both/replaced': 'host',
    'both/hidden': 'host',
    'both/deeper/still/kept': 'host',
    'hosts/file': 'host',
    'hosts/deep/file': 'host',
    'hidden-directory/file': 'host',
    'becomes-file/file': 'host',
    'becomes-directory': 'host',
    'becomes-link/file': 'host',
    '.appc-host/odd': 'host',
    'a name with \n and :, in it': 'host',
  }
  const layer = {
    replaced: 'layer',
    added: 'layer',
    'both/replaced': 'layer',
    'both/added': 'layer',
    'both/deeper/still/added': 'layer',
    'layers/file': 'layer',
    'layers/deep/file': 'layer',
    'becomes-file': 'layer',
    'becomes-directory/file': 'layer',
    'link-becomes-directory/file': 'layer',
  }
  const overlay = sandbox.overlay('all', host, layer)
  spawnSync('mkfifo', [join(overlay.target, 'fifo')])
  for (const name of ['hidden', 'both/hidden', 'hidden-directory', 'not-there']) {
    addon().makeWhiteout(join(overlay.layer, name))
  }
  for (const [text, at, path] of [
    ['kept', overlay.target, 'link'],
    ['/nonexistent/absolute', overlay.target, 'both/dangling'],
    ['added', overlay.layer, 'both/link'],
    ['kept', overlay.layer, 'becomes-link'],
    ['both', overlay.target, 'link-becomes-directory'],
  ] as const) {
    symlinkSync(text, join(at, path))
  }
  chmodSync(join(overlay.target, 'hosts'), 0o775)
  chmodSync(join(overlay.layer, 'both'), 0o2770)
  chmodSync(join(overlay.layer, 'both/deeper'), 0o700)
  chmodSync(join(overlay.layer, 'both/added'), 0o641)
  chmodSync(overlay.layer, 0o751)
  // As a store's is.
  spawnSync('chown', ['-R', `${sandbox.user.uid}:${sandbox.user.gid}`, overlay.layer])
  return overlay
}

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const run = (rules: readonly string[], ...args: readonly string[]) => {
      const [command, ...words] = [...(rules.length > 0 ? refusing(...rules) : []), sandbox.launcher, ...args]
      return sandbox.run(words, { command })
    }
    const refused = (...args: readonly string[]) => run([`${FLAG}:ENODEV`], ...args)

    t.test('it shows what an overlay would', async t => {
      const overlay = makeEverything(sandbox)
      sandbox.install(sandbox.plan('all', { overlays: [overlay] }))
      // Of directories that are made of two, number and size are their own.
      const files = `find . ! -type d -printf '%P %y %m %U %G %s %i %t <%l>\\n'`
      const directories = `find . -type d -printf '%P %y %m %U %G\\n'`
      const contents = 'find . -type f -exec cat {} + | wc -c'
      const script = `cd ${overlay.target}; { ${files}; ${directories}; } | LC_ALL=C sort; ${contents}`
      const byOverlay = run([], 'all', '-c', script)
      const bySkeleton = refused('all', '-c', script)
      t.equal(byOverlay.stderr, '')
      t.equal(bySkeleton.stderr, '')
      t.equal(bySkeleton.stdout, byOverlay.stdout)
      t.match(bySkeleton.stdout, /^both\/added f /m)
      t.notMatch(bySkeleton.stdout, /^hidden /m)
      t.match(bySkeleton.stdout, /^\.appc-host\/\.appc-host\/odd f /m)
      const mounted = `stat -f -c %T ${overlay.target}`
      t.equal(run([], 'all', '-c', mounted).stdout, 'overlayfs\n')
      t.equal(refused('all', '-c', mounted).stdout, 'tmpfs\n')
    })

    t.test('nothing in it can be written, of the store least of all', async t => {
      const overlay = sandbox.overlay('written', { x: 'host', 'hosts/x': 'host' }, { y: 'layer', 'layers/y': 'layer' })
      spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, overlay.target, overlay.layer])
      sandbox.install(sandbox.plan('written', { overlays: [overlay] }))
      const paths = ['new', 'x', 'hosts/new', 'hosts/x', 'y', 'layers/new', 'layers/y']
      for (const path of paths) {
        const { status, stderr } = refused('written', '-c', `echo changed > ${join(overlay.target, path)}`)
        t.match({ status, stderr }, { status: 2, stderr: /Read-only file system/ }, path)
      }
      t.equal(refused('written', '-c', `cd ${overlay.target}; cat x hosts/x y layers/y`).stdout, 'hosthostlayerlayer')
      t.match(refused('written', '-c', `echo changed > ${overlay.target}/.appc-host/new`), { status: 0, stderr: '' })
    })

    t.test('what the host replaces, a program goes on seeing as it was when it was started', async t => {
      const overlay = sandbox.overlay('upgraded', { x: 'host', y: 'host' }, { z: 'layer' })
      sandbox.install(sandbox.plan('upgraded', { overlays: [overlay] }))
      spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, overlay.target])
      const host = `${overlay.target}/.appc-host`
      const script = `cd ${overlay.target}; echo new > ${host}/n; mv ${host}/n ${host}/x; rm ${host}/y; cat x y; cat ${host}/x`
      t.match(refused('upgraded', '-c', script), { status: 0, stdout: 'hosthostnew\n', stderr: '' })
      t.match(refused('upgraded', '-c', `cd ${overlay.target}; cat x; ls`), { stdout: 'new\nx\nz\n', stderr: '' })
    })

    t.test('a launch from inside finds the real host, whichever of the two lies over it', async t => {
      const shared = sandbox.overlay('shared', { x: 'host', y: 'host', 'deep/z': 'host' }, { x: 'first' })
      const inner = { target: `${shared.target}/deep`, layer: sandbox.path('deep-layer'), carried: [] }
      makeTree(inner.layer, { '.appc-host': null, z: 'deep' })
      const second = { ...shared, layer: sandbox.path('second-layer') }
      makeTree(second.layer, { '.appc-host': null, y: 'second', 'deep/w': 'over what the first has mounted' })
      const guards = ['x', 'y', 'deep/z'].map(name => identity(`${shared.target}/${name}`))
      sandbox.install(sandbox.plan('first', { overlays: [shared, inner], guards }))
      sandbox.install(sandbox.plan('second', { overlays: [second], guards }))
      const show = `cd ${shared.target} && cat x y deep/z && ls -m deep`
      const nested = `${show}; $APPC_RUN second -c '${show}; $APPC_RUN first -c "${show}"'; ${show}`
      const seen = ['firsthostdeepz', 'hostsecondhostw, z', 'firsthostdeepz', 'firsthostdeepz', ''].join('\n')
      t.match(refused('first', '-c', nested), { stdout: seen, stderr: '' })
      const mixed = nested.replace('$APPC_RUN second', `${refusing(`${FLAG}:EINVAL`).join(' ')} $APPC_RUN second`)
      t.match(run([], 'first', '-c', mixed), { stdout: seen, stderr: '' })
    })

    t.test('shared files are compared through it', async t => {
      const overlay = sandbox.overlay('compared', { x: 'host', 'deep/y': 'host' }, { 'deep/z': 'layer' })
      const guards = ['x', 'deep/y'].map(name => identity(join(overlay.target, name), join(overlay.target, name)))
      sandbox.install(sandbox.plan('compared', { overlays: [overlay], guards }))
      t.match(refused('compared', '-c', 'exit 7'), { status: 7, stderr: '' })
      // As a layer that has what the plan takes for the host's.
      writeFileSync(join(overlay.layer, 'deep/y'), 'host')
      t.equal(refused('compared', '-c', 'exit 7').status, coldStatus)
      renameSync(join(overlay.layer, 'deep/y'), join(overlay.layer, 'deep/other'))
      t.equal(refused('compared', '-c', 'exit 7').status, 7)
    })

    t.test('each answer that means "not here" is followed by it, and no other', async t => {
      const overlay = sandbox.overlay('answers', { x: 'host' }, { x: 'layer' })
      sandbox.install(sandbox.plan('answers', { overlays: [overlay] }))
      const show = `cat ${overlay.target}/x; stat -f -c %T ${overlay.target}`
      for (const error of ['ENODEV', 'EPERM', 'EACCES', 'EOPNOTSUPP', 'ELOOP']) {
        const { stdout, stderr } = run([`${FLAG}:${error}`], 'answers', '-c', show)
        t.same({ stdout, stderr }, { stdout: 'layertmpfs\n', stderr: '' }, error)
      }
      for (const error of ['EIO', 'ENOMEM', 'EINTR', 'EMFILE', 'ENFILE', 'ENOSPC', 'EBUSY', 'ENOENT']) {
        const { status, stdout, stderr } = run([`${FLAG}:${error}`], 'answers', '-c', show)
        t.match({ status, stdout, stderr }, { status: 125, stdout: '', stderr: /^appc-run: cannot .*overlay/ }, error)
      }
    })

    t.test('where it cannot be had either there is one clear error', async t => {
      const overlay = sandbox.overlay('neither', { x: 'host', 'both/y': 'host' }, { x: 'layer', 'both/z': 'layer' })
      sandbox.install(sandbox.plan('neither', { overlays: [overlay] }))
      const fails = (rules: readonly string[], stderr: RegExp) => {
        const ran = run(rules, 'neither', '-c', 'echo must not run')
        t.match(ran, { status: 125, stdout: '', stderr }, rules.join())
        t.match(ran.stderr, /^appc-run: [^\n]+\n\nhint: [^\n]+\n$/, 'one error')
      }
      fails(['fsopen:EPERM'], /what would stand in for it.*\n\nhint: .*seccomp/)
      fails(['fsopen:ENOSYS'], /Function not implemented\n\nhint: .*seccomp/)
      fails([`${FLAG}:ENODEV`, 'move_mount:ENOSPC'], /No space left on device\n\nhint: .*fs\.mount-max/)
      for (const call of ['getdents64', 'mkdirat', 'mknodat', 'fchmodat', 'mount_setattr@2=0x1000', 'open_tree']) {
        const ran = run([`${FLAG}:ENODEV`, `${call}:EIO`], 'neither', '-c', 'echo must not run')
        t.match(ran, { status: 125, stdout: '', stderr: /^appc-run: [^\n]+: Input\/output error\n$/ }, call)
      }
    })
  })
}
