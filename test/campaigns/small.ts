import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/*
 * Small runs of the campaigns, as root and as an ordinary user: scripts/check-injection, check-kills, check-mass and check-races try
 * each call, each moment and each number that is said there.
 */

t.setTimeout(300_000)
const isolated = fileURLToPath(new URL('../../../scripts/lib/isolated', import.meta.url))

function campaign(name: string, ...args: readonly string[]) {
  const program = fileURLToPath(new URL(`./run-${name}.js`, import.meta.url))
  return spawnSync(isolated, [process.execPath, program, ...args], { encoding: 'utf8' })
}

t.test('calls that fail, of those by which processes wait for one another', async t => {
  const { status, stdout, stderr } = campaign(
    'injection',
    'EIO',
    'clone',
    'getppid',
    'ppoll',
    'recvmsg',
    'sendto',
    'wait4',
  )
  t.same({ status, stderr }, { status: 0, stderr: '' }, stdout)
  t.match(stdout, /confined, overlays: \d+ calls/)
})

t.test('launches that are killed leave nothing', async t => {
  const { status, stdout, stderr } = campaign('kills', '40', '1')
  t.same({ status, stderr }, { status: 0, stderr: '' }, stdout)
  t.match(stdout, /kills, [1-9]\d* of them of the program/)
})

t.test('launches in a row and at once', async t => {
  const { status, stdout, stderr } = campaign('mass', '30', '30', '3')
  t.same({ status, stderr }, { status: 0, stderr: '' }, stdout)
  t.match(stdout, /overlays, 30 at once: \S+ ms, 30 namespaces\n/)
})

t.test('names that are exchanged', async t => {
  const { stdout, stderr } = campaign('races', '4000', '1')
  t.equal(stderr, '')
  // So few attempts need not show that the attack is one.
  t.match(stdout, /as the launcher does: \d+ attempts, [1-9]\d* came to an end, 0 escaped\n/)
  t.notMatch(stdout, /mounts have escaped/)
})
