import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { holdersOf } from '../../lib/upkeep/holders.js'
import { compiled } from '../campaigns/stage.js'
import { system } from '../store/system.js'

t.test('who has a file open', async t => {
  const home = t.testdir({ file: '' })
  const fd = openSync(join(home, 'file'), 'r')
  const { ino } = statSync(join(home, 'file'))
  const [holder, ...others] = holdersOf({ home, system }, new Set([ino]))
  closeSync(fd)
  t.match(holder, { pid: process.pid, inodes: [ino] })
  t.same(others, [])
  t.same(holdersOf({ home, system }, new Set([ino])), [])
})

const skip = process.geteuid?.() !== 0 || !existsSync('/dev/loop-control') ? 'only root mounts a file system' : false

/* Of one that is gone, mounted or no more: whoever is asked for its files says EIO. */
for (const detach of ['', 'umount --lazy mounted'])
  t.test(`another has a file of a broken file system open; ${detach}`, { skip }, async t => {
    const home = t.testdir({ store: {}, mounted: {} })
    writeFileSync(
      join(home, 'hold'),
      `set -e; truncate -s 320M image; mkfs.xfs -q image; mount -o loop image mounted
echo >mounted/file; exec 3<mounted/file; ${compiled('shutdown', home)} mounted; ${detach}
echo broken; read -r _`,
    )
    const holder = spawn('unshare', ['--mount', 'sh', 'hold'], { cwd: home, stdio: ['pipe', 'pipe', 'inherit'] })
    t.teardown(() => holder.kill())
    t.match(String((await once(holder.stdout, 'data'))[0]), /^broken/)
    t.throws(() => statSync(`/proc/${holder.pid}/fd/3`), { code: 'EIO' })
    t.same(holdersOf({ home: join(home, 'store'), system }, new Set([1])), [])
    holder.stdin.end()
    await once(holder, 'close')
  })
