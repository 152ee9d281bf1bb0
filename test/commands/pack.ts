import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { exampleTree } from '../container/tree.js'
import { APPC } from '../support/node.js'

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

  const { schema, packages, ...listed } = result
  t.equal(schema, 'appc.pack/1')
  t.ok(Array.isArray(packages))
  t.same(JSON.parse(appc('list', '--json').stdout), { schema: 'appc.list/1', ...listed })
  t.match(appc('list').stdout, /^app {2}[0-9a-f]{12} {2}app {2}[\d.]+ MB {2}-\n$/)

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
