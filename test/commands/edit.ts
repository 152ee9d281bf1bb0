import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
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
  const meanwhile = (...words: string[]) => `echo mine >"$1"; ${[...APPC, ...words].join(' ')};:`
  const edit = (EDITOR: string, path = '/etc/shared') =>
    appc(['settings', 'shared', 'edit', path], { VISUAL: '', TMPDIR: place.home, EDITOR })
  const refused = (stderr: RegExp, path: string, ...words: string[]) => {
    const refusal = edit(`umask 022; rm "$1"; ${meanwhile(...words)}`, path)
    t.match(refusal, { status: 1, stderr }, words.join(' '))
    t.same(keptCopy(refusal.stderr), { text: 'mine\n', mode: 0o600, above: 0o700 })
  }
  refused(/somebody else has changed/, '/etc/shared', 'settings', 'shared', 'set', '/etc/shared', others)
  t.match(appc(['settings', 'shared', 'show', '/etc/shared']), { stdout: /\n\+theirs\n/ })
  refused(/somebody else has changed/, '/etc/shared', 'settings', 'shared', 'unset', '/etc/shared')
  t.match(edit(meanwhile('settings', 'shared', 'set', '/etc/other', others)), { status: 0 }, 'another setting')
  refused(/would lie in/, '/etc/new/foo.conf', 'state', 'shared', 'add', '/etc/new')
  refused(/no container/, '/etc/last', 'remove', 'shared')
})

t.test('what is edited outlives a full disk of the store, and is too large for a setting', async t => {
  const script = `mount -t tmpfs -o size=4m none "$0" && ${[...APPC, 'pack', '--root', place.tree, '--name', 'full', 'program'].join(' ')} && exec "$@"`
  const full = join(place.home, 'full')
  mkdirSync(full)
  const EDITOR = `echo mine >"$1"; cat /dev/zero >${join(full, 'fill')} 2>/dev/null; :`
  const { status, stderr } = spawnSync(
    'unshare',
    ['--map-root-user', '--mount', 'sh', '-c', script, full, ...APPC, 'settings', 'full', 'edit', '/etc/full'],
    { encoding: 'utf8', env: place.environment({ APPC_HOME: full, VISUAL: '', TMPDIR: place.home, EDITOR }) },
  )
  t.equal(status, 125)
  t.match(stderr, /the store at .* cannot be written: ENOSPC/)
  t.same(keptCopy(stderr), { text: 'mine\n', mode: 0o600, above: 0o700 })
  const large = appc(['settings', 'app', 'edit', '/etc/large'], {
    VISUAL: '',
    TMPDIR: place.home,
    EDITOR: 'truncate -s 65M',
  })
  t.match(large, { status: 1, stderr: /at most 67108864 are taken/ })
  t.equal(keptCopy(large.stderr).text.length, 65 << 20)
})

t.test('where no copy can be made, nobody edits', async t => {
  const edit = (TMPDIR: string) =>
    appc(['settings', 'app', 'edit', '/etc/copy'], { VISUAL: '', TMPDIR, EDITOR: `touch ${join(place.home, 'ran')};:` })
  const refusal = (why: string) => ({ status: 125, stderr: `no temporary file can be made in ${why}\n\nhint: ` })
  t.match(edit('/nonexistent'), refusal('/nonexistent: it does not exist'))
  t.match(edit('/etc/passwd'), refusal('/etc/passwd: it is no directory'))
  t.notOk(existsSync(join(place.home, 'ran')))
})

function keptCopy(stderr: string) {
  const copy = /kept in (\/.+)\n/.exec(stderr)?.[1] ?? ''
  const mode = (path: string) => lstatSync(path).mode & 0o777
  return { text: readFileSync(copy, 'utf8'), mode: mode(copy), above: mode(dirname(copy)) }
}

t.test('the host’s file in a closed directory', async t => {
  t.match(editInClosed('/opt/one'), { status: 0, stdout: /kept secret/ })
  t.match(editInClosed('/opt/two', '--public'), { status: 0, stdout: 'app has generation 4 now\n' })
})

t.test('however the editor or appc is to end, no copy stays', async t => {
  const cases = {
    'a ^C that the editor survives': ['trap "" INT; kill -INT 0; echo interrupted >"$1"; :', { status: 0 }],
    'a ^C that it does not': ['echo lost >"$1"; kill -INT 0; sleep 60; :', { status: 2, stderr: /did not finish/ }],
    'an editor that is killed': ['kill -KILL $$; :', { status: 2, stderr: /it was ended by SIGKILL/ }],
    // That the signal is passed on tells the editor that appc has it: of two that are sent at once, the kernel may let the later one be
    // handled first, by another thread.
    SIGTERM: [
      script('trap \'kill $!; echo lost >"$1"; exit 0\' TERM; sleep 60 & kill -TERM $PPID; wait'),
      { signal: 'SIGTERM' },
    ],
    'SIGTERM where a shell waits for the editor, which nobody may leave without its copy': [
      `edit() { kill -TERM $PPID; sleep 0.5; cp "$1" '${join(place.home, 'left')}'; }; edit`,
      { signal: 'SIGTERM' },
    ],
    'a terminal that is closed': [script('kill -HUP $PPID; exec sleep 60'), { signal: 'SIGHUP' }],
  } as const
  for (const [what, [editor, expected]] of Object.entries(cases)) {
    const temporary = join(place.home, what)
    mkdirSync(temporary)
    t.match(await editApart(editor, temporary), expected, what)
    t.same(readdirSync(temporary), [], what)
  }
  t.match(appc(['settings', 'app', 'show', '/etc/apart']), { stdout: /\n\+interrupted\n$/ }, 'only the first')
  t.equal(readFileSync(join(place.home, 'left'), 'utf8'), 'interrupted\n')
})

/** An editor that needs no shell to be started. */
function script(text: string): string {
  return place.file(`editor-${crypto.randomUUID()}`, `#!/bin/sh\n${text}\n`, 0o755)
}

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
