import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { LibraryCache } from '../../lib/loader/cache.js'
import { readLoader } from '../../lib/loader/loader.js'
import { searchNames } from '../../lib/loader/names.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { askLoader, asTraced, HOST_LOADER, withoutIdleLoader } from '../support/oracle.js'

/*
 * A small root with this machine's loader and libraries in directories that only its cache knows, the cache being made by
 * the real ldconfig. The loader of that root is the judge.
 */
const root = temporaryDirectory()
const cacheFile = join(root, 'etc/ld.so.cache')
const context = { cpuLevel: addon().cpuLevel(), libraryPath: [], preload: [] }

for (const directory of ['etc', 'lib64', 'opt', 'usr/lib']) mkdirSync(join(root, directory), { recursive: true })
// Under the loader's own file name, which tells the version of an old one, and by the name that programs ask for.
const loaderFile = `lib64/${basename(realpathSync(HOST_LOADER))}`
const interpreter = '/lib64/interpreter.so'
copyFileSync(HOST_LOADER, join(root, loaderFile))
symlinkSync(`/${loaderFile}`, join(root, interpreter))
writeFileSync(join(root, 'etc/ld.so.conf'), '/opt/one\n/opt/two\n')

function library(name: string, soname: string): void {
  compile(root, name, 'int f(void) { return 0; }', ['-shared', '-fPIC', '-nostdlib', `-Wl,-soname,${soname}`])
}

function program(name: string, needs: readonly string[], flags: readonly string[] = []): string {
  compile(root, name, 'void _start(void) {}', [
    '-pie',
    '-fPIE',
    '-nostdlib',
    `-Wl,--no-as-needed,--dynamic-linker=${interpreter}`,
    ...needs,
    ...flags,
  ])
  return `/${name}`
}

function ldconfig(...options: string[]): void {
  execFileSync('/sbin/ldconfig', ['-r', root, '-X', ...options])
}

function judge(tap: Pick<typeof t, 'same' | 'equal'>, file: string) {
  const graph = resolveGraph(rootFileSystem(root), file, context)
  const answer = askLoader(file, { root, loader: interpreter })
  tap.equal(graph.problems.length === 0, answer.status === 0, answer.stderr)
  if (answer.status === 0) tap.same(asTraced(graph), withoutIdleLoader(answer.libraries, graph))
  return graph.edges.at(-1)
}

// Names that sort differently as text and by number, so that the binary search goes every way.
const names = Array.from({ length: 23 }, (_, index) => `libn${index}.so.${index % 7}`)
for (const name of names) library(`opt/one/${name}`, name)
library('opt/two/libn3.so.3', 'libn3.so.3')
library('usr/lib/libsys.so', 'libsys.so')
mkdirSync(join(root, 'opt/two/glibc-hwcaps/x86-64-v2'), { recursive: true })
library('opt/two/glibc-hwcaps/x86-64-v2/libn5.so.5', 'libn5.so.5')
mkdirSync(join(root, 'opt/two/glibc-hwcaps/x86-64-v4'), { recursive: true })
library('opt/two/glibc-hwcaps/x86-64-v4/libn6.so.6', 'libn6.so.6')
const all = program(
  'all',
  names.map(name => `opt/one/${name}`),
)

for (const format of ['new', 'compat', 'old']) {
  t.test(`a cache in the ${format} format`, async t => {
    ldconfig('-c', format)
    judge(t, all)
  })
}

t.test('every entry is found, and it is the one that ldconfig prints first', async t => {
  ldconfig()
  const loader = readLoader(rootFileSystem(root), interpreter)
  const cache = LibraryCache.parse(readFileSync(cacheFile), loader)
  const printed = execFileSync('/sbin/ldconfig', ['-r', root, '-p'], { encoding: 'utf8' })
  const lines = [...printed.matchAll(/^\t(\S+) \(.*?\) => (\S+)$/gm)]
  t.ok(lines.length > names.length)
  for (const name of new Set(lines.map(([, name]) => name as string))) {
    t.equal(cache?.hits(name)[0]?.path, lines.find(line => line[1] === name)?.[2], name)
  }
  t.equal(cache?.lookup('libnone.so', []), null)
})

t.test('searchNames gives every way to a soname', async t => {
  const fs = rootFileSystem(root)
  const loader = readLoader(fs, interpreter)
  library('usr/lib/libn5.so.5', 'libn5.so.5')
  t.same(searchNames(fs, loader, { ...context, cpuLevel: 3 }, 'libn5.so.5'), [
    '/opt/two/glibc-hwcaps/x86-64-v2/libn5.so.5',
    '/opt/one/libn5.so.5',
    '/usr/lib/libn5.so.5',
  ])
  t.same(searchNames(fs, loader, { ...context, cpuLevel: 1 }, 'libn5.so.5'), [
    '/opt/one/libn5.so.5',
    '/usr/lib/libn5.so.5',
  ])
  rmSync(join(root, 'usr/lib/libn5.so.5'))
})

t.test('NODEFLIB drops hits under system directories, and the directories', async t => {
  ldconfig()
  t.equal(judge(t, program('with-default', ['usr/lib/libsys.so']))?.how, 'cache')
  t.equal(judge(t, program('without-default', ['usr/lib/libsys.so'], ['-Wl,-z,nodefaultlib']))?.how, 'not-found')
  t.equal(judge(t, program('elsewhere', ['opt/one/libn1.so.1'], ['-Wl,-z,nodefaultlib']))?.how, 'cache')
  rmSync(cacheFile)
  t.equal(judge(t, '/with-default')?.how, 'system-directory')
  t.equal(judge(t, '/without-default')?.how, 'not-found')
})

t.test('a stale cache', async t => {
  ldconfig()
  renameSync(join(root, 'opt/one/libn1.so.1'), join(root, 'usr/lib/libn1.so.1'))
  t.equal(judge(t, '/elsewhere')?.how, 'not-found')
  t.equal(judge(t, program('moved', ['usr/lib/libn1.so.1']))?.how, 'system-directory')
  renameSync(join(root, 'usr/lib/libn1.so.1'), join(root, 'opt/one/libn1.so.1'))
})

t.test('a relative path in the cache is one from the working directory, or undecidable', async t => {
  ldconfig()
  const bytes = readFileSync(cacheFile)
  // The entry's path begins one character later.
  const value = Buffer.alloc(4)
  value.writeUInt32LE(bytes.indexOf('/opt/one/libn1.so.1\0'))
  bytes.writeUInt32LE(value.readUInt32LE() + 1, bytes.indexOf(value, 48))
  writeFileSync(cacheFile, bytes)
  const resolve = (where: { workingDirectory?: string }) =>
    resolveGraph(rootFileSystem(root), '/elsewhere', { ...context, ...where })
  t.match(askLoader('/elsewhere', { root, loader: interpreter }).libraries[0], { path: 'opt/one/libn1.so.1' })
  t.match(resolve({ workingDirectory: '/' }).objects[1], { path: '/opt/one/libn1.so.1' })
  t.match(resolve({}).problems, [{ kind: 'undecidable', because: /its path in ld.so.cache is relative/ }])
})

t.test('a damaged cache gives what it gives the loader', async t => {
  ldconfig()
  const whole = readFileSync(cacheFile)
  const damage = (what: string, change: (bytes: Buffer) => Buffer) =>
    t.test(what, async t => {
      writeFileSync(cacheFile, change(Buffer.from(whole)))
      judge(t, '/elsewhere')
      judge(t, all)
    })
  await damage('empty', () => Buffer.alloc(0))
  await damage('cut in the header', bytes => bytes.subarray(0, 30))
  await damage('cut in the entries', bytes => bytes.subarray(0, 48 + 24 * 5))
  await damage('another magic number', bytes => bytes.fill('X', 0, 4))
  await damage('another byte order', bytes => bytes.fill(3, 28, 29))
  await damage('more entries than fit', bytes => bytes.fill(0xff, 20, 24))
  await damage('fewer entries', bytes => bytes.fill(4, 20, 21))
  await damage('keys outside', bytes => bytes.fill(0x7f, 48 + 24 * 10 + 4, 48 + 24 * 10 + 8))
  await damage('values outside', bytes => bytes.fill(0x7f, 48 + 24 * 10 + 8, 48 + 24 * 10 + 12))
  await damage('other flags', bytes => bytes.fill(9, 48 + 24 * 10, 48 + 24 * 10 + 1))
  await damage('unsorted', bytes => {
    const entry = Buffer.from(bytes.subarray(48, 72))
    bytes.copy(bytes, 48, 48 + 24 * 12, 48 + 24 * 13)
    entry.copy(bytes, 48 + 24 * 12)
    return bytes
  })
})
