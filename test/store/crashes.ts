import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/* A small run of scripts/check-crashes, which tries each system call. */

t.setTimeout(300_000)
const program = fileURLToPath(new URL('../campaigns/run-crashes.js', import.meta.url))

t.test('a store that is disturbed loses nothing, and the next run mends it', async t => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, '--every=97', 'pack', 'secret', 'rollback', 'gc'],
    { encoding: 'utf8' },
  )
  t.same({ status, stderr }, { status: 0, stderr: '' }, stdout)
  t.match(stdout, /^pack: \d+ calls, [1-9]\d* kills, [1-9]\d* errors, 0 failures/m)
})
