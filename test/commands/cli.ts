import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fresh, program, tree } from '../decide/scenario.js'
import { APPC } from '../support/node.js'

const [command, ...before] = APPC
const home = join(fresh(), 'store')

function appc(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, APPC_HOME: home }
  const { status, stdout, stderr } = spawnSync(command, [...before, ...args], { encoding: 'utf8', env })
  return { status, stdout, stderr }
}

const mistakes: readonly (readonly [readonly string[], RegExp])[] = [
  [['plna', 'x'], /unknown command 'plna'/],
  [['plan'], /missing required argument 'name'/],
  [['plan', 'a', 'b'], /too many arguments/],
  [['plan', '--rot', '/', 'a'], /unknown option '--rot'/],
  [['plan', '--root'], /option '--root <dir>' argument missing/],
  [['pack', 'x'], /required option '--name <name>' not specified/],
  [['--nonsense'], /unknown option '--nonsense'/],
]

t.test('a command line that makes no sense: 2, one message, nothing on stdout', async t => {
  for (const [args, message] of mistakes) {
    const { status, stdout, stderr } = appc(...args)
    t.same([status, stdout], [2, ''], args.join(' '))
    t.match(stderr, message)
    t.match(stderr, /^appc: [^\n]+\n\nhint: [^\n]+\n$/)
  }
  t.match(appc('plna').stderr, '\nhint: did you mean plan?\n')
  t.match(appc('plan', '--rot', '/', 'a').stderr, '\nhint: did you mean --root?\n')
  t.match(appc(), { status: 2, stdout: '', stderr: /^Usage: appc .*no command was given\n$/s })
})

t.test('with --json every error is one JSON object on stderr', async t => {
  for (const [args, message] of mistakes) {
    const { status, stdout, stderr } = appc(args[0] ?? '', '--json', ...args.slice(1))
    t.same([status, stdout], [2, ''], args.join(' '))
    t.match(JSON.parse(stderr), { schema: 'appc.error/1', code: 'USAGE', message, cause: null, hint: String })
  }
  const { status, stdout, stderr } = appc('plan', 'absent', '--json')
  t.same([status, stdout], [1, ''])
  const error = JSON.parse(stderr)
  t.match(error, { schema: 'appc.error/1', code: 'CONTAINER_UNKNOWN' })
  t.same(Object.keys(error), ['schema', 'code', 'message', 'cause', 'hint', 'step', 'path', 'errno'])
})

t.test('0, 1, 2 and 125', async t => {
  t.match(appc('--help'), { status: 0, stdout: /^Usage: appc/, stderr: '' })
  t.match(appc('plan', '--help'), { status: 0, stdout: /^Usage: appc plan/, stderr: '' })
  t.match(appc('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/, stderr: '' })
  t.equal(appc('list').status, 0)
  t.equal(appc('plan', 'absent').status, 1)
  t.equal(appc('plan', 'NO SUCH NAME').status, 2)
  const root = tree({ '/usr/bin/app': program('int main(void) { return 0; }') })
  t.equal(appc('pack', '--root', root, '--name', 'app', 'app').status, 0)
  const file = join(fresh(), 'file')
  writeFileSync(file, '')
  const env = { ...process.env, APPC_HOME: join(file, 'store') }
  const broken = spawnSync(command, [...before, 'list', '--json'], { encoding: 'utf8', env })
  t.equal(broken.status, 125)
  t.match(JSON.parse(broken.stderr), { code: 'STORE_UNWRITABLE', cause: /ENOTDIR/ })
})

t.test('plan: the answer is told as text and as JSON, and is the exit status', async t => {
  const without = tree({}, {})
  const text = appc('plan', '--root', without, 'app')
  t.match(text, { status: 1, stderr: '' })
  t.match(text.stdout, /^app on .*: cannot run\n/)
  const json = appc('plan', '--root', without, 'app', '--json')
  t.equal(json.status, 1)
  t.match(JSON.parse(json.stdout), {
    schema: 'appc.plan/1',
    container: { name: 'app', digest: /^[0-9a-f]{64}$/ },
    host: { id: /^[0-9a-f]{64}$/, os: null },
    runnable: false,
  })
  const good = appc('plan', '--root', tree({ '/usr/bin/sh': { link: '/usr/bin/app' } }), 'app', '--json')
  const { libraries, totals, runnable } = JSON.parse(good.stdout)
  t.same([good.status, runnable], [0, true])
  t.match(
    libraries.find((library: { soname: string }) => library.soname === 'libc.so.6'),
    { choice: 'shared', path: /libc\.so\.6$/ },
  )
  t.match(totals, { shared: { libraries: 2 }, private: { libraries: 0, bytes: 0 } })
})

t.test('inventory', async t => {
  const root = tree({
    '/usr/lib/os-release': 'ID=made\nPRETTY_NAME="Made \\"up\\""\n',
    '/usr/bin/sh': program('int main(void) { return 0; }'),
  })
  const first = JSON.parse(appc('inventory', '--root', root, '--json').stdout)
  t.match(first, {
    schema: 'appc.inventory/1',
    digest: /^[0-9a-f]{64}$/,
    os: { id: 'made', name: 'Made "up"' },
    loader: { kind: 'glibc' },
  })
  t.match(appc('inventory', '--root', root).stdout, /^system +Made "up"$/m)
  t.equal(
    JSON.parse(appc('inventory', '--root', root, '--json').stdout).digest,
    first.digest,
    'from what was remembered',
  )
  t.ok(existsSync(join(home, 'cache')))
  t.same(readdirSync(join(home, 'tmp')), [])
  t.equal(appc('inventory', '--root', join(root, 'nowhere')).status, 2)
})
