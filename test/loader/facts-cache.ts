import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { FactsCache, fileKey } from '../../lib/loader/facts-cache.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { FileStat } from '../../lib/loader/types.js'
import { FactsFile } from '../../lib/store/facts-memory.js'
import { buildElf } from '../../lib/testing/build-elf.js'
import { temporaryDirectory } from '../support/fixtures.js'

const fs = rootFileSystem('/')
const dir = temporaryDirectory()
const lstat = (path: string) => fs.lstat(path) as FileStat
const first = '/usr/bin/ls'
const second = '/usr/bin/cat'

function remembering() {
  const memory = new FactsFile(join(dir, 'none'), addon().xxHash32)
  const cache = new FactsCache()
  cache.consult(memory)
  return { memory, cache }
}

t.test('facts are remembered of a file as it has been for a while', async t => {
  const { memory, cache } = remembering()
  const inspection = cache.inspect(fs, first, lstat(first))
  t.same(memory.get(fileKey(lstat(first)))?.facts, inspection.facts)
})

t.test('not of one that was written just now: at the same tick of the clock it may be written once more', async t => {
  const { memory, cache } = remembering()
  const path = join(dir, 'new')
  writeFileSync(path, buildElf({ soname: 'a' }))
  const stat = lstat(path)
  t.equal(cache.inspect(fs, path, stat).facts?.soname, 'a')
  t.equal(memory.has(fileKey(stat)), false)
  t.equal(cache.has(fileKey(stat)), true, 'in this run it is known')
})

t.test('not of one in whose place another came between the look and the opening', async t => {
  const { memory, cache } = remembering()
  let at = first
  const changing = {
    ...fs,
    lstat: () => fs.lstat(at),
    open: () => {
      at = second
      return fs.open(second)
    },
  }
  cache.inspect(changing, '/x', lstat(first))
  t.equal(cache.has(fileKey(lstat(first))), false)
  t.equal(memory.isEmpty, true)
})
