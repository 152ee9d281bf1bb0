import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { launcherPath } from '../../lib/launch/launcher.js'
import { AppcHome } from '../support/appc-home.js'
import { compile } from '../support/fixtures.js'
import { LIBRARIES } from '../support/small-tree.js'

const place = new AppcHome()
t.teardown(place.remove)
const { appc, file, home, pack, tree } = place

t.test('what every launch would refuse is refused when it is set', async t => {
  const [conf, packed] = [file('places.conf', 'x\n'), join(tree, 'opt/site')]
  compile(tree, 'opt/site/plugin.so', 'int plugin(void) { return 0; }', ['-shared', '-fPIC'])
  writeFileSync(join(packed, 'data'), '')
  symlinkSync('data', join(packed, 'link'))
  t.teardown(() => rmSync(packed, { recursive: true }))
  t.match(pack('places', '--include', '/opt/site', '--', 'program'), { status: 0 })
  const program = /a program or library of the container/
  const document = { schema: 'appc.settings-file/1', files: [], environment: {}, state: [] }
  const one = { path: '/usr/bin/program', mode: 0o644, bytes: '' }
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['settings', 'places', 'set', '/usr/bin/program', conf], program],
    [['settings', 'places', 'set', `${LIBRARIES}/libc.so.6`, conf], program],
    [['settings', 'places', 'import', `${LIBRARIES}/libc.so.6`], program],
    [['settings', 'places', 'apply', file('a.json', JSON.stringify({ ...document, files: [one] }))], program],
    [
      ['settings', 'places', 'apply', file('b.json', JSON.stringify({ ...document, state: ['/opt/site/data'] }))],
      /file/,
    ],
    [['settings', 'places', 'edit', '/usr/bin/program'], program],
    [['settings', 'places', 'set', '/opt/site', conf], /has a directory there/],
    [['settings', 'places', 'set', '/usr/bin', conf], /has a directory there/],
    [['state', 'places', 'add', '/opt/site/data'], /has a file there/],
    [['state', 'places', 'add', '/opt/site/link'], /has a file there/],
    [['state', 'places', 'add', LIBRARIES], /lies in it, which the container’s programs load/],
    [['state', 'places', 'add', '/usr/lib'], /lies in it, which the container’s programs load/],
  ]
  const editor = { EDITOR: `touch ${join(home, 'edited')};:`, VISUAL: '' }
  for (const [args, stderr] of wrong)
    t.match(appc(args, editor), { status: 1, stdout: '', stderr }, `${args.join(' ')}`)
  t.notOk(existsSync(join(home, 'edited')), 'nobody edits in vain')
  for (const path of ['/opt/site/plugin.so', '/opt/site/data', '/opt/site/link'])
    t.match(appc(['settings', 'places', 'set', path, conf]), { status: 0 }, path)
  t.match(appc(['state', 'places', 'add', '/opt/state']), { status: 0 })
  t.match(appc(['settings', 'places', 'set', '/opt/state/later', conf]), { status: 1, stderr: /would lie in/ })
})

t.test('links and directories that are links are no way around it', async t => {
  const [conf, site] = [file('links.conf', 'x\n'), join(tree, 'opt/links')]
  compile(tree, 'opt/links/lib/libreal.so.1.2', 'int real(void) { return 0; }', [
    ...['-shared', '-fPIC', '-Wl,-soname,libreal.so.1'],
  ])
  symlinkSync('libreal.so.1.2', join(site, 'lib/libreal.so.1'))
  symlinkSync('libreal.so.1.2', join(site, 'lib/libreal.so'))
  mkdirSync(join(site, 'named'))
  symlinkSync('../lib/libreal.so.1', join(site, 'named/libreal.so.1'))
  symlinkSync('lib', join(site, 'alias'))
  const linked = ['-L/opt/links/lib', `-L${join(site, 'lib')}`, '-lreal', '-Wl,-rpath,/opt/links/lib']
  compile(tree, 'usr/bin/linked', 'int real(void); int main(void) { return real(); }', linked)
  symlinkSync('linked', join(tree, 'usr/bin/by-name'))
  t.teardown(() => {
    for (const path of ['opt/links', 'usr/bin/linked', 'usr/bin/by-name']) rmSync(join(tree, path), { recursive: true })
  })
  t.match(pack('links', '--include', '/opt/links', '--', 'by-name'), { status: 0 })

  const launch = () => spawnSync(launcherPath, ['links'], { encoding: 'utf8', env: place.environment() })
  t.match(launch(), { status: 0, stderr: '' })
  const set = (path: string) => appc(['settings', 'links', 'set', path, conf])
  const keep = (path: string) => appc(['state', 'links', 'add', path])
  const program = { status: 1, stderr: /a program or library of the container/ }
  for (const path of [
    '/opt/links/lib/libreal.so.1',
    '/opt/links/alias/libreal.so.1.2',
    '/opt/links/alias/libreal.so.1',
    '/bin/linked',
    `${LIBRARIES.slice('/usr'.length)}/libc.so.6`,
    '/lib64/ld-linux-x86-64.so.2',
  ])
    t.match(set(path), program, path)
  t.match(set('/bin/linked/below'), { status: 1, stderr: /is a program of the container, and no directory/ })
  t.match(keep('/usr/bin/linked/below'), { status: 1, stderr: /is a program of the container, and no directory/ })
  const held = { status: 1, stderr: /lies in it, which the container’s programs load/ }
  for (const path of ['/opt/links/alias', LIBRARIES.slice('/usr'.length), '/usr/lib64']) t.match(keep(path), held, path)
  for (const path of ['/opt/links/lib/libreal.so', '/usr/bin/by-name', '/bin/nothing', '/lib/links/nothing'])
    t.match(set(path), { status: 0 }, path)
  for (const path of ['/opt/links/named', '/lib/links-state']) t.match(keep(path), { status: 0 }, path)
  t.match(launch(), { status: 0, stderr: '' }, 'what is taken can be launched')
})

t.test('what an update has made impossible stands in no other’s way', async t => {
  const [conf, later] = [file('later.conf', 'x\n'), '/opt/later/run']
  t.match(pack('later', 'program'), { status: 0 })
  t.match(appc(['settings', 'later', 'set', later, conf]), { status: 0 })
  compile(tree, later.slice(1), 'int main(void) { return 0; }')
  t.teardown(() => rmSync(join(tree, 'opt/later'), { recursive: true }))
  t.match(pack('later', '--update', 'program', later), { status: 0 })
  t.match(appc(['settings', 'later', 'set', '/etc/other', conf]), { status: 0 })
  t.match(appc(['settings', 'later', 'set', later, file('later.conf', 'y\n')]), { status: 0 })
  t.match(appc(['settings', 'later', 'unset', later]), { status: 0 })
  t.match(appc(['settings', 'later', 'set', later, conf]), { status: 1, stderr: /a program or library/ })
})

t.test('what could not be read again, or not be laid, is never written', async t => {
  appc(['pack', '--root', tree, '--name', 'limits', 'program'])
  const document = (part: object) =>
    file(
      'limits.json',
      JSON.stringify({ schema: 'appc.settings-file/1', files: [], environment: {}, state: [], ...part }),
    )
  const one = { mode: 0o644, bytes: '' }
  const wrong = {
    'too many': { state: Array.from({ length: 65 }, (_, at) => `/opt/s${at}`) },
    'too large': {
      environment: Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`V${at}`, 'x'.repeat(90_000)])),
    },
    'below a file': {
      files: [
        { path: '/opt/q', ...one },
        { path: '/opt/q/below', ...one },
      ],
    },
    'state in state': { state: ['/opt/a', '/opt/a/b'] },
    'a setting in state': { state: ['/opt/a'], files: [{ path: '/opt/a/b', ...one }] },
  }
  for (const [what, part] of Object.entries(wrong)) {
    t.match(appc(['settings', 'limits', 'apply', document(part)]), { status: 1, stderr: /cannot be like this/ }, what)
    t.match(appc(['settings', 'limits']), { status: 0, stdout: 'nothing is set for limits\n' }, what)
  }
  for (const name of ['constructor', '__proto__'])
    t.match(appc(['settings', 'limits', 'set', '--env', `${name}=1`]), { status: 2, stderr: /sets no variable/ })
})
