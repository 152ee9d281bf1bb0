import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { compile, exampleTree } from '../container/tree.js'
import { debian, program } from '../decide/scenario.js'
import { APPC } from '../support/node.js'
import { dlopenNote } from '../support/notes.js'

const [command, ...before] = APPC
const base = t.testdir({})
const tree = join(base, 'tree')
const home = join(base, 'store')
mkdirSync(tree)
exampleTree(tree)

function appc(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, APPC_HOME: home }
  const { status, stdout, stderr } = spawnSync(command, [...before, ...args], { encoding: 'utf8', env })
  return { status, stdout, stderr }
}

t.test('pack, list, remove', async t => {
  t.same(appc('list'), { status: 0, stdout: '', stderr: '' })
  const packed = appc('pack', '--root', tree, '--name', 'app', 'app', '--json')
  t.equal(packed.status, 0, packed.stderr)
  const result = JSON.parse(packed.stdout) as Record<string, unknown>
  t.match(result, {
    schema: 'appc.pack/1',
    name: 'app',
    digest: /^[0-9a-f]{64}$/,
    source: null,
    entries: [{ name: 'app', path: '/usr/bin/app' }],
  })
  t.match(result.packages, [{ name: 'app', version: '1.0', own: true }])

  const again = appc('pack', '--root', tree, '--name', 'app', 'app')
  t.equal(again.status, 0, again.stderr)
  t.match(again.stdout, `digest:   ${result.digest}`)

  const { schema, packages, recorded, missing, ...listed } = result
  t.equal(schema, 'appc.pack/1')
  t.ok(Array.isArray(packages))
  t.same([recorded, missing], [null, []])
  t.same(JSON.parse(appc('list', '--json').stdout), { schema: 'appc.list/1', ...listed, store: home })
  t.match(appc('list').stdout, new RegExp(`^app {2}[0-9a-f]{12} {2}app {2}[\\d.]+ MB {2}- {2}${home}\n$`))

  t.match(appc('remove', 'app', 'ap'), { status: 1, stdout: '', stderr: /no container ap/ })
  t.match(JSON.parse(appc('remove', 'app', '--json').stdout), { schema: 'appc.remove/1', name: 'app' })
  t.equal(appc('list').stdout, '')
})

t.test('what cannot be packed', async t => {
  t.match(appc('pack', '--root', tree, '--name', 'app', 'appp'), {
    status: 1,
    stdout: '',
    stderr: /hint: did you mean app\?/,
  })
  t.match(appc('pack', '--root', tree, '--name', 'NO', 'app'), { status: 2, stdout: '' })
  t.match(appc('pack', '--root', join(base, 'none'), '--name', 'app', 'app'), { status: 2, stdout: '' })
  const { stderr } = appc('pack', '--root', tree, '--name', 'app', '/usr/lib/app/plugin.so', '--json')
  t.match(JSON.parse(stderr), { schema: 'appc.error/1', code: 'ENTRY_INVALID' })
  t.same(readdirSync(join(home, 'tmp')), [])
  t.same(readdirSync(join(home, 'refs')), [])
  t.ok(existsSync(join(home, 'objects')))
})

t.test('a command line that records nothing', async t => {
  const pack = (...args: string[]) => appc('pack', '--root', tree, '--name', 'app', ...args)
  const hint = /hint: appc pack --name NAME ENTRY --record -- COMMAND ARG…/
  for (const args of [
    ['app', '--record'],
    ['app', '--record', '--'],
    ['--record', 'app', '--'],
  ]) {
    const { status, stdout, stderr } = pack(...args)
    t.same([status, stdout], [2, ''], args.join(' '))
    t.match(stderr, /there is no command after --/)
    t.match(stderr, hint)
  }
  t.match(pack('--record', '--', 'app', '-x'), { status: 2, stdout: '', stderr: /no program to pack stands before --/ })
  t.match(pack('appp', '--record', '--', 'app'), { status: 1, stderr: /hint: did you mean app\?/ })
  t.match(pack('app', '--record', '--', 'ap\x1b[31m'), {
    status: 1,
    stderr: /^appc: there is no ap\\x1b\[31m in the tree/,
  })
  t.match(pack('--', 'app'), { status: 0, stderr: '' }, 'without it, what follows -- are entries')
  t.equal(appc('remove', 'app').status, 0)
  t.match(appc('pack', '--help'), {
    status: 0,
    stdout: /^Usage: appc pack \[options\] <entry\.\.\.> \[--record -- command\.\.\.\]/,
  })
})

t.test('the end of a recorded command is told', async t => {
  const args = ['pack', '--root', '/', '--name', 'recorded', 'cat', '--record']
  const failed = appc(...args, '--', 'sh', '-c', 'echo said; exit 7')
  t.match(failed, { status: 0, stderr: 'appc: sh ended with status 7; what it had opened by then is packed\n' })
  t.match(failed.stdout, /^said\npacked recorded from .*^recorded: \d+ files \(of .*\)\n$/ms)
  const json = appc(...args, '--json', '--', 'sh', '-c', 'kill -KILL $$')
  t.same([json.status, json.stderr], [0, ''])
  t.match(JSON.parse(json.stdout), { recorded: { status: null, signal: 'SIGKILL', files: Number, packages: Array } })
  t.same(
    readdirSync(tmpdir()).filter(name => name.startsWith('appc-record-')),
    [],
    'nothing is left behind',
  )
})

t.test('what notes require and the tree lacks is told', async t => {
  const note = dlopenNote('[{"soname":["libgone.so.2","libgone.so.1"],"priority":"required","feature":"sound"}]')
  const app = program('int main(void) { return 0; }')
  const plugin = compile(`${note} int plugin(void) { return 1; }`, ['-shared', '-fPIC'])
  const root = debian([
    { control: { Package: 'noted' }, files: { '/usr/bin/noted': app, '/usr/lib/noted/p.so': plugin } },
  ])
  const said = 'missing:  libgone.so.2 or libgone.so.1, which /usr/lib/noted/p.so requires for sound\n'
  t.ok(appc('pack', '--root', root, '--name', 'noted', 'noted').stdout.endsWith(said))
  const { missing } = JSON.parse(appc('pack', '--root', root, '--name', 'noted', 'noted', '--json').stdout)
  t.same(missing, [{ by: '/usr/lib/noted/p.so', sonames: ['libgone.so.2', 'libgone.so.1'], feature: 'sound' }])
})

t.test('Ctrl-C ends the recorded command, and what it had opened is packed', async t => {
  const env = { ...process.env, APPC_HOME: home }
  const words = ['pack', '--root', '/', '--name', 'interrupted', 'cat', '--json', '--record', '--']
  // A process group of its own, as a shell makes one for each job; the terminal sends to all of it.
  const child = spawn(command, [...before, ...words, 'sh', '-c', 'echo ready; exec sleep 60'], { env, detached: true })
  const output: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.push(text)
    if (text.includes('ready')) process.kill(-(child.pid as number), 'SIGINT')
  })
  const [status] = await once(child, 'close')
  t.equal(status, 0)
  t.match(JSON.parse(output.join('').replace('ready\n', '')), { recorded: { status: null, signal: 'SIGINT' } })
})
