import { execFileSync, spawn } from 'node:child_process'
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

/* Files have a device there that no mount table names. */
t.test('who has a file of Btrfs open, and mapped', { skip }, t => {
  const directory = t.testdir({ mounted: {} })
  const module = new URL('../../lib/upkeep/holders.js', import.meta.url).href
  const program = `import { statSync } from 'node:fs'
import { holdersOf } from '${module}'
process.stdout.write(JSON.stringify(holdersOf({ home: 'mounted' }, new Set([statSync('mounted/file').ino]))))`
  writeFileSync(
    join(directory, 'look'),
    `set -e; truncate -s 120M image; mkfs.btrfs -q image >/dev/null; mount -o loop image mounted
cp "$(command -v sleep)" mounted/file; mounted/file 60 & exec 3<mounted/file; "$@"; kill $!`,
  )
  const words = ['--mount', 'sh', 'look', process.execPath, '--input-type=module', '--eval', program]
  const holders = JSON.parse(execFileSync('unshare', words, { cwd: directory, encoding: 'utf8' }))
  const commands = holders.map(({ command }: { command: string }) => command.split(' ')[0])
  t.same(commands.sort(), ['mounted/file', 'sh', process.execPath].sort())
  t.end()
})

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
    t.match(String(await Promise.race([once(holder.stdout, 'data'), once(holder, 'close')])), /^broken/)
    t.throws(() => statSync(`/proc/${holder.pid}/fd/3`), { code: 'EIO' })
    t.same(holdersOf({ home: join(home, 'store'), system }, new Set([Number.MAX_SAFE_INTEGER])), [])
    holder.stdin.end()
    await once(holder, 'close')
  })
