import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { library } from '../container/tree.js'
import { libraries, program, tree } from '../decide/scenario.js'
import { APPC } from '../support/node.js'

const [command, ...before] = APPC
const directory = t.testdir({})
const env = { ...process.env, APPC_HOME: join(directory, 'store') }
const appc = (args: readonly string[], more: NodeJS.ProcessEnv = {}) =>
  spawnSync(command, [...before, ...args], { encoding: 'utf8', env: { ...env, ...more }, maxBuffer: 1 << 28 })

const one = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
const other = library('libone.so.1', 'int one(void) { return 1; }')
const app = program('int one(void); int main(void) { return one(); }', { 'libone.so.1': one })
const home = tree({ '/usr/bin/app': app, [`${libraries}/libone.so.1`]: one })
const release = { '/etc/os-release': 'PRETTY_NAME="Made Up"\n' }
const hosts = {
  with: tree({ ...release, [`${libraries}/libone.so.1`]: one }),
  without: tree(release),
  other: tree({ ...release, [`${libraries}/libone.so.1`]: other }),
}

t.equal(appc(['pack', '--root', home, '--name', 'app', 'app']).status, 0)
t.equal(appc(['pack', '--root', home, '--name', 'fixed', 'app', '--policy', 'libone.so.1=shared']).status, 0)
const file = (name: keyof typeof hosts) => join(directory, `${name}.json`)
for (const name of ['with', 'without', 'other'] as const)
  writeFileSync(file(name), appc(['inventory', '--complete', '--root', hosts[name]]).stdout)

t.test('a host that a file describes: what its tree tells, and what would travel', async t => {
  for (const name of ['with', 'without', 'other'] as const) {
    const there = appc(['plan', 'app', '--root', hosts[name]])
    const here = appc(['plan', 'app', '--host', file(name)])
    t.same([here.status, here.stderr], [0, ''])
    t.equal(here.stdout.replace(/\nwould travel: .*\n/, ''), there.stdout)
    t.match(here.stdout, /\nwould travel: [12] files? and the manifest, [\d.]+ kB\n/)
    const [json, plain] = [
      ['--host', file(name)],
      ['--root', hosts[name]],
    ].map(host => JSON.parse(appc(['plan', 'app', '--json', ...host]).stdout))
    const { travel, ...rest } = json
    t.same(rest, plain)
    t.equal(travel.files, name === 'with' ? 1 : 2)
  }
})

t.test('explain for it', async t => {
  const words = ['explain', 'app', 'libone.so.1']
  const there = appc([...words, '--root', hosts.other])
  t.match(there.stdout, /^libone\.so\.1: private/)
  t.equal(appc([...words, '--host', file('other')]).stdout, there.stdout)
})

t.test("this user's variables do not count there", async t => {
  const plain = appc(['plan', 'app', '--host', file('without')])
  const LD_LIBRARY_PATH = join(home, libraries)
  t.equal(appc(['plan', 'app', '--host', file('without')], { LD_LIBRARY_PATH }).stdout, plain.stdout)
})

t.test('it cannot run there', async t => {
  const { status, stdout } = appc(['plan', 'fixed', '--host', file('without')])
  t.equal(status, 1)
  t.match(stdout, /^fixed on Made Up: cannot run\n/)
})

t.test('no host', async t => {
  t.match(appc(['plan', 'app', '--host', file('with'), '--root', '/']), { status: 2, stderr: /cannot be used with/ })
  t.match(appc(['plan', 'app', '--host', file('with'), '--diff', '/', '/']), { status: 2 })
  t.match(appc(['plan', 'app', '--host', join(directory, 'none')]), { status: 2, stderr: /does not exist/ })
  writeFileSync(join(directory, 'short.json'), appc(['inventory', '--json', '--root', home]).stdout)
  const { status, stderr } = appc(['plan', 'app', '--host', join(directory, 'short.json'), '--json'])
  t.equal(status, 2)
  t.match(JSON.parse(stderr), { code: 'INVENTORY_INVALID', cause: /appc\.host\/1/ })
})

t.test('what a file says steers no terminal', async t => {
  const described = JSON.parse(appc(['inventory', '--complete', '--root', hosts.with]).stdout)
  described.directories[0].others.push('\x1b[2J\n', '\x1b[2J\n')
  const path = join(directory, 'hostile.json')
  writeFileSync(path, JSON.stringify(described))
  const { status, stderr } = appc(['plan', 'app', '--host', path])
  t.equal(status, 2)
  t.match(stderr, /\\x1b\[2J\\x0a twice/)
})
