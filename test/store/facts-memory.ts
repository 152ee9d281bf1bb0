import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { FactsCache, fileKey, type Inspection } from '../../lib/loader/facts-cache.js'
import { memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { FileStat } from '../../lib/loader/types.js'
import { FactsFile } from '../../lib/store/facts-memory.js'
import { buildElf } from '../../lib/testing/build-elf.js'
import { temporaryDirectory } from '../support/fixtures.js'

const home = temporaryDirectory()
const path = join(home, 'cache/facts')
const open = () => new FactsFile(path, addon().xxHash32)

const fs = rootFileSystem('/')
const known = ['/usr/bin/ls', '/usr/bin/cat', process.execPath].map(file => {
  const stat = fs.lstat(file) as FileStat
  return { key: fileKey(stat), inspection: new FactsCache().inspect(fs, file, stat) }
})
const [{ key: first }] = known as [(typeof known)[number]]
const keys = known.map(({ key }) => key)
const facts = (inspection: Inspection | undefined) => inspection?.facts

function remember(count = known.length): void {
  const memory = open()
  for (const { key, inspection } of known.slice(0, count)) memory.set(key, inspection)
  memory.save()
}

t.beforeEach(() => rmSync(join(home, 'cache'), { recursive: true, force: true }))

t.test('what was set is known in the next run, and added to', async t => {
  t.equal(open().isEmpty, true)
  remember(1)
  const second = open()
  t.equal(second.isEmpty, false)
  t.same(
    keys.map(key => second.has(key)),
    [true, false, false],
  )
  for (const { key, inspection } of known.slice(1)) t.equal(second.set(key, inspection), true)
  second.save()
  for (const memory of [second, open()]) {
    t.same(
      keys.map(key => facts(memory.get(key))),
      known.map(({ inspection }) => inspection.facts),
    )
  }
  t.same(readdirSync(join(home, 'cache')), ['facts'], 'nothing is left beside it')
})

t.test('what is no ELF file is not kept, and a run that learns nothing writes nothing', async t => {
  const memory = open()
  t.equal(memory.set('k'.repeat(40), { start: null, facts: null, code: 'ELF_NOT', because: '' }), false)
  memory.save()
  t.notOk(existsSync(path))
})

/** What is written of one small file. */
function rememberSmall(): Buffer {
  const memory = open()
  const tree = memoryFileSystem({
    '/x': { bytes: Buffer.from(buildElf({ soname: 'x', needed: ['a', 'b'], verdefs: ['V'] })) },
  })
  memory.set(first, new FactsCache().inspect(tree, '/x', tree.lstat('/x') as FileStat))
  memory.save()
  return readFileSync(path)
}

t.test('damage at any byte is noticed', async t => {
  const whole = rememberSmall()
  const damaged = [
    ...Array.from(whole, (byte, at) => Buffer.from(whole).fill(byte ^ (1 << (at % 8)), at, at + 1)),
    ...Array.from(whole, (_, length) => whole.subarray(0, length)),
    Buffer.concat([whole, Buffer.of(0)]),
    Buffer.concat([whole, whole]),
  ]
  const believed = damaged.filter(bytes => {
    writeFileSync(path, bytes)
    return !open().isEmpty
  })
  t.same(believed, [])
  writeFileSync(path, whole)
  t.equal(open().get(first)?.facts?.soname, 'x')
})

t.test('a sum that is right over nonsense breaks nothing', async t => {
  const whole = rememberSmall()
  let answered = 0
  for (let at = 12; at + 4 <= whole.length; at += 4) {
    for (const word of [0, 0xffffffff]) {
      const damaged = Buffer.from(whole)
      damaged.writeUInt32LE(word, at)
      damaged.writeUInt32LE(addon().xxHash32(damaged.subarray(12)), 8)
      writeFileSync(path, damaged)
      if (open().get(first) !== undefined) answered++
    }
  }
  t.ok(answered > 0, 'some words are what they may be')
})

t.test('huge, or no file at all: nothing is known, and it is made anew where it can be', async t => {
  mkdirSync(join(home, 'cache'))
  for (const make of [
    () => {
      writeFileSync(path, '')
      truncateSync(path, 2 ** 40)
    },
    () => symlinkSync('/dev/zero', path),
    () => symlinkSync('facts', path),
  ]) {
    make()
    t.equal(open().isEmpty, true)
    remember()
    t.same(facts(open().get(first)), known[0]?.inspection.facts)
    rmSync(path)
  }
  mkdirSync(path)
  remember()
  t.same(readdirSync(join(home, 'cache')), ['facts'])
})

t.test('what cannot be written is no failure', async t => {
  writeFileSync(join(home, 'cache'), 'a file in the directory’s place')
  t.doesNotThrow(() => remember())
  const none = new FactsFile('/sys/none/facts', addon().xxHash32)
  for (const { key, inspection } of known) none.set(key, inspection)
  t.doesNotThrow(() => none.save())
})

t.test('nobody else may write it, whatever the umask', async t => {
  const before = process.umask(0)
  t.teardown(() => process.umask(before))
  remember()
  t.equal(statSync(path).mode & 0o777, 0o644)
  t.equal(statSync(join(home, 'cache')).mode & 0o777, 0o755)
})

t.test('with too many files it begins anew', async t => {
  const memory = open()
  const [{ inspection }] = known as [(typeof known)[number]]
  const key = (index: number) => String(index).padStart(40, '0')
  for (let index = 0; index <= 65_536; index++) memory.set(key(index), inspection)
  t.equal(memory.has(key(0)), false)
  t.equal(memory.has(key(65_536)), true)
})

t.test('many processes that save at once: one of them is remembered, whole', async t => {
  const url = (name: string) => JSON.stringify(fileURLToPath(new URL(`../../lib/${name}.js`, import.meta.url)))
  const code = `
    import { addon } from ${url('launch/addon')}
    import { FactsFile } from ${url('store/facts-memory')}
    import { FactsCache, fileKey } from ${url('loader/facts-cache')}
    import { rootFileSystem } from ${url('loader/root-file-system')}
    const fs = rootFileSystem('/')
    const stat = fs.lstat('/usr/bin/ls')
    const inspection = new FactsCache().inspect(fs, '/usr/bin/ls', stat)
    for (let i = 0; i < 100; i++) {
      const memory = new FactsFile(${JSON.stringify(path)}, addon().xxHash32)
      memory.set(fileKey(stat), inspection)
      memory.save()
    }`
  const processes = [1, 2, 3].map(() =>
    spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' }),
  )
  const ended = Promise.all(processes.map(child => once(child, 'exit')))
  let running = true
  ended.finally(() => {
    running = false
  })
  while (running) {
    const memory = open()
    if (!memory.isEmpty) t.same(facts(memory.get(first)), known[0]?.inspection.facts)
    await new Promise(resolve => setImmediate(resolve))
  }
  t.same(
    (await ended).map(([status]) => status),
    [0, 0, 0],
  )
  t.equal(open().isEmpty, false)
  t.same(readdirSync(join(home, 'cache')), ['facts'])
})
