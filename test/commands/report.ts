import { spawnSync } from 'node:child_process'
import { dirname } from 'node:path'
import t from 'tap'
import { asText, human, reportError, visible } from '../../lib/commands/report.js'
import { AppcError } from '../../lib/errors.js'
import { library } from '../container/tree.js'
import { launcher, libraries, newStore, packInto, program, tree } from '../decide/scenario.js'
import { APPC } from '../support/node.js'

const [command, ...before] = APPC
const store = newStore()
packInto(store, tree({ '/usr/bin/app': program('int main(void) { return 0; }') }))

t.test('what steers a terminal is shown and not obeyed', async t => {
  t.equal(visible('a\x1b[31mred\x07\tb\r\nc'), 'a\\x1b[31mred\\x07\\x09b\\x0d\\x0ac')
  t.equal(visible('\x7f\u009b31m'), '\\x7f\\x9b31m', 'DEL, and CSI as one character')
  t.equal(visible('Zeichen: ä 漢 🙂'), 'Zeichen: ä 漢 🙂')
  for (let code = 0; code < 0xa0; code++) {
    const shown = visible(String.fromCharCode(code))
    const plain = code >= 0x20 && code < 0x7f
    t.equal(shown.length, plain ? 1 : 4, `U+${code.toString(16)}`)
  }
  const error = new AppcError('FILE_MISSING', '\x1b]0;title\x07', { because: '\x1b[2J', hint: '\x1b[H' })
  t.notMatch(asText('appc', error), '\x1b')
  t.notMatch(asText('appc', error), '\x07')
})

t.test('an error as text: what, why, what to do', async t => {
  const error = (details: { because?: string; hint?: string }) =>
    asText('appc', new AppcError('USAGE', 'it failed', details))
  t.equal(error({}), 'appc: it failed\n')
  t.equal(error({ because: 'a cause' }), 'appc: it failed: a cause\n')
  t.equal(error({ because: 'a cause', hint: 'do this' }), 'appc: it failed: a cause\n\nhint: do this\n')
})

t.test('what is no AppcError is a bug, and says so', async t => {
  const written: string[] = []
  const { write } = process.stderr
  process.stderr.write = (text: string | Uint8Array) => written.push(String(text)) > 0
  const status = [
    reportError('appc', new TypeError('x is not a function'), true),
    reportError('appc', 'thrown text', true),
  ]
  process.stderr.write = write
  t.same(status, [125, 125])
  t.match(JSON.parse(written[0] ?? ''), { code: 'INTERNAL', cause: /TypeError: x is not a function/, hint: /report/ })
  t.match(JSON.parse(written[1] ?? ''), { code: 'INTERNAL', cause: 'thrown text' })
})

t.test('no name speaks as appc: only hints, and the stack of a bug, have several lines', async t => {
  const error = new AppcError('FILE_MISSING', 'no a\nhint: b', {
    because: 'c\nhint: d\n    at e',
    hint: 'one\ntwo\x07',
  })
  t.equal(asText('appc', error), 'appc: no a\\x0ahint: b: c\\x0ahint: d\\x0a    at e\n\nhint: one\ntwo\\x07\n')
  const bug = new AppcError('INTERNAL', 'x', { because: 'Error: a\nhint: b\n    at f (g)\n    at h' })
  t.equal(asText('appc', bug), 'appc: x: Error: a\\x0ahint: b\n    at f (g)\n    at h\n')
})

t.test('a name with a newline is one line, whatever says it', async t => {
  const evil = '/opt/a\nhint: b'
  const root = tree({
    [`${evil}/app`]: program('int main(void) { return 0; }'),
    [`${libraries}/libone.so.1\nhint: b`]: library('libone\nhint: c', 'int one(void) { return 0; }'),
    '/usr/bin/sh': program('int main(void) { return 0; }'),
    '/usr/bin/lost': program('int main(void) { return 0; }', {}, ['-Wl,--dynamic-linker=/lib/x\nhint: y']),
    '/usr/bin/nea\nhint: rest': '#!/bin/sh',
  })
  const appc = (...args: string[]) => {
    const env = { ...process.env, APPC_HOME: store.home }
    const { stdout, stderr } = spawnSync(command, [...before, ...args], { encoding: 'utf8', env })
    return stdout + stderr
  }
  const said = [
    appc('pack', '--root', root, '--name', 'evil', `${evil}/app`),
    appc('plan', '--root', root, 'evil'),
    appc('inventory', '--root', root),
    appc('list'),
    appc('tree', '--root', root, '/usr/bin/lost', `${evil}/app`),
    appc('tree', '--root', root, `${evil}/gone`),
    appc('pack', '--root', root, '--name', 'lost', 'lost'),
    appc('pack', '--root', root, '--name', 'lost', `${evil}/ap`),
    appc('pack', '--root', root, '--name', 'lost', '/usr/bin/nea\nhint: res'),
    appc('list', '--a\nhint: b'),
    appc('plan', 'a\nhint: b'),
  ].join('')
  t.match(said, /^entries: +app \(\/opt\/a\\x0ahint: b\/app\)$/m)
  t.notMatch(said, /^(hint: )?(b|c|y|res)\b/m)
})

t.test('bytes for people', async t => {
  const shown = [0, 512, 999, 1000, 1449, 99_400, 99_600, 999_400, 999_600, 1.5e9, 2e15].map(human)
  t.same(shown, [
    '0 B',
    '512 B',
    '999 B',
    '1.0 kB',
    '1.4 kB',
    '99.4 kB',
    '100 kB',
    '999 kB',
    '1.0 MB',
    '1.5 GB',
    '2000 TB',
  ])
})

t.test('a reader that has seen enough is no error', async t => {
  // More than a pipe holds, to a reader that reads one byte.
  const line = `set -o pipefail; "$@" tree $(yes /bin/sh | head -n 2000) | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"`
  const { stdout, stderr } = spawnSync('bash', ['-c', line, 'bash', ...APPC], { encoding: 'utf8' })
  t.same([stdout, stderr], ['0\n', ''])
})

/** Runs a line of shell in which "$@" is appc, with a store that holds the container `app`. */
function inShell(line: string) {
  const env = { ...process.env, APPC_HOME: store.home }
  return spawnSync('bash', ['-c', line, 'bash', ...APPC], { encoding: 'utf8', env })
}

t.test('an answer that cannot be written is one error', async t => {
  t.match(inShell('"$@" list >/dev/full'), {
    status: 125,
    stderr: /^appc: standard output cannot be written: ENOSPC[^\n]+\n\nhint: [^\n]+\n$/,
  })
  const { status, stderr } = inShell('"$@" list --json >/dev/full')
  t.equal(status, 125)
  t.match(JSON.parse(stderr), { schema: 'appc.error/1', code: 'OUTPUT_UNWRITABLE', cause: /^ENOSPC/, hint: String })
  const many = inShell('"$@" tree /bin/sh /bin/ls /bin/cat >/dev/full')
  t.same([many.status, many.stderr.match(/^appc: /gm)?.length], [125, 1], 'however often it was tried')
  t.equal(inShell('"$@" --help >/dev/full').status, 125)
  t.equal(inShell('"$@" tree /nowhere >/dev/full').status, 1, 'nothing was to be written')
})

t.test('errors that nobody can read leave the exit status as it is', async t => {
  for (const to of ['2>/dev/full', '2> >(exec true)', '2>&-']) {
    t.equal(inShell(`"$@" plan nosuch ${to}`).status, 1, to)
    t.equal(inShell(`"$@" plan nosuch --json ${to}`).status, 1, to)
    t.equal(inShell(`"$@" plna ${to}`).status, 2, to)
  }
  t.equal(inShell('"$@" list >/dev/full 2>/dev/full').status, 125)
})

t.test('the same of appc-run, where Node plans', async t => {
  const run = (line: string) =>
    spawnSync('sh', ['-c', line, 'sh', launcher], {
      encoding: 'utf8',
      env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, APPC_HOME: store.home },
    })
  t.match(run('"$@" nosuch'), { status: 125, stderr: /^appc-run: there is no container nosuch/ })
  t.equal(run('"$@" nosuch 2>/dev/full').status, 125)
  t.equal(run('"$@" /etc/passwd 2>/dev/full').status, 126)
})
