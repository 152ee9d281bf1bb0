import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import t from 'tap'
import { describeProgram } from '../../lib/container/program.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { fresh, launcher, libraries, newStore, program, put, tree } from '../decide/scenario.js'
import { library } from './tree.js'

const numbered = (answer: number, more = '') => library('libone.so.1', `int one(void) { return ${answer}; } ${more}`)
const older = numbered(1)
const newer = numbered(2, 'int two(void) { return 2; }')
const app = program('int one(void), two(void); int main(void) { return one() + two(); }', { 'libone.so.1': newer }, [
  '-Wl,-z,now,-rpath,/opt/first',
])
const directory = fresh()
put(directory, 'libone.so.1', newer)

function run(host: string) {
  const { status, stderr } = spawnSync(launcher, ['--root', host, '--lib', directory, '/usr/bin/app'], {
    encoding: 'utf8',
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, APPC_HOME: newStore().home },
  })
  return { status, stderr }
}

t.test('a candidate is one, though a RUNPATH leads to the host’s copy before it', async t => {
  const files = { '/usr/bin/app': app, [`${libraries}/libone.so.1`]: older }
  for (const first of [
    { '/opt/first/libone.so.1': older },
    { '/opt/first/libone.so.1': { link: '/usr/lib/none' } },
    {},
  ]) {
    const host = tree({ ...files, ...first })
    const { manifest } = describeProgram(rootFileSystem(host), '/usr/bin/app', [directory], rootFileSystem('/'))
    const packed = manifest.files.flatMap(file => (file.type === 'file' && file.path.includes('libone') ? [file] : []))
    t.match(packed, [{ path: join(libraries, 'libone.so.1'), size: newer.length }])
    t.match(run(host), { status: 4, stderr: '' })
  }
  const serving = numbered(3, 'int two(void) { return 3; }')
  t.match(run(tree({ ...files, '/opt/first/libone.so.1': serving })), { status: 6, stderr: '' }, 'the host’s serves')
})
