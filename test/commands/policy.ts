import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { APPC } from '../support/node.js'

const [command, ...before] = APPC
const env = { ...process.env, APPC_HOME: join(t.testdir({}), 'store') }

function policy(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(command, [...before, 'policy', ...args], { encoding: 'utf8', env })
  return { status, stdout, stderr }
}

t.test('set, change, show, forget', async t => {
  t.match(policy(), { status: 0, stdout: 'nothing is fixed\n', stderr: '' })
  t.match(policy('set', 'libz.so.*=private', 'libssl.so.3>=3.0.11'), { status: 0 })
  t.match(policy('set', 'libz.so.*=identical'), {
    status: 0,
    stdout: 'libz.so.*: private, identical build\nlibssl.so.3: at least 3.0.11\n',
  })
  t.same(JSON.parse(policy('--json').stdout), {
    schema: 'appc.policy/1',
    rules: [
      { match: 'libz.so.*', choice: 'private', strictness: 'identical' },
      { match: 'libssl.so.3', minimum: '3.0.11' },
    ],
  })
  t.match(policy('unset', 'libz.so.*', 'libssl.so.3'), { status: 0, stdout: 'nothing is fixed\n' })
})

t.test('what is wrong changes nothing', async t => {
  policy('set', 'a=private')
  t.match(policy('set', 'b=private', 'c'), { status: 2, stdout: '', stderr: /"c" is no rule of a policy/ })
  for (const version of ['a b', '1:2:3-', 'x1'])
    t.match(policy('set', `b>=${version}`), { status: 2, stdout: '' }, version)
  t.match(policy('unset', 'a', 'b'), { status: 2, stdout: '', stderr: /says nothing of b/ })
  t.equal(policy().stdout, 'a: private\n')
})

t.test('what cannot be seen is told by what stands for it', async t => {
  for (const args of [
    ['set', 'a\u0007b\u001b[31m'],
    ['unset', 'x\u0007\u001b[2J'],
  ]) {
    const { status, stdout, stderr } = policy(...args)
    t.match({ status, stdout }, { status: 2, stdout: '' })
    t.same(
      [...stderr].filter(character => character < ' ' && character !== '\n'),
      [],
      JSON.stringify(stderr),
    )
  }
})
