import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { AppcError } from '../../lib/errors.js'
import { addon } from '../../lib/launch/addon.js'
import { findElfFiles } from '../../lib/launch/elf-files.js'
import { buildElf } from '../../lib/testing/build-elf.js'
import { users } from '../native/fixture.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

function find(directory: string) {
  const told: AppcError[] = []
  const files = findElfFiles(addon(), directory, error => told.push(error))
  return { files: files.map(path => path.slice(directory.length + 1)), told }
}

t.test('programs and libraries of any machine, and nothing else', async t => {
  const dir = temporaryDirectory()
  compile(dir, 'program', 'void _start(void) {}', ['-nostdlib', '-static', '-no-pie'])
  compile(dir, 'deep/er/library.so', '', ['-shared', '-nostdlib'])
  compile(dir, 'object.o', 'int x;', ['-c'])
  writeFileSync(join(dir, 'big-endian'), buildElf({ data: 'big' }))
  writeFileSync(join(dir, 'short'), '\x7fELF\x02\x01\x01')
  writeFileSync(join(dir, 'empty'), '')
  writeFileSync(join(dir, 'text'), 'no ELF file, and long enough for one')
  writeFileSync(join(dir, 'new\nline'), buildElf({}))
  symlinkSync('program', join(dir, 'link'))
  symlinkSync('.', join(dir, 'deep/loop'))
  execFileSync('mkfifo', [join(dir, 'fifo')])
  t.same(find(dir), { files: ['big-endian', 'deep/er/library.so', 'new\nline', 'program'], told: [] })
})

t.test('what cannot be looked into is told', async t => {
  const dir = temporaryDirectory()
  const elf = join(dir, 'elf')
  writeFileSync(elf, buildElf({}))
  // Node cannot name them either.
  execFileSync('sh', ['-c', 'cp elf "$(printf "file\\377")"; mkdir "$(printf "dir\\377")"'], { cwd: dir })
  const { files, told } = find(dir)
  t.same(files, ['elf'])
  t.same(
    told.map(({ code, message }) => [code, message]),
    ['dir', 'file'].map(name => ['FILE_UNREADABLE', `${dir}/${name}\ufffd cannot be read`]),
  )

  const [, user] = users.at(-1) as (typeof users)[number]
  mkdirSync(join(dir, 'closed'))
  copyFileSync(elf, join(dir, 'secret'))
  for (const name of ['closed', 'secret']) chmodSync(join(dir, name), 0)
  chmodSync(dir, 0o755)
  const { stdout } = run(dir, user)
  t.match(stdout, /^elf$/m)
  for (const name of ['closed', 'secret']) t.match(stdout, `told ${dir}/${name} cannot be read`)
  rmSync(join(dir, 'closed'), { recursive: true })
})

t.test('where only a few files may be open, none is passed over', async t => {
  const dir = temporaryDirectory()
  const names = Array.from({ length: 100 }, (_, index) => `f${String(index).padStart(3, '0')}`)
  for (const name of names) writeFileSync(join(dir, name), buildElf({}))
  const { stdout } = run(dir, {}, 'ulimit -n 40; exec "$@"')
  t.equal(stdout, names.map(name => `${name}\n`).join(''))
})

t.test('/proc: what ends meanwhile, says that it is empty, or waits, is no error', async t => {
  t.same(find('/proc/self').files, [])
})

/** In a process of its own. */
function run(directory: string, options: object, script = 'exec "$@"') {
  const url = (name: string) => JSON.stringify(fileURLToPath(new URL(`../../lib/launch/${name}.js`, import.meta.url)))
  const code = `
    import { addon } from ${url('addon')}
    import { findElfFiles } from ${url('elf-files')}
    const directory = ${JSON.stringify(directory)}
    for (const path of findElfFiles(addon(), directory, error => console.log('told', error.message)))
      console.log(path.slice(directory.length + 1))`
  const node = [process.execPath, '--input-type=module', '-e', code]
  return spawnSync('sh', ['-c', script, 'sh', ...node], { encoding: 'utf8', ...options })
}
