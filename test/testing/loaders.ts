import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readLoader } from '../../lib/loader/loader.js'
import { type MemoryTree, memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { glibcLoader, muslLoader } from '../../lib/testing/loaders.js'
import { temporaryDirectory } from '../support/fixtures.js'
import { HOST_LOADER } from '../support/oracle.js'

const read = (path: string, tree: MemoryTree) => readLoader(memoryFileSystem(tree), path)

/** Lines that binutils finds in a file. */
const stringsOf = (path: string) => execFileSync('strings', ['-a', '-n', '3', path], { encoding: 'utf8' }).split('\n')

t.test('it reads as the real loader that it is made after, and has the same strings', async t => {
  const bytes = readFileSync(HOST_LOADER)
  const real = read('/lib/ld.so', { '/lib/ld.so': bytes })
  const made = glibcLoader(real)
  t.same(read('/lib/ld.so', { '/lib/ld.so': made }), real)

  const path = join(temporaryDirectory(), 'ld.so')
  writeFileSync(path, made)
  const [theirs, ours] = [stringsOf(HOST_LOADER), stringsOf(path)]
  for (const line of ['ORIGIN', 'LIB', real.lib, ...real.systemDirectories.map(directory => `${directory}/`)]) {
    // Texts of fewer than four letters or behind other bytes are not told apart from code.
    t.ok(ours.includes(line), line)
    t.ok(
      theirs.some(other => other.endsWith(line)),
      line,
    )
  }
  const banner = new RegExp(`^ld\\.so \\(.*\\) stable release version ${real.version.join('\\.')}\\.$`)
  t.ok(ours.some(line => banner.test(line)) && theirs.some(line => banner.test(line)))
})

t.test('what is asked for is what is read', async t => {
  const at = '/lib/ld.so'
  t.match(read(at, { [at]: glibcLoader() }), {
    kind: 'glibc',
    version: [2, 36],
    systemDirectories: ['/lib', '/usr/lib'],
    lib: 'lib',
    machine: 62,
  })
  const described = { version: [2, 42], systemDirectories: ['/opt/own/lib'], lib: 'lib64', machine: 183 } as const
  t.match(read(at, { [at]: glibcLoader(described) }), described)
  t.match(read(at, { [at]: glibcLoader({ data: 'big' }) }), { class: 64, data: 'big', machine: 22 })
})

t.test('before 2.33 its name tells the version', async t => {
  const old = glibcLoader({ version: [2, 31] })
  t.same(read('/lib/ld-2.31.so', { '/lib/ld-2.31.so': old }).version, [2, 31])
  t.throws(() => read('/lib/ld.so', { '/lib/ld.so': old }), { code: 'LOADER_UNKNOWN' })
  t.throws(() => glibcLoader({ machine: 8 }), { code: 'FIXTURE_INVALID' })
})

t.test("musl's", async t => {
  const at = '/lib/ld-musl-x86_64.so.1'
  const settings = { '/etc/ld-musl-x86_64.path': Buffer.from('/opt/lib:/srv/lib\n') }
  const real = { [at]: readFileSync(at) }
  const made = { [at]: muslLoader() }
  t.same(read(at, made), read(at, real))
  t.same(read(at, { ...made, ...settings }), read(at, { ...real, ...settings }))
  t.match(read(at, { ...made, ...settings }), { kind: 'musl', systemDirectories: ['/opt/lib', '/srv/lib'] })
})
