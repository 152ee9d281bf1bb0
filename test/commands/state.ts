import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppcHome } from '../support/appc-home.js'
import { APPC } from '../support/node.js'

const place = new AppcHome()
t.teardown(place.remove)
const { appc, file, home, store, tree } = place
const [one, two] = [join(store, 'state/app/opt/one'), join(store, 'state/app/opt/two')]
const archive = join(home, 'state.tar')
const kept = () => readdirSync(join(store, 'state'))

t.match(appc(['pack', '--root', tree, '--name', 'app', 'program']), { status: 0 })
t.match(appc(['state', 'app', 'add', '/opt/one']), { status: 0 })
for (const directory of [one, two]) {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'note'), 'kept')
}

t.test('what an archive has nothing of is empty then, and told', async t => {
  t.match(appc(['state', 'app', 'add', '/opt/two']), { status: 0 })
  execFileSync('tar', ['-cf', archive, '-C', join(store, 'state/app'), './opt/one'])
  t.match(appc(['state', 'app', 'import', archive]), {
    status: 0,
    stdout: '',
    stderr: 'appc: empty now, as the archive has nothing of it: /opt/two\n',
  })
  t.notOk(existsSync(two))
  t.match(appc(['state', 'app', 'import', archive]), { status: 0, stdout: '', stderr: '' }, 'it was empty before')
  mkdirSync(two)
  writeFileSync(join(two, 'note'), 'kept')
  const { stdout, stderr } = appc(['state', 'app', 'import', archive, '--json'])
  t.same(JSON.parse(stdout), { schema: 'appc.state-imported/1', name: 'app', left: [], emptied: ['/opt/two'] })
  t.equal(stderr, '')
})

t.test('what was state once and is none now stays', async t => {
  const odd = Buffer.concat([Buffer.from(`${two}/`), Buffer.from('na\xefve', 'latin1')])
  mkdirSync(two)
  writeFileSync(odd, 'kept')
  chmodSync(two, 0o2711)
  symlinkSync('/nowhere', join(two, 'link'))
  t.match(appc(['state', 'app', 'drop', '/opt/two']), { status: 0 })
  t.match(appc(['gc', '--keep', '1']), { status: 0 })
  t.match(appc(['state', 'app', 'export', archive]), { status: 0 })
  writeFileSync(join(one, 'later'), '')

  t.test('where the import is killed', async t => {
    const bin = join(home, 'bin')
    mkdirSync(bin)
    file('bin/cp', '#!/bin/sh\n/bin/cp "$@"\nkill -KILL $PPID\n', 0o755)
    const { status } = appc(['state', 'app', 'import', archive], { PATH: `${bin}:${process.env.PATH}` })
    t.equal(status, null)
    t.equal(readFileSync(odd, 'utf8'), 'kept')
    t.same(readdirSync(one), ['later', 'note'])
    t.equal(kept().length, 2, 'what it was about to exchange is left behind')
  })

  const ino = lstatSync(odd).ino
  t.match(appc(['state', 'app', 'import', archive]), {
    status: 0,
    stderr: 'appc: left out, being no state of app: /opt/two\n',
  })
  t.same(readdirSync(one), ['note'])
  t.equal(readFileSync(odd, 'utf8'), 'kept')
  t.equal(lstatSync(odd).ino, ino, 'it was not copied')
  t.equal(lstatSync(odd).nlink, 1)
  t.equal(lstatSync(two).mode & 0o7777, 0o2711)
  t.ok(lstatSync(join(two, 'link')).isSymbolicLink())
  t.same(kept(), ['app'])

  t.test('a link on the way to what is state now is not followed', async t => {
    symlinkSync(join(store, 'state/app/opt/one'), join(store, 'state/app/srv'))
    t.match(appc(['state', 'app', 'add', '/srv/note']), { status: 0 })
    t.match(appc(['state', 'app', 'import', archive]), { status: 1, stderr: /srv is no directory/ })
    t.equal(readFileSync(join(one, 'note'), 'utf8'), 'kept')
    t.same(kept(), ['app'])
    execFileSync('rm', [join(store, 'state/app/srv')])
    t.match(appc(['state', 'app', 'drop', '/srv/note']), { status: 0 })
  })
})

t.test('an export goes where it is told to, or says why not', t => {
  const target = file('target', 'before')
  const link = join(home, 'link')
  symlinkSync(target, link)
  t.match(appc(['state', 'app', 'export', link]), { status: 0 })
  t.ok(lstatSync(link).isSymbolicLink())
  t.match(execFileSync('tar', ['-tf', target], { encoding: 'utf8' }), /opt\/one\/note/)
  t.equal(lstatSync(target).mode & 0o777, 0o600)
  t.match(appc(['state', 'app', 'export', join(home, 'x'.repeat(255))]), { status: 0 })
  execFileSync('mkfifo', [join(home, 'pipe')])
  const cases = {
    '/nonexistent-directory/x.tar': /directory does not exist/,
    '/proc/x.tar': /takes no files/,
    '/dev/full': /no room/,
    [join(home, 'pipe')]: /nobody reads/,
  }
  for (const [path, cause] of Object.entries(cases)) {
    const { stderr } = appc(['state', 'app', 'export', path, '--json'])
    t.match(JSON.parse(stderr), { code: 'OUTPUT_UNWRITABLE', cause }, path)
  }
  t.end()
})

t.test('names are bytes', async t => {
  const name = Buffer.from('na\xefve', 'latin1')
  const path = Buffer.concat([Buffer.from(`${one}/`), name])
  mkdirSync(path)
  writeFileSync(Buffer.concat([path, Buffer.from('/'), name]), 'x'.repeat(1000))
  chmodSync(Buffer.concat([path, Buffer.from('/'), name]), 0o4755)
  const { state } = JSON.parse(appc(['state', 'app', '--json']).stdout)
  t.ok(state[0].bytes >= 1000 + 'kept'.length, `${state[0].bytes}`)
  const stray = Buffer.concat([Buffer.from(join(store, 'state/app/')), name])
  writeFileSync(stray, '')
  t.match(appc(['state', 'app', 'export', archive]), { status: 0 })
  t.match(appc(['state', 'app', 'import', archive]), {
    status: 0,
    stderr: /^appc: left out.*: \/na\ufffdve, \/opt\/two\n$/,
  })
  t.ok(existsSync(stray), 'it was there before, and no state')
  t.same(readdirSync(one, { encoding: 'buffer' }), [name, Buffer.from('note')])
  t.equal(lstatSync(Buffer.concat([path, Buffer.from('/'), name])).mode & 0o7777, 0o755)
  t.same(kept(), ['app'])
})

t.test('while an import waits for its archive others go on', async t => {
  const hostile = join(home, 'hostile')
  mkdirSync(join(hostile, 'opt/one'), { recursive: true })
  writeFileSync(join(hostile, 'opt/one/note'), 'imported')
  chmodSync(hostile, 0o777)
  execFileSync('tar', ['-cf', archive, '-C', hostile, '.'])
  const [command, ...before] = APPC
  const importing = spawn(command, [...before, 'state', 'app', 'import', '-'], {
    env: place.environment(),
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  const aside = await new Promise<string>(resolve => {
    const watcher = watch(join(store, 'state'), (_, name) => {
      if (name?.startsWith('.app-') !== true) return
      watcher.close()
      resolve(join(store, 'state', name))
    })
  })
  t.equal(lstatSync(aside).mode & 0o777, 0o700, 'whatever the archive makes of its own top')
  const { status } = execute(['settings', 'app', 'set', '--env', 'B=1'])
  t.equal(status, 0, 'a setting is made meanwhile')
  t.same(execute(['state', 'app', 'import', archive]).status, 0, 'and another import')
  t.ok(existsSync(aside), 'which takes nothing from the first')
  importing.stdin.end(readFileSync(archive))
  const [ended] = await once(importing, 'close')
  t.equal(ended, 0)
  t.equal(readFileSync(join(one, 'note'), 'utf8'), 'imported')
  t.same(kept(), ['app'])
})

t.test('what is state is asked when the archive is there', async t => {
  const [command, ...before] = APPC
  const importing = spawn(command, [...before, 'state', 'app', 'import', '-'], {
    env: place.environment(),
    stdio: ['pipe', 'inherit', 'pipe'],
  })
  const told: string[] = []
  importing.stderr.setEncoding('utf8').on('data', text => told.push(text))
  await new Promise<void>(resolve => {
    const watcher = watch(join(store, 'state'), () => {
      watcher.close()
      resolve()
    })
  })
  t.equal(execute(['remove', 'app']).status, 0)
  importing.stdin.end(readFileSync(archive))
  const [ended] = await once(importing, 'close')
  t.equal(ended, 1)
  t.match(told.join(''), /no container/)
  t.equal(readFileSync(join(one, 'note'), 'utf8'), 'imported')
  t.same(kept(), ['app'])
})

/** As appc(), but one that waits for what does not come is killed. */
function execute(args: readonly string[]): { readonly status: number | null } {
  const [command, ...before] = APPC
  return spawnSync(command, [...before, ...args], { env: place.environment(), timeout: 20_000, stdio: 'inherit' })
}
