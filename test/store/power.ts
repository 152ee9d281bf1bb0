import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/* Small runs of scripts/check-power. */

t.setTimeout(300_000)
const program = fileURLToPath(new URL('../campaigns/run-power.js', import.meta.url))

function campaign(...words: readonly string[]) {
  const [command = '', ...before] = [...(words.includes('--real') ? ['unshare', '--mount'] : []), process.execPath]
  return spawnSync(command, [...before, program, ...words], { encoding: 'utf8' })
}

t.test('power that is lost while a container is packed', async t => {
  const { status, stdout, stderr } = campaign('--seed=1', '--by-chance=1', 'pack')
  t.same({ status, stderr }, { status: 0, stderr: '' }, stdout)
  t.match(stdout, /^pack: \d+ moments, [1-9]\d* syncs, [1-9]\d* disks, 0 failures/m)
  // So each of them is found where it is missing.
  t.match(stdout, /syncs that could be left out: none/)
})

const skip = process.geteuid?.() !== 0 || !existsSync('/dev/loop-control') ? 'only root mounts a file system' : false

t.test('power that a real file system loses', { skip }, async t => {
  const { status, stdout, stderr } = campaign('--real', '--every=80', 'pack into no store')
  t.same({ status, stderr }, { status: 0, stderr: '' }, stdout)
  t.match(stdout, /, ext4: power lost [1-9]\d* times, 0 failures/)
})
