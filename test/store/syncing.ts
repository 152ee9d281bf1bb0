import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const program = fileURLToPath(new URL('../support/forgetful-disk.js', import.meta.url))
const skip = process.geteuid?.() !== 0 || !existsSync('/dev/loop-control') ? 'only root mounts a file system' : false

/* The kernel tells once of bytes that it could not write: here another process has been told before. */
for (const place of ['ext4', 'overlay'])
  for (const kind of ['write', 'repair'])
    t.test(`bytes that did not reach the disk, ${place}, ${kind}`, { skip }, async t => {
      const words = ['--mount', process.execPath, program, t.testdir({}), place, kind]
      const { told, code, objects } = JSON.parse(execFileSync('unshare', words, { encoding: 'utf8' }))
      t.equal(told, 1, 'another process was told')
      t.equal(code, 'STORE_UNWRITABLE')
      t.equal(objects, 0, 'nothing has a name that is not on the disk')
    })
