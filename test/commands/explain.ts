import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { library } from '../container/tree.js'
import { libraries, program, tree } from '../decide/scenario.js'
import { APPC } from '../support/node.js'

const [command, ...before] = APPC
const env = { ...process.env, APPC_HOME: join(t.testdir({}), 'store') }
const appc = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(command, [...before, ...args], { encoding: 'utf8', env })
  return { status, stdout, stderr }
}

const older = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
const newer = library(
  'libone.so.1',
  'int one(void) { return 1; } int two(void) { return 2; }',
  'ONE_1 { one; }; ONE_2 { two; } ONE_1;',
)
const plain = library('libplain.so.1', 'int plain(void) { return 0; }')
const app = program('int two(void), plain(void); int main(void) { return two() + plain(); }', {
  'libone.so.1': newer,
  'libplain.so.1': plain,
})
const home = tree({
  '/usr/bin/app': app,
  [`${libraries}/libone.so.1`]: newer,
  [`${libraries}/libplain.so.1`]: plain,
})
const host = tree({ [`${libraries}/libone.so.1`]: older, [`${libraries}/libplain.so.1`]: plain })
appc('pack', '--root', home, '--name', 'app', 'app')
const explain = (...args: string[]) => appc('explain', 'app', ...args, '--root', host)

t.test('a private library: who asks for what, what each side has, and what sharing it would break', async t => {
  const { status, stdout } = explain('libone.so.1')
  t.equal(status, 0)
  for (const expected of [
    `libone.so.1: private, ${libraries}/libone.so.1`,
    "  versions: app (private) needs ONE_2; the host's ends at ONE_1",
    'asked for by:\n  app (private): ONE_2',
    /the host has: {6}\S+libone\.so\.1, .*up to ONE_1\n/,
    /the container has: \S+libone\.so\.1, .*up to ONE_2\n/,
    /were it shared by a policy, it could not run:\n {2}app \(private\) needs ONE_2; .*the policy has libone\.so\.1 shared\n/,
  ])
    t.match(stdout, expected)
})

t.test('a shared one could be private', async t => {
  const json = JSON.parse(explain('libplain.so.1', '--json').stdout)
  t.match(json, {
    schema: 'appc.explain/1',
    container: 'app',
    runnable: true,
    soname: 'libplain.so.1',
    choice: 'shared',
    askedBy: [{ by: 'app (private)', versions: [] }],
    candidates: { host: { path: `${libraries}/libplain.so.1` }, container: { package: null } },
    other: { runnable: true, problems: [], changed: [], bytes: plain.length },
  })
  t.match(explain('libplain.so.1').stdout, /it could be private by a policy: \+[\d.]+ k?B private\n$/)
})

t.test('all of them, and one that is none', async t => {
  t.match(explain().stdout, /^libone\.so\.1: private\n {2}versions: .*\nlibplain\.so\.1: shared\n/m)
  t.match(JSON.parse(explain('--json').stdout), { schema: 'appc.explain/1', libraries: Array })
  t.match(explain('libnone.so'), { status: 1, stdout: '', stderr: /libnone\.so is no library of app on this host/ })
  t.match(appc('explain', 'nobody'), { status: 1, stdout: '', stderr: /no container nobody/ })
})
