import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { library } from '../container/tree.js'
import { debian, libraries, program, tree } from '../decide/scenario.js'
import { APPC } from '../support/node.js'

const [command, ...before] = APPC
const directory = t.testdir({})
const env = { ...process.env, APPC_HOME: join(directory, 'store') }
const appc = (...args: readonly string[]) =>
  spawnSync(command, [...before, ...args], { encoding: 'utf8', env, maxBuffer: 1 << 28, cwd: directory })

const bar = library('libbar.so.1', 'int bar(void) { return 1; }')
const one = library('libone.so.1', 'int one(void) { return 1; }')
const needy = library('libone.so.1', 'int bar(void); int one(void) { return bar(); }', '', { 'libbar.so.1': bar })
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })
const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: one })
const whole = debian([
  { control: { Package: 'libone1', Version: '1' }, files: { [`${libraries}/libone.so.1`]: needy } },
  { control: { Package: 'libbar1', Version: '3' }, files: { [`${libraries}/libbar.so.1`]: bar } },
])
const broken = tree({ [`${libraries}/libone.so.1`]: needy })
t.equal(appc('pack', '--root', home, '--name', 'app', 'app').status, 0)
t.equal(appc('pack', '--root', home, '--name', 'fixed', 'app', '--policy', 'libone.so.1=shared').status, 0)
writeFileSync(join(directory, 'broken.json'), appc('inventory', '--complete', '--root', broken).stdout)

t.test('both run it: what is chosen differently, by which file', async t => {
  const { status, stdout } = appc('plan', 'app', '--diff', whole, 'broken.json')
  t.equal(status, 0)
  const [first, second, empty, title, ...lines] = stdout.replaceAll(whole, 'WHOLE').split('\n')
  t.match(first, /^app on WHOLE.*: runs; would travel: 1 file and the manifest, [\d.]+ kB$/)
  t.match(second, /^app on broken\.json.*: runs; would travel: 2 files and the manifest, [\d.]+ kB$/)
  t.same([empty, title], ['', 'chosen differently:'])
  t.match(
    lines.slice(0, 4).join('\n'),
    / {2}libbar\.so\.1\n {4}WHOLE: shared, as .*\n {4}broken\.json: not loaded\n {2}libone\.so\.1/,
  )
  t.match(
    lines.slice(4).join('\n'),
    /broken\.json: private, as .*libbar\.so\.1.*\n {6}made good by the container's \S+\/libone\.so\.1 \(of no package, /,
  )
})

t.test('one cannot run it: what would mend it', async t => {
  const { status, stdout } = appc('plan', 'fixed', '--diff', 'broken.json', whole)
  t.equal(status, 1)
  const text = stdout.replaceAll(whole, 'WHOLE')
  t.match(text, /^fixed on broken\.json.*: cannot run;/)
  t.match(text, /\non broken\.json:\n {2}clash: .*libbar\.so\.1.*\n/)
  t.match(
    text,
    /\n {4}remedy: \S+\/libbar\.so\.1 \(libbar1 3, [\d.]+ kB\), of WHOLE: to be packed there with --include \S+\/libbar\.so\.1\n/,
  )
  t.match(text, /\n {4}remedy: install libbar1 on broken\.json\n/)
})

t.test('as JSON, with both the same', async t => {
  const { status, stdout } = appc('plan', 'app', '--json', '--diff', 'broken.json', broken)
  t.equal(status, 0)
  t.match(JSON.parse(stdout), {
    schema: 'appc.plan-diff/1',
    container: { name: 'app', digest: /^[0-9a-f]{64}$/ },
    hosts: [
      { host: 'broken.json', runnable: true, travel: { files: 2 }, problems: [] },
      { host: broken, runnable: true },
    ],
    libraries: [],
    packages: [],
  })
  t.match(appc('plan', 'app', '--diff', broken, broken).stdout, /\nnothing is chosen differently\n/)
})

t.test('not two hosts', async t => {
  t.match(appc('plan', 'app', '--diff', broken), { status: 2, stderr: /compares two hosts, and 1 were named/ })
  t.match(appc('plan', 'app', '--diff', broken, broken, broken), { status: 2, stderr: /and 3 were named/ })
})
