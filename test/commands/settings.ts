import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppcHome } from '../support/appc-home.js'
import { compile } from '../support/fixtures.js'

const place = new AppcHome()
t.teardown(place.remove)
const { appc, file, home, store, tree } = place

const numbers = () =>
  appc(['generations', 'app', '--json'])
    .stdout.split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line).number)

t.match(appc(['pack', '--root', tree, '--name', 'app', 'program']), { status: 0 })

t.test('set, show, unset: each makes a generation', async t => {
  t.match(appc(['settings', 'app']), { status: 0, stdout: 'nothing is set for app\n', stderr: '' })
  const conf = file('a.conf', 'one\ntwo\n')
  t.match(appc(['settings', 'app', 'set', '/etc/app.conf', conf, '--env', 'A=b c=d']), {
    stdout: 'app has generation 2 now\n',
  })
  t.match(appc(['settings', 'app', 'set', '/etc/app.conf', conf]), { stdout: 'app is set up so already\n' })
  const { stdout } = appc(['settings', 'app'])
  t.equal(
    stdout,
    'PATH           MODE  SIZE  AGAINST THE HOST\n/etc/app.conf  0644  8 B   the host has none\nA=b c=d\n',
  )
  t.match(JSON.parse(appc(['settings', 'app', '--json']).stdout), {
    schema: 'appc.settings/1',
    generation: 2,
    files: [{ path: '/etc/app.conf', mode: 0o644, size: 8, secret: false, against: 'the host has none' }],
    environment: { A: 'b c=d' },
    state: [],
  })
  t.match(appc(['settings', 'app', 'show']), {
    stdout: '--- /dev/null\thost\n+++ /etc/app.conf\tsetting\n@@ -0,0 +1,2 @@\n+one\n+two\n',
  })
  t.match(appc(['settings', 'app', 'unset', '/etc/app.conf', '--env', 'A']), { stdout: 'app has generation 3 now\n' })
  t.match(appc(['settings', 'app', 'unset', '/etc/app.conf']), { status: 1, stderr: /has no setting \/etc\/app.conf/ })
  t.same(numbers(), [1, 2, 3])
})

t.test('who sets what is there already mends it', async t => {
  const conf = file('mend.conf', 'bytes that nobody else has\n')
  const set = ['settings', 'app', 'set', '/etc/mend.conf', conf]
  t.match(appc(set), { status: 0 })
  const digest = createHash('sha256').update(readFileSync(conf)).digest('hex')
  const object = join(store, 'objects', digest.slice(0, 2), digest.slice(2))
  const damages = {
    missing: () => rmSync(object),
    bytes: () => {
      chmodSync(object, 0o644)
      writeFileSync(object, 'bytes that somebody else had')
      chmodSync(object, 0o444)
    },
  }
  for (const [kind, damage] of Object.entries(damages)) {
    damage()
    t.match(appc(['verify']), { status: 1, stdout: `${kind}: ${object}` })
    const hint = /appc settings (app|NAME) set \/etc\/mend.conf FILE/
    t.match(appc(['repair']), { status: 1, stdout: hint })
    t.notMatch(appc(['repair']).stdout, /packing/)
    t.match(appc(['settings', 'app', 'show', '/etc/mend.conf']), { status: 1, stderr: hint })
    t.match(appc(set), { status: 0, stdout: 'app is set up so already\n' })
    t.match(appc(['verify']), { status: 0, stdout: /^sound/ }, kind)
  }
  const before = lstatSync(object).ino
  t.match(appc(set), { status: 0, stdout: 'app is set up so already\n' })
  t.equal(lstatSync(object).ino, before, 'what is sound is not replaced')
  t.match(appc(['settings', 'app', 'unset', '/etc/mend.conf']), { status: 0 })
})

t.test('what every object has is no variable that was set', async t => {
  for (const name of ['constructor', 'toString'])
    t.match(appc(['settings', 'app', 'unset', '--env', name]), { status: 1, stderr: `has no setting ${name}` })
})

t.test('import fixes what the host has now', async t => {
  t.match(appc(['settings', 'app', 'import', '/etc/os-release']), { status: 0 })
  t.match(appc(['settings', 'app']), { stdout: /\/etc\/os-release +0644 .* as the host has it\n/ })
  t.match(appc(['settings', 'app', 'import', '/etc/nowhere']), { status: 1, stderr: /is not there/ })
})

t.test('show as JSON: one object a line', async t => {
  appc(['pack', '--root', tree, '--name', 'shown', 'program'])
  t.teardown(() => appc(['remove', 'shown']))
  const set = (path: string, from: string) => appc(['settings', 'shown', 'set', path, from])
  const show = (...options: string[]) =>
    appc(['settings', 'shown', 'show', '--json', ...options])
      .stdout.split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line))
  set('/etc/a', file('shown', 'one\n'))
  set('/etc/b', file('shown', Buffer.from([0, 1])))
  set('/etc/key', file('shown', 'a secret\n', 0o600))
  appc(['settings', 'shown', 'import', '/etc/os-release'])
  const schema = 'appc.setting/1'
  const diff = '--- /dev/null\thost\n+++ /etc/a\tsetting\n@@ -0,0 +1,1 @@\n+one\n'
  t.same(show(), [
    { schema, path: '/etc/a', against: 'the host has none', diff },
    { schema, path: '/etc/b', against: 'the host has none', diff: null },
    { schema, path: '/etc/key', against: 'secret', diff: null },
    { schema, path: '/etc/os-release', against: 'as the host has it', diff: null },
  ])
  t.match(show('/etc/key', '--include-secrets'), [{ against: 'the host has none', diff: /\n\+a secret\n/ }])
})

t.test('rollback and diff', async t => {
  const conf = file('b.conf', 'first\n')
  appc(['settings', 'app', 'set', '/etc/b.conf', conf])
  const first = numbers().at(-1)
  writeFileSync(conf, 'second\n')
  appc(['settings', 'app', 'set', '/etc/b.conf', conf, '--env', 'B=1'])
  const { status, stdout } = appc(['diff', 'app', String(first), String(first + 1)])
  t.equal(status, 1)
  t.equal(
    stdout,
    'variable B: unset -> 1\nsetting /etc/b.conf: changed\n--- /etc/b.conf\tbefore\n+++ /etc/b.conf\tafter\n@@ -1,1 +1,1 @@\n-first\n+second\n',
  )
  t.match(appc(['rollback', 'app']), {
    stdout: `app is as in generation ${first} again: this is generation ${first + 2}\n`,
  })
  t.match(appc(['diff', 'app', String(first), String(first + 2)]), { status: 0, stdout: '' })
  t.match(appc(['rollback', 'app']), { stdout: new RegExp(`generation ${first - 1} again`) }, 'two back')
  t.match(appc(['rollback', 'app', '1']), { stdout: /generation 1 again/ })
  t.match(appc(['settings', 'app']), { stdout: 'nothing is set for app\n' })
  t.match(appc(['rollback', 'app', '1']), { status: 0 }, 'it is so already')
  t.match(appc(['rollback', 'app', '99']), { status: 1, stderr: /has no generation 99/ })
  t.match(appc(['rollback', 'app', '0']), { status: 2 })
})

t.test('a secret is closed, is not shown, and does not travel', async t => {
  const key = file('key', 'a secret\n', 0o640)
  t.match(appc(['settings', 'app', 'set', '/etc/key', key]), { status: 0 })
  t.match(appc(['settings', 'app', 'set', '/etc/key', key]), { stdout: 'app is set up so already\n' })
  t.match(appc(['settings', 'app', 'show']), { stdout: '/etc/key: secret\n' })
  t.equal(lstatSync(join(store, 'secrets')).mode & 0o777, 0o700)
  const [name = ''] = readdirSync(join(store, 'secrets')).filter(name => !name.endsWith('.json'))
  t.equal(lstatSync(join(store, 'secrets', name)).mode & 0o777, 0o640, 'its full mode')
  const out = join(home, 'out.json')
  t.match(appc(['settings', 'app', 'export', out]), { status: 0 })
  t.notOk(readFileSync(out, 'utf8').includes(Buffer.from('a secret\n').toString('base64')))
  t.match(appc(['settings', 'app', 'export', out, '--include-secrets']), { status: 0 })
  t.ok(readFileSync(out, 'utf8').includes(Buffer.from('a secret\n').toString('base64')))
  t.equal(lstatSync(out).mode & 0o777, 0o600)
  t.match(appc(['copy', 'app', 'other']), { status: 0 })
  t.match(appc(['settings', 'other']), { stdout: /\/etc\/key/ })
  t.match(appc(['remove', 'app', 'other']), { status: 0 })
  t.same(readdirSync(join(store, 'secrets')), [], 'the last that needed it is gone')
  t.match(appc(['pack', '--root', tree, '--name', 'app', 'program']), { status: 0 })
  t.match(appc(['settings', 'app', 'apply', out]), { status: 0 })
  t.match(appc(['settings', 'app']), { stdout: /\/etc\/key +0640 .* secret\n/ })
})

t.test('what is wrong changes nothing', async t => {
  const conf = file('c.conf', 'x\n')
  mkdirSync(join(home, 'directory'))
  const count = numbers().length
  const objects = () => readdirSync(join(store, 'objects'), { recursive: true }).length
  const kept = objects()
  const wrong: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['set', 'etc/x', conf], 1, /no absolute path|not an absolute path/],
    [['set', '/etc/../x', conf], 1, /not an absolute path/],
    [['set', '/var/lib/x', conf], 1, /never laid over/],
    [['set', '/etc/ld.so.preload', conf], 1, /the loader obeys it/],
    [['set', '/x', conf], 1, /directly in \//],
    [['set', '/etc/.appc-host/x', conf], 1, /reserves this name/],
    [['set', '/etc/x', join(home, 'nowhere')], 1, /is not there/],
    [['set', '/etc/x', join(home, 'directory')], 1, /not a regular file/],
    [['set', '/etc/x'], 2, /takes a path and a file/],
    [['set', '--env', 'LD_PRELOAD=/x'], 2, /sets no variable/],
    [['set', '--env', 'novalue'], 2, /sets no variable/],
    [['set', '--env', 'prototype=x'], 2, /sets no variable/],
    [['set', '--env', `A=${'x'.repeat(130_000)}`], 2, /"A=x{98}"… sets no variable: its value has 130000 bytes/],
    [['set', '/etc/\ufffd', conf], 1, /not UTF-8/],
    [['set', `/etc/${'x'.repeat(256)}`, conf], 1, /"\/etc\/x{95}"… .* more than 255 bytes/],
    [['apply', conf], 1, /no document of settings/],
    [['frobnicate'], 2, /nothing that can be done/],
    [['show', '/etc/none'], 1, /has no setting/],
  ]
  for (const [args, status, stderr] of wrong)
    t.match(appc(['settings', 'app', ...args]), { status, stdout: '', stderr }, args.join(' ').slice(0, 80))
  t.match(appc(['settings', 'nobody', 'set', '/etc/x', conf]), { status: 1, stderr: /no container nobody/ })
  t.equal(numbers().length, count)
  t.equal(objects(), kept)
  t.same(readdirSync(join(store, 'tmp')), [])
})

t.test('an option that a verb does not know is refused, and not ignored', async t => {
  const conf = file('options.conf', 'x\n')
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--env', 'A=b'], /settings list takes no --env\n\nhint: --env is for set, unset\n/],
    [['import', '/etc/os-release', '--env', 'A=b'], /import takes no --env/],
    [['apply', conf, '--include-secrets'], /--include-secrets is for show, export\n/],
    [['list', '--include-secrets'], /list takes no --include-secrets/],
    [['export', '-', '--public'], /--public is for set, edit, import\n/],
    [['unset', '/etc/x', '--public'], /unset takes no --public/],
  ]
  for (const [args, stderr] of wrong)
    t.match(appc(['settings', 'app', ...args]), { status: 2, stdout: '', stderr }, args.join(' '))
})

t.test('an update is a new generation, and keeps the settings', async t => {
  compile(tree, 'usr/bin/program', 'int main(void) { return 7; }')
  t.match(appc(['pack', '--root', tree, '--name', 'app', 'program']), { status: 1, stderr: /--update/ })
  const before = appc(['settings', 'app']).stdout
  t.match(appc(['pack', '--root', tree, '--name', 'app', '--update', 'program']), { status: 0 })
  t.equal(appc(['settings', 'app']).stdout, before)
  const count = numbers().length
  t.match(appc(['pack', '--root', tree, '--name', 'app', '--update', 'program']), { status: 0 })
  t.equal(numbers().length, count, 'the same again is nothing new')
  const last = numbers().at(-1)
  t.match(appc(['diff', 'app', String(last - 1), String(last)]), { status: 1, stdout: '~ /usr/bin/program\n' })
})

t.test('a return that was changed upon goes to what it returned to', async t => {
  appc(['pack', '--root', tree, '--name', 'back', 'program'])
  const set = (value: string) => appc(['settings', 'back', 'set', '--env', `A=${value}`])
  set('2')
  set('3')
  t.match(appc(['rollback', 'back', '1']), { stdout: /generation 1 again: this is generation 4/ })
  set('5')
  t.match(appc(['rollback', 'back']), { stdout: /generation 1 again: this is generation 6/ }, 'not 3, which was left')
  t.match(appc(['rollback', 'back']), { status: 1 }, 'before the first there is none')
})

t.test('what lies in a closed directory is closed', async t => {
  const closed = join(home, 'closed')
  mkdirSync(closed, { mode: 0o700 })
  chmodSync(closed, 0o700)
  writeFileSync(join(closed, 'key'), 'hidden', { mode: 0o644 })
  appc(['pack', '--root', tree, '--name', 'closed', 'program'])
  t.match(appc(['settings', 'closed', 'set', '/etc/key', join(closed, 'key')]), { status: 0 })
  t.match(appc(['settings', 'closed']), { stdout: /\/etc\/key +0600 .* secret\n/ }, 'to its group too')
  t.match(appc(['settings', 'closed', 'set', '/etc/key', join(closed, 'key'), '--public']), { status: 0 })
  t.match(appc(['settings', 'closed']), { stdout: /\/etc\/key +0644 .* the host has none\n/ })
})

t.test('two long files that have no line in common', async t => {
  appc(['pack', '--root', tree, '--name', 'long', 'program'])
  for (const from of [0, 100_000]) {
    const lines = Array.from({ length: 60_000 }, (_, at) => `line ${from + at}\n`).join('')
    appc(['settings', 'long', 'set', '/etc/long', file('long', lines)])
  }
  t.match(appc(['diff', 'long', '2', '3']), { status: 1, stdout: 'setting /etc/long: changed\n' })
})

t.test('a copy that is removed takes nothing from the other', async t => {
  appc(['pack', '--root', tree, '--name', 'twin', 'program'])
  appc(['copy', 'twin', 'twin2'])
  const digest = JSON.parse(
    appc(['list', '--json'])
      .stdout.split('\n')
      .find(line => line.includes('"twin"')) ?? '',
  ).digest
  mkdirSync(join(store, 'views', digest, 'some'), { recursive: true })
  t.match(appc(['remove', 'twin2']), { status: 0 })
  t.ok(existsSync(join(store, 'views', digest, 'some')))
  t.match(appc(['remove', 'twin']), { status: 0 })
  t.notOk(existsSync(join(store, 'views', digest)))
})

t.test('state', async t => {
  t.match(appc(['state', 'app']), { status: 0, stdout: 'nothing is kept for app\n' })
  t.match(appc(['state', 'app', 'add', '/opt/data']), { status: 0, stdout: /generation/ })
  t.match(appc(['state', 'app', 'add', '/opt/data']), { stdout: 'app is set up so already\n' })
  t.match(appc(['state', 'app', 'add', '/proc/x']), { status: 1, stderr: /kernel/ })
  t.match(appc(['state', 'app']), { stdout: /^PATH +SIZE +KEPT IN\n\/opt\/data +- / })
  mkdirSync(join(store, 'state/app/opt/data'), { recursive: true })
  writeFileSync(join(store, 'state/app/opt/data/x'), 'kept')
  const archive = join(home, 'state.tar')
  t.match(appc(['state', 'app', 'export', archive]), { status: 0 })
  writeFileSync(join(store, 'state/app/opt/data/y'), 'later')
  t.match(appc(['state', 'app', 'import', archive]), { status: 0 })
  t.same(readdirSync(join(store, 'state/app/opt/data')), ['x'])
  const kept = lstatSync(join(store, 'state/app/opt/data/x')).ino
  writeFileSync(archive, 'no archive')
  t.match(appc(['state', 'app', 'import', archive]), { status: 125, stderr: /archive/ })
  t.equal(lstatSync(join(store, 'state/app/opt/data/x')).ino, kept, 'nothing was exchanged')
  const other = join(home, 'other')
  mkdirSync(join(other, 'etc'), { recursive: true })
  for (const make of [
    () => writeFileSync(archive, Buffer.alloc(1000)),
    () => execFileSync('tar', ['-cf', archive, '-T', '/dev/null']),
    () => execFileSync('tar', ['-cf', archive, '-C', other, '.']),
    () => {
      mkdirSync(join(other, 'opt'))
      symlinkSync('/etc', join(other, 'opt/data'))
      execFileSync('tar', ['-cf', archive, '-C', other, '.'])
    },
  ]) {
    make()
    t.match(appc(['state', 'app', 'import', archive]), { status: 125, stderr: /no state of app|no directory/ })
    t.equal(lstatSync(join(store, 'state/app/opt/data/x')).ino, kept, 'nothing was exchanged')
    t.same(readdirSync(join(store, 'state')), ['app'])
  }
  const hostile = join(home, 'hostile')
  mkdirSync(join(hostile, 'opt/data'), { recursive: true, mode: 0o777 })
  chmodSync(hostile, 0o777)
  writeFileSync(join(hostile, 'opt/data/tool'), '')
  writeFileSync(join(hostile, 'opt/database'), '')
  chmodSync(join(hostile, 'opt/data/tool'), 0o6755)
  execFileSync('tar', ['-cf', archive, '-C', hostile, '.'])
  t.match(appc(['state', 'app', 'import', archive]), {
    status: 0,
    stderr: 'appc: left out, being no state of app: /opt/database\n',
  })
  t.same(readdirSync(join(store, 'state/app/opt')), ['data'])
  t.equal(lstatSync(join(store, 'state/app')).mode & 0o777, 0o700)
  t.equal(lstatSync(join(store, 'state/app/opt/data/tool')).mode & 0o7777, 0o755)
  writeFileSync(join(store, 'state/app/opt/data/x'), 'kept')
  t.match(appc(['state', 'app', 'drop', '/opt/data']), { status: 0 })
  t.match(appc(['state', 'app', 'drop', '/opt/data']), { status: 1 })
  t.ok(existsSync(join(store, 'state/app/opt/data/x')), 'what programs have written is not appc’s to remove')
})
