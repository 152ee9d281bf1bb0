import { spawnSync } from 'node:child_process'
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { parseTrace } from '../support/oracle.js'

/** musl's rules, each judged by musl's own loader (`--list`), which is also its C library. */
const dir = temporaryDirectory()
const loader = '/lib/ld-musl-x86_64.so.1'

function library(name: string, needs: readonly string[] = [], flags: readonly string[] = []): string {
  return compile(dir, name, 'int f(void) { return 0; }', [
    '-shared',
    '-fPIC',
    '-nostdlib',
    '-Wl,--no-as-needed,--allow-shlib-undefined',
    ...needs,
    ...flags,
  ])
}

function program(name: string, needs: readonly string[], flags: readonly string[] = []): string {
  const link = [
    '-pie',
    '-fPIE',
    '-nostdlib',
    '-Wl,--no-as-needed,--allow-shlib-undefined',
    `-Wl,--dynamic-linker=${loader}`,
  ]
  return compile(dir, name, 'void _start(void) {}', [...link, ...needs, ...flags])
}

const named = (name: string) => `-Wl,-soname,${name}`
const runpath = (path: string) => `-Wl,-rpath,${path}`

function judge(tap: Pick<typeof t, 'same' | 'equal'>, file: string, libraryPath = '') {
  const context = {
    cpuLevel: 0,
    libraryPath: libraryPath === '' ? [] : libraryPath.split(':'),
    preload: [],
    workingDirectory: dir,
  }
  const graph = resolveGraph(rootFileSystem('/'), file, context)
  const run = spawnSync(loader, ['--list', file], {
    cwd: dir,
    encoding: 'utf8',
    env: libraryPath === '' ? {} : { LD_LIBRARY_PATH: libraryPath },
  })
  tap.equal(graph.loader?.kind, 'musl')
  tap.equal(graph.problems.length === 0, run.status === 0, run.stderr)
  const theirs = parseTrace(run.stdout).filter(({ path }) => path !== loader)
  const ours = graph.objects.slice(1).filter(({ path }) => path !== loader)
  tap.same(
    ours.map(({ path }) => path),
    [...new Set(theirs.map(({ path }) => path))],
  )
  return graph
}

const how = (graph: ReturnType<typeof resolveGraph>, wanted: string) =>
  graph.edges.find(({ name }) => name === wanted)?.how

t.test('LD_LIBRARY_PATH, then RPATH or RUNPATH alike, both inherited', async t => {
  library('deep/libend.so', [], [named('libend.so')])
  library('deep/libmid.so', ['deep/libend.so'], [named('libmid.so')])
  for (const tags of ['--enable-new-dtags', '--disable-new-dtags']) {
    const graph = judge(t, program(`inherits${tags}`, ['deep/libmid.so'], [`-Wl,${tags}`, runpath('$ORIGIN/deep')]))
    t.equal(how(graph, 'libend.so'), tags === '--enable-new-dtags' ? 'runpath' : 'rpath')
  }
  library('env/libmid.so', [], [named('libmid.so')])
  t.equal(how(judge(t, join(dir, 'inherits--enable-new-dtags'), join(dir, 'env')), 'libmid.so'), 'ld-library-path')
})

t.test('only $ORIGIN is known; any other dollar sign voids the path', async t => {
  library('tok/libt.so', [], [named('libt.so')])
  for (const path of [
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the loader's token, not ours
    '${ORIGIN}/tok',
    '$ORIGIN/tok:$LIB',
    `${dir}/tok:$PLATFORM/x`,
    '$ORIGINS:$ORIGIN/tok',
    `:${dir}/tok`,
  ]) {
    judge(t, program('tokens', ['tok/libt.so'], [runpath(path)]))
  }
})

t.test('the C library by any of its names is the loader', async t => {
  for (const name of ['libc.so', 'libpthread.so.0', 'libm.so.6', 'libxnet.so'])
    library(`fake/${name}`, [], [named(name)])
  const graph = judge(
    t,
    program(
      'itself',
      ['fake/libc.so', 'fake/libpthread.so.0', 'fake/libm.so.6', 'fake/libxnet.so'],
      [runpath(join(dir, 'fake'))],
    ),
  )
  t.equal(graph.objects.length, 2)
})

t.test('names and inodes count, sonames do not; a foreign or broken file ends it', async t => {
  library('same/libone.so', [], [named('libone.so')])
  symlinkSync('libone.so', join(dir, 'same/libtwo.so'))
  library('stand/libtwo.so', [], [named('libtwo.so')])
  t.equal(
    judge(t, program('inode', ['same/libone.so', 'stand/libtwo.so'], [runpath(join(dir, 'same'))])).objects.length,
    3,
  )
  library('alias/libthree.so', [], [named('libone.so')])
  library('stand/libthree.so', [], [named('libthree.so')])
  judge(t, program('soname', ['stand/libthree.so', 'same/libone.so'], [runpath(`${dir}/alias:${dir}/same`)]))
  mkdirSync(join(dir, 'broken'))
  writeFileSync(join(dir, 'broken/libone.so'), 'no ELF file')
  judge(t, program('breaks', ['same/libone.so'], [runpath(`${dir}/broken:${dir}/same`)]))
  judge(t, program('missing', ['same/libone.so']))
})

t.test('the loader is found with its directories', async t => {
  const { loader: read } = judge(t, join(dir, 'itself'))
  t.match(read, { path: loader, realPath: realpathSync(loader), version: [1, 2], machine: 62 })
  t.ok(read?.systemDirectories.every(directory => dirname(directory) !== '.'))
})
