import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/** A short run of scripts/fuzz-readers: what is known to be nasty, and inputs of one seed that never changes and one that does. */
const run = fileURLToPath(new URL('run.js', import.meta.url))

function fuzz(...options: readonly string[]): Promise<{ status: number | null; told: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [run, ...options], { stdio: ['ignore', 'ignore', 'pipe'] })
    let told = ''
    child.stderr.setEncoding('utf8').on('data', text => (told += text))
    child.on('error', reject)
    child.on('close', status => resolve({ status, told }))
  })
}

t.test('readers break no promise', async t => {
  for (const options of [['--seed', '1'], ['--only-random']]) {
    const { status, told } = await fuzz('--inputs', '4000', ...options)
    t.equal(status, 0, told)
    t.comment(told)
  }
})

t.test('a broken promise is told, with what repeats it', async t => {
  const { status, told } = await fuzz('--input', 'known:9999')
  t.equal(status, 1)
  t.match(told, 'FAILED: known:9999')
})
