import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { lookAtMany } from '../../lib/launch/batch.js'
import { FactsCache, fileKey } from '../../lib/loader/facts-cache.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { FileStat, FileSystem } from '../../lib/loader/types.js'
import { buildElf } from '../../lib/testing/build-elf.js'
import { foreignFiles, machineFiles } from '../support/elf-files.js'
import { temporaryDirectory } from '../support/fixtures.js'

const fs = rootFileSystem('/')
/** One that tells when a file was not known. */
const closed: FileSystem = {
  ...fs,
  open: path => {
    throw new Error(`${path} is read once more`)
  },
}

t.test('of real files, the same as of each by itself', async t => {
  const files = [...machineFiles(500), ...foreignFiles()]
  const cache = new FactsCache()
  const stats = lookAtMany(addon(), files, cache)
  for (const path of files) {
    const stat = stats.get(path) as FileStat
    // How many names a file has, the addon does not tell.
    const { links: _, ...alone } = fs.lstat(path) as FileStat
    t.same(stat, alone, path)
    t.same(cache.inspect(closed, path, stat), new FactsCache().inspect(fs, path, stat), path)
  }
})

t.test('what asks for more than the first bytes, and what is damaged', async t => {
  const dir = temporaryDirectory()
  const long = (letter: string) => letter.repeat(3000)
  const verdefs = Array.from({ length: 500 }, (_, index) => `VERSION_${index}`)
  const whole = buildElf({ needed: ['a', 'b', 'c', 'd'].map(long), soname: 'x', rodata: Buffer.alloc(20_000), verdefs })
  const contents: Record<string, Uint8Array> = { whole, many: buildElf({ needed: Array(2000).fill('liba.so') }) }
  for (let length = 0; length < whole.length; length += 500) contents[`cut-${length}`] = whole.subarray(0, length)
  const files = Object.entries(contents).map(([name, bytes]) => {
    writeFileSync(join(dir, name), bytes)
    return join(dir, name)
  })
  const cache = new FactsCache()
  const stats = lookAtMany(addon(), files, cache)
  for (const path of files) {
    const stat = stats.get(path) as FileStat
    t.same(cache.inspect(closed, path, stat), new FactsCache().inspect(fs, path, stat), path)
  }
})

t.test('what is no regular file, is not there or cannot be read is left alone, and nothing stays open', async t => {
  const dir = temporaryDirectory()
  writeFileSync(join(dir, 'elf'), buildElf({}))
  symlinkSync('elf', join(dir, 'link'))
  symlinkSync('loop', join(dir, 'loop'))
  execFileSync('mkfifo', [join(dir, 'fifo')])
  // Reading it is EINVAL.
  const unread = ['/sys/devices/virtual/net/lo/speed'].filter(existsSync)
  const names = ['elf', 'link', 'loop', 'fifo', 'none', 'elf/none', ''].map(name => join(dir, name))
  const files = [...names, ...unread, '/dev/null', '/proc/self/mem', '/proc/self/status', `/${'a/'.repeat(4000)}`]
  const before = readdirSync('/proc/self/fd').length
  const cold = new FactsCache()
  const seen = lookAtMany(addon(), files, cold)
  t.equal(cold.has(fileKey(lstat(join(dir, 'elf')))), true)
  for (const path of unread) t.equal(cold.has(fileKey(lstat(path))), false)
  for (const [path, stat] of seen) t.equal(stat.ino, lstatSync(path, { bigint: true }).ino, path)
  // Once something is known, it is asked by lstat which are to be opened.
  const warm = lookAtMany(addon(), files, cold)
  t.equal(warm.get(join(dir, 'fifo'))?.kind, 'other')
  t.equal(warm.get(join(dir, 'link'))?.kind, 'symlink')
  t.equal(warm.has(join(dir, 'none')), false)
  t.equal(readdirSync('/proc/self/fd').length, before)
})

function lstat(path: string): FileStat {
  return fs.lstat(path) as FileStat
}
