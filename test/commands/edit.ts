import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { AppcHome } from '../support/appc-home.js'
import { APPC } from '../support/node.js'

const place = new AppcHome()
t.teardown(place.remove)
const { appc, pack } = place
const ADDS = { EDITOR: "sed -i '$a added'", VISUAL: '' }

t.match(pack('app', 'program'), { status: 0 })

t.test('edit begins with what is there, and has the editor’s word', async t => {
  const edit = (env: Readonly<Record<string, string>>) =>
    appc(['settings', 'app', 'edit', '/etc/os-release'], { VISUAL: '', ...env })
  t.match(edit(ADDS), { status: 0, stdout: 'app has generation 2 now\n' })
  t.match(appc(['settings', 'app', 'show', '/etc/os-release']), { stdout: /\n\+added\n/ })
  t.match(edit({ EDITOR: 'true' }), { stdout: 'app is set up so already\n' })
  t.match(edit({ EDITOR: 'echo lost >"$1"; false' }), { status: 2, stderr: /did not finish/ })
  t.match(appc(['generations', 'app']).stdout.split('\n'), { length: 4 }, 'a headline and two')
})

t.test('what is nowhere and stays empty is not set', async t => {
  t.match(appc(['settings', 'app', 'edit', '/etc/nothing'], { VISUAL: '', EDITOR: 'true' }), {
    status: 0,
    stdout: 'app is set up so already\n',
  })
  t.notMatch(appc(['settings', 'app']).stdout, /nothing/)
})

t.test('whoever was faster keeps his change, and the slower one his copy', async t => {
  t.match(pack('shared', 'program'), { status: 0 })
  const others = place.file('others', 'theirs\n')
  const meanwhile = (...words: string[]) => `echo mine >"$1"; ${[...APPC, 'settings', 'shared', ...words].join(' ')};:`
  const edit = (EDITOR: string) =>
    appc(['settings', 'shared', 'edit', '/etc/shared'], { VISUAL: '', TMPDIR: place.home, EDITOR })
  const refused = (why: string, ...words: string[]) => {
    const { status, stderr } = edit(meanwhile(...words))
    t.equal(status, 1, why)
    const copy = /kept in (\/\S+\/shared): /.exec(stderr)?.[1] ?? ''
    t.equal(readFileSync(copy, 'utf8'), 'mine\n')
    t.equal(lstatSync(dirname(copy)).mode & 0o077, 0)
  }
  refused('set', 'set', '/etc/shared', others)
  t.match(appc(['settings', 'shared', 'show', '/etc/shared']), { stdout: /\n\+theirs\n/ })
  refused('unset', 'unset', '/etc/shared')
  t.match(edit(meanwhile('set', '/etc/other', others)), { status: 0 }, 'another setting')
})

t.test('the host’s file in a closed directory', async t => {
  t.match(editInClosed('/opt/one'), { status: 0, stdout: /kept secret/ })
  t.match(editInClosed('/opt/two', '--public'), { status: 0, stdout: 'app has generation 4 now\n' })
})

t.test('however the editor or appc is to end, no copy stays', async t => {
  const cases = {
    'a ^C that the editor survives': ['trap "" INT; kill -INT 0; echo interrupted >"$1"; :', { status: 0 }],
    'a ^C that it does not': ['echo lost >"$1"; kill -INT 0; sleep 60; :', { status: 2, stderr: /did not finish/ }],
    'an editor that is killed': ['kill -KILL $$; :', { status: 2, stderr: /it was ended by SIGKILL/ }],
    SIGTERM: ['trap "" TERM; kill -TERM 0; echo lost >"$1"; :', { signal: 'SIGTERM' }],
    'a terminal that is closed': ['kill -HUP 0; sleep 60; :', { signal: 'SIGHUP' }],
  } as const
  for (const [what, [editor, expected]] of Object.entries(cases)) {
    const temporary = join(place.home, what)
    mkdirSync(temporary)
    t.match(await editApart(editor, temporary), expected, what)
    t.same(readdirSync(temporary), [], what)
  }
  t.match(appc(['settings', 'app', 'show', '/etc/apart']), { stdout: /\n\+interrupted\n$/ }, 'only the first')
})

/** In a group of processes of its own, as a shell starts it on a terminal. */
async function editApart(editor: string, temporary: string) {
  const [command, ...before] = APPC
  const child = spawn(command, [...before, 'settings', 'app', 'edit', '/etc/apart'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: place.environment({ EDITOR: editor, VISUAL: '', TMPDIR: temporary }),
  })
  const [stderr, [status, signal]] = await Promise.all([text(child.stderr), once(child, 'close')])
  return { status, signal, stderr }
}

/** On a host whose /opt only its owner may enter. */
function editInClosed(path: string, ...options: string[]) {
  const script = 'umask 022; mount -t tmpfs -o mode=700 none /opt && echo hidden >"$0" && exec "$@"'
  const command = [...APPC, 'settings', 'app', 'edit', path, ...options]
  return spawnSync('unshare', ['--map-root-user', '--mount', 'sh', '-c', script, path, ...command], {
    encoding: 'utf8',
    env: place.environment(ADDS),
  })
}
