import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { encodePlan } from '../../lib/plan/file.js'
import { coldStatus, Sandbox, users } from './fixture.js'
import { samplePlans } from './plans.js'

const project = fileURLToPath(new URL('../../..', import.meta.url))

const [[, user] = ['', { uid: 0, gid: 0 }]] = users
const sandbox = new Sandbox(user)
t.teardown(() => sandbox.remove())
const [plan] = samplePlans(sandbox)

t.test('no damaged byte gets past the checksum, and none behind it makes the decoder read elsewhere', async t => {
  const built = sandbox.path('mutate')
  const core = `${project}native/core/`
  const compiled = spawnSync(
    'g++',
    [
      '-std=c++17',
      '-g',
      '-O1',
      '-fsanitize=address,undefined',
      '-fno-sanitize-recover=all',
      // Else a kernel that randomizes much may put the program where this compiler's sanitizer has its heap.
      '-no-pie',
      `-I${core}`,
      '-o',
      built,
      `${project}test/native/mutate.cpp`,
      `${core}plan.cpp`,
      `${core}xxhash32.cpp`,
    ],
    { encoding: 'utf8' },
  )
  t.equal(compiled.stderr, '')
  writeFileSync(sandbox.path('plan'), encodePlan(plan))
  const { status, stdout, stderr } = spawnSync(built, [sandbox.path('plan')], { encoding: 'utf8' })
  t.match({ status, stderr }, { status: 0, stderr: '' })
  const [whole, unmended, mended, refused] = stdout.split(' ').map(Number)
  t.equal(whole, 1, 'the plan itself is taken')
  t.equal(unmended, 0)
  // Numbers and letters of names may change without harm; offsets, lengths and counts may not.
  t.ok(mended !== undefined && mended > 500, `${mended} changed plans were read`)
  t.ok(refused !== undefined && refused > 1000, `${refused} were refused`)
})

t.test('a damaged file is planned anew', async t => {
  const path = sandbox.install(sandbox.plan('damaged', {}))
  const whole = readFileSync(path)
  const status = () => sandbox.run(['damaged', '-c', 'exit 0']).status
  t.equal(status(), 0)
  for (let length = 0; length < whole.length; length += 13) {
    writeFileSync(path, whole.subarray(0, length))
    t.equal(status(), coldStatus, `cut to ${length}`)
  }
  for (let at = 0; at < whole.length; at += 13) {
    const changed = Buffer.from(whole)
    changed.writeUInt8(changed.readUInt8(at) ^ 0xff, at)
    writeFileSync(path, changed)
    t.equal(status(), coldStatus, `byte ${at}`)
  }
})

t.test('what is no plan', async t => {
  const path = sandbox.install(sandbox.plan('strange', {}))
  const status = () => sandbox.run(['strange', '-c', 'exit 0']).status
  const file = openSync(path, 'w')
  ftruncateSync(file, 20 << 20)
  t.equal(status(), coldStatus, 'larger than any plan')
  ftruncateSync(file, 0)
  writeSync(file, '{"name": "strange"}')
  t.equal(status(), coldStatus, 'something else')
  closeSync(file)
  t.equal(spawnSync('sh', ['-c', `rm ${path} && mkfifo ${path}`]).status, 0)
  t.equal(status(), coldStatus, 'a FIFO does not hold it up')
  t.equal(spawnSync('sh', ['-c', `rm ${path} && mkdir ${path}`]).status, 0)
  t.equal(status(), coldStatus, 'a directory')
})
