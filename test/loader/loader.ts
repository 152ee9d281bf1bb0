import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { readLoader } from '../../lib/loader/loader.js'
import { memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { temporaryDirectory } from '../support/fixtures.js'
import { HOST_LOADER } from '../support/oracle.js'

t.test('glibc tells its version and directories itself', async t => {
  const loader = readLoader(rootFileSystem('/'), HOST_LOADER)
  const help = spawnSync(HOST_LOADER, ['--help'], { encoding: 'utf8' }).stdout
  const version = /release version (\d+)\.(\d+)/.exec(
    spawnSync(HOST_LOADER, ['--version'], { encoding: 'utf8' }).stdout,
  )
  t.same(loader.version, [Number(version?.[1]), Number(version?.[2])])
  t.same(
    loader.systemDirectories,
    [...help.matchAll(/^ {2}(\S+) \(system search path\)$/gm)].map(([, path]) => path),
  )
  t.match(loader, { kind: 'glibc', path: HOST_LOADER, class: 64, data: 'little', platform: 'x86_64' })
  // The loader expands $LIB in what it is told to search.
  const traced = spawnSync(HOST_LOADER, ['--library-path', '/$LIB/of', '--list', '/bin/true'], {
    encoding: 'utf8',
    env: { LD_DEBUG: 'libs' },
  })
  t.match(traced.stderr, `search path=`)
  t.ok(traced.stderr.includes(`/${loader.lib}/of`))
})

t.test('the version of a loader without a banner is told by its file name, or by the C library beside it', async t => {
  const bytes = Buffer.from(
    readFileSync(HOST_LOADER).toString('latin1').replaceAll('release version', 'xxxxxxx version'),
    'latin1',
  )
  const banner = Buffer.concat([readFileSync(HOST_LOADER), Buffer.from('stable release version 2.27.')])
  const at = (name: string, beside = {}) =>
    readLoader(
      memoryFileSystem({ '/lib64/ld.so': { target: `/lib/${name}` }, [`/lib/${name}`]: { bytes }, ...beside }),
      '/lib64/ld.so',
    )
  t.same(at('ld-2.31.so').version, [2, 31])
  t.equal(at('ld-2.31.so').realPath, '/lib/ld-2.31.so')
  t.same(
    at('ld-linux.so.2', { '/lib/libc.so.6': { bytes: banner } }).version,
    readLoader(rootFileSystem('/'), HOST_LOADER).version,
  )
  t.throws(() => at('ld-linux.so.2'), { code: 'LOADER_UNKNOWN' })
})

t.test('what is no loader', async t => {
  const fs = rootFileSystem('/')
  t.throws(() => readLoader(fs, '/usr/bin/true'), { code: 'LOADER_UNKNOWN' })
  t.throws(() => readLoader(fs, '/lib64/none.so'), { code: 'FILE_MISSING' })
  t.throws(() => readLoader(fs, '/etc/passwd'), { code: 'LOADER_UNKNOWN', because: 'not an ELF file' })
})

t.test('an absolute symlink to the loader stays in its root', async t => {
  const root = temporaryDirectory()
  const path = join(root, 'opt/ld.so')
  mkdirSync(dirname(path), { recursive: true })
  copyFileSync(HOST_LOADER, path)
  symlinkSync('/opt/ld.so', join(root, 'ld.so'))
  t.equal(readLoader(rootFileSystem(root), '/ld.so').realPath, '/opt/ld.so')
})
