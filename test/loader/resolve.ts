import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { Graph } from '../../lib/loader/types.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { askLoader, asTraced, HOST_LOADER, missingVersions, withoutIdleLoader } from '../support/oracle.js'

/*
 * Each rule on a few files made for it, each judged by the real loader: same libraries, same paths, same order, same
 * complaints. Nothing here is linked with the C library, so that a trace shows the fixtures alone.
 */
const dir = temporaryDirectory()
const RPATH = '-Wl,--disable-new-dtags'
const RUNPATH = '-Wl,--enable-new-dtags'

function library(name: string, needs: readonly string[] = [], flags: readonly string[] = []): string {
  const identifier = name.replaceAll(/\W/g, '_')
  return compile(dir, name, `int ${identifier}(void) { return 0; }`, ['-shared', '-fPIC', ...link(needs), ...flags])
}

function program(name: string, needs: readonly string[], flags: readonly string[] = []): string {
  return compile(dir, name, 'void _start(void) {}', ['-pie', '-fPIE', ...link(needs), ...flags])
}

/** `needs` are files below `dir` that have a soname, so that their paths are not recorded. */
function link(needs: readonly string[]): string[] {
  return ['-nostdlib', '-Wl,--no-as-needed,--allow-shlib-undefined', `-Wl,--dynamic-linker=${HOST_LOADER}`, ...needs]
}

const soname = (name: string) => `-Wl,-soname,${name}`
const rpath = (path: string) => `-Wl,-rpath,${path}`

interface Setting {
  readonly libraryPath?: string
  readonly preload?: string
  readonly cwd?: string
}

/** Our answer and the loader's; fails where they differ. */
function judge(tap: Pick<typeof t, 'equal' | 'same'>, file: string, setting: Setting = {}): Graph {
  const { libraryPath = '', preload = '', cwd = dir } = setting
  const graph = resolveGraph(rootFileSystem('/'), file, {
    cpuLevel: addon().cpuLevel(),
    libraryPath: libraryPath === '' ? [] : libraryPath.split(/[:;]/),
    preload: preload.split(/[ :]/).filter(name => name !== ''),
    workingDirectory: cwd,
  })
  const env = { ...(libraryPath && { LD_LIBRARY_PATH: libraryPath }), ...(preload && { LD_PRELOAD: preload }) }
  const answer = askLoader(file, { env, cwd })
  const fatal = graph.problems.filter(({ kind }) => kind === 'unusable')
  tap.equal(fatal.length > 0, answer.status !== 0, `the loader gives up where we do: ${answer.stderr}`)
  if (answer.status === 0) {
    const theirs = withoutIdleLoader(answer.libraries, graph).map(({ name, path }) => ({
      name,
      path: path && (path.startsWith('/') ? path : `${cwd}/${path}`),
    }))
    tap.same(
      asTraced(graph).filter(({ path }) => path !== null),
      theirs.filter(({ path }) => path !== null),
    )
    const missing = (list: typeof theirs) =>
      [...new Set(list.filter(({ path }) => path === null).map(({ name }) => name))].sort()
    tap.same(missing(asTraced(graph)), missing(theirs))
  }
  return graph
}

const hows = (graph: Graph) => Object.fromEntries(graph.edges.map(({ name, how }) => [name, how]))

t.test('RPATH is inherited, RUNPATH is not, and RUNPATH voids RPATH', async t => {
  library('a/libleaf.so', [], [soname('libleaf.so')])
  library('a/libmid.so', ['a/libleaf.so'], [soname('libmid.so')])
  const found = (graph: Graph) => graph.edges.find(({ name }) => name === 'libleaf.so')?.how
  t.equal(found(judge(t, program('by-rpath', ['a/libmid.so'], [RPATH, rpath(join(dir, 'a'))]))), 'rpath')
  t.equal(found(judge(t, program('by-runpath', ['a/libmid.so'], [RUNPATH, rpath(join(dir, 'a'))]))), 'not-found')
  library('b/libown.so', ['a/libleaf.so'], [soname('libown.so'), RUNPATH, rpath('/nowhere')])
  t.equal(found(judge(t, program('void', ['b/libown.so'], [RPATH, rpath(`${dir}/a:${dir}/b`)]))), 'not-found')
})

t.test('an ancestor with RUNPATH does not end the chain of RPATHs', async t => {
  library('chain/x/libend.so', [], [soname('libend.so')])
  library('chain/libtwo.so', ['chain/x/libend.so'], [soname('libtwo.so')])
  library('chain/libone.so', ['chain/libtwo.so'], [soname('libone.so'), RUNPATH, rpath(join(dir, 'chain'))])
  const graph = judge(t, program('chained', ['chain/libone.so'], [RPATH, rpath(`${dir}/chain:${dir}/chain/x`)]))
  t.equal(hows(graph)['libend.so'], 'rpath')
})

t.test('LD_LIBRARY_PATH stands between RPATH and RUNPATH', async t => {
  for (const place of ['first', 'second']) library(`${place}/libp.so`, [], [soname('libp.so')])
  const old = program('env-rpath', ['first/libp.so'], [RPATH, rpath(join(dir, 'first'))])
  const young = program('env-runpath', ['first/libp.so'], [RUNPATH, rpath(join(dir, 'first'))])
  t.equal(hows(judge(t, old, { libraryPath: join(dir, 'second') }))['libp.so'], 'rpath')
  t.equal(hows(judge(t, young, { libraryPath: join(dir, 'second') }))['libp.so'], 'ld-library-path')
  t.equal(hows(judge(t, young, { libraryPath: `/nowhere;${dir}/second//` }))['libp.so'], 'ld-library-path')
  judge(t, young, { libraryPath: ':/nowhere', cwd: join(dir, 'second') })
  judge(t, young, { libraryPath: 'second' })
})

t.test('tokens', async t => {
  library('tok/lib/libtok.so', [], [soname('libtok.so')])
  mkdirSync(join(dir, 'tok/$ORIGINX'), { recursive: true })
  for (const [index, path] of [
    '$ORIGIN/lib',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the loader's token, not ours
    '${ORIGIN}/lib',
    '$ORIGINX/lib',
    '$ORIGIN_/lib',
    '${ORIGIN/lib',
    '$LIB',
    '/nowhere/$PLATFORM:$ORIGIN/lib',
    '$ORIGIN/../tok//lib//',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the loader's token, not ours
    '${ORIGINAL}/lib',
  ].entries()) {
    const graph = judge(t, program(`tok/p${index}`, ['tok/lib/libtok.so'], [RUNPATH, rpath(path)]))
    t.equal(hows(graph)['libtok.so'], [0, 1, 6, 7].includes(index) ? 'runpath' : 'not-found', path)
  }
  library('tok/lib/libneed.so', [], [soname('$ORIGIN/lib/libneed.so')])
  const graph = judge(t, program('tok/needs', ['tok/lib/libneed.so'], []))
  t.equal(hows(graph)[join(dir, 'tok/lib/libneed.so')], 'path', 'a token in NEEDED is expanded before anything else')
})

t.test('$ORIGIN of a library is the directory of the path as opened', async t => {
  library('real/dep/libdep.so', [], [soname('libdep.so')])
  const real = library('real/liblink.so', ['real/dep/libdep.so'], [soname('liblink.so'), RUNPATH, rpath('$ORIGIN/dep')])
  mkdirSync(join(dir, 'seen'))
  symlinkSync(real, join(dir, 'seen/liblink.so'))
  t.equal(
    hows(judge(t, program('origin-seen', ['real/liblink.so'], [rpath(join(dir, 'seen'))])))['libdep.so'],
    'not-found',
  )
  t.equal(
    hows(judge(t, program('origin-real', ['real/liblink.so'], [rpath(join(dir, 'real'))])))['libdep.so'],
    'runpath',
  )
})

t.test('an empty RPATH is ignored, an empty element is the working directory', async t => {
  library('here/libhere.so', [], [soname('libhere.so')])
  const file = program('empty-element', ['here/libhere.so'], [RUNPATH, rpath('/nowhere:')])
  t.equal(hows(judge(t, file, { cwd: join(dir, 'here') }))['libhere.so'], 'runpath')
  t.equal(hows(judge(t, file, { cwd: dir }))['libhere.so'], 'not-found')
})

t.test('names with a slash are taken as they are', async t => {
  const absolute = library('slash/libabs.so')
  compile(dir, 'absolute', 'void _start(void) {}', ['-pie', '-fPIE', ...link([absolute])])
  t.equal(hows(judge(t, join(dir, 'absolute')))[absolute], 'path')
  compile(dir, 'relative', 'void _start(void) {}', ['-pie', '-fPIE', ...link(['slash/libabs.so'])])
  t.equal(hows(judge(t, join(dir, 'relative')))['slash/libabs.so'], 'path')
  t.equal(hows(judge(t, join(dir, 'relative'), { cwd: '/' }))['slash/libabs.so'], 'not-found')
})

t.test('one object for one soname, if the soname was loaded before; else for one inode', async t => {
  const search = rpath(join(dir, 'dup'))
  library('dup/libf.so', [], [soname('libf.so')])
  library('dup/libother.so', [], [soname('libf.so')])
  // Linked against stand-ins, so that NEEDED says the file name where the real file has another soname.
  library('stand/libother.so', [], [soname('libother.so')])
  t.equal(judge(t, program('dup-one', ['stand/libother.so', 'dup/libf.so'], [search])).objects.length, 3)
  t.equal(judge(t, program('dup-two', ['dup/libf.so', 'stand/libother.so'], [search])).objects.length, 4)
  library('stand/libalias.so', [], [soname('libalias.so')])
  symlinkSync('libf.so', join(dir, 'dup/libalias.so'))
  t.equal(judge(t, program('dup-inode', ['dup/libf.so', 'stand/libalias.so'], [search])).objects.length, 3)
})

t.test('symlink chains, dangling links and loops of links', async t => {
  const file = program(
    'links',
    [library('chainlink/v/libl.so.1.0', [], [soname('libl.so')]).slice(dir.length + 1)],
    [rpath(`${dir}/loop:${dir}/dangling:${dir}/chainlink`)],
  )
  for (const place of ['dangling', 'loop']) mkdirSync(join(dir, place))
  symlinkSync('v/libl.so.1', join(dir, 'chainlink/libl.so'))
  symlinkSync('libl.so.1.0', join(dir, 'chainlink/v/libl.so.1'))
  symlinkSync('nowhere', join(dir, 'dangling/libl.so'))
  const graph = judge(t, file)
  t.equal(hows(graph)['libl.so'], 'runpath')
  t.ok(
    graph.edges.some(({ watched }) => watched.includes(join(dir, 'chainlink/v/libl.so.1'))),
    'every link of the chain is to be watched',
  )
  symlinkSync('libl.so', join(dir, 'loop/libl.so'))
  t.equal(hows(judge(t, file))['libl.so'], 'not-found', 'ELOOP ends the list')
})

t.test('a glibc-hwcaps twin comes first, and the old sub-directories where the loader still has them', async t => {
  const file = program(
    'hwcaps',
    [library('hw/libhw.so', [], [soname('libhw.so')]).slice(dir.length + 1)],
    [rpath(join(dir, 'hw'))],
  )
  for (const sub of [
    'tls',
    'x86_64',
    'tls/x86_64',
    'glibc-hwcaps/x86-64-v2',
    'glibc-hwcaps/x86-64-v3',
    'glibc-hwcaps/x86-64-v4',
  ]) {
    mkdirSync(join(dir, 'hw', sub), { recursive: true })
    copyFileSync(join(dir, 'hw/libhw.so'), join(dir, 'hw', sub, 'libhw.so'))
    judge(t, file)
  }
})

t.test('a library for another machine or class is passed over', async t => {
  const file = program(
    'foreign',
    [library('own/libw.so', [], [soname('libw.so')]).slice(dir.length + 1)],
    [rpath(`${dir}/arm:${dir}/narrow:${dir}/own`)],
  )
  for (const [place, offset, byte] of [
    ['arm', 18, 183],
    ['narrow', 4, 1],
  ] as const) {
    const path = join(dir, place, 'libw.so')
    mkdirSync(dirname(path))
    copyFileSync(join(dir, 'own/libw.so'), path)
    patch(path, offset, byte)
  }
  const graph = judge(t, file)
  t.same(
    graph.edges
      .find(({ name }) => name === 'libw.so')
      ?.tried.filter(path => path.endsWith('.so'))
      .map(path => path.split('/').at(-2))
      .filter(place => ['arm', 'narrow'].includes(place as string)),
    ['arm', 'narrow'],
  )
})

t.test('what ends the program instead of being passed over', async t => {
  const file = program(
    'fatal',
    [library('good/libbad.so', [], [soname('libbad.so')]).slice(dir.length + 1)],
    [rpath(`${dir}/bad:${dir}/good`)],
  )
  const path = join(dir, 'bad/libbad.so')
  mkdirSync(dirname(path))
  const spoil: Record<string, () => void> = {
    'a linker script': () => writeFileSync(path, '/* GNU ld script */\nINPUT(libbad.so.1)\n'),
    'an empty file': () => writeFileSync(path, ''),
    'a short file': () => truncateSync(path, 40),
    'another OS ABI': () => patch(path, 7, 9),
    'another data encoding': () => patch(path, 5, 2),
    'a relocatable file': () => patch(path, 16, 1),
    'odd program headers': () => patch(path, 54, 57),
    'a program': () => copyFileSync(file, path),
  }
  for (const [what, how] of Object.entries(spoil)) {
    copyFileSync(join(dir, 'good/libbad.so'), path)
    how()
    t.equal(judge(t, file).problems[0]?.kind, 'unusable', what)
  }
})

function patch(path: string, offset: number, byte: number): void {
  const bytes = readFileSync(path)
  bytes[offset] = byte
  writeFileSync(path, bytes)
}

t.test('cycles, missing libraries, preloads', async t => {
  library('cycle/libc2.so', [], [soname('libc2.so')])
  library('cycle/libc1.so', ['cycle/libc2.so'], [soname('libc1.so')])
  library('cycle/libc2.so', ['cycle/libc1.so', 'a/libleaf.so'], [soname('libc2.so')])
  const graph = judge(t, program('cyclic', ['cycle/libc1.so'], [RPATH, rpath(join(dir, 'cycle'))]))
  t.same(graph.problems, [{ kind: 'missing-library', name: 'libleaf.so', by: join(dir, 'cycle/libc2.so') }])
  const preload = library('pre/libpre.so', ['a/libleaf.so'])
  judge(t, join(dir, 'cyclic'), { preload: `${preload}:/nowhere/libno.so` })
  judge(t, join(dir, 'cyclic'), { preload: 'libc2.so' })
})

t.test('filters: what they name comes before them', async t => {
  library('fil/libimpl.so', [], [soname('libimpl.so')])
  for (const [name, flag] of [
    ['libaux.so', '-f'],
    ['libfil.so', '-F'],
  ] as const) {
    library(`fil/${name}`, [], [soname(name), `-Wl,${flag},libimpl.so`, RPATH, rpath(join(dir, 'fil'))])
    judge(t, program(`with-${name}`, [`fil/${name}`, 'a/libleaf.so'], [rpath(`${dir}/fil:${dir}/a`)]))
    judge(t, program(`early-${name}`, [`fil/libimpl.so`, `fil/${name}`], [rpath(join(dir, 'fil'))]))
    judge(t, program(`late-${name}`, [`fil/${name}`, 'fil/libimpl.so'], [rpath(join(dir, 'fil'))]))
  }
  // A trace tells of either as `not found`; only a run shows the difference.
  for (const [name, flag, status] of [
    ['libaux0.so', '-f', 7],
    ['libfil0.so', '-F', 127],
  ] as const) {
    library(`fil/${name}`, [], [soname(name), `-Wl,${flag},libnowhere.so`])
    const file = compile(dir, `run-${name}`, 'int main(void) { return 7; }', [
      '-Wl,--no-as-needed',
      `fil/${name}`,
      rpath(join(dir, 'fil')),
    ])
    t.equal(spawnSync(file).status, status)
    t.equal(
      resolveGraph(rootFileSystem('/'), file, { cpuLevel: 0, libraryPath: [], preload: [] }).problems.length,
      status === 7 ? 0 : 1,
    )
  }
})

t.test('versions', async t => {
  const versioned = (place: string, versions: readonly string[]) => {
    const script = join(dir, `${place}.map`)
    writeFileSync(script, versions.map(version => `${version} { global: f_${version}; };`).join('\n'))
    return compile(
      dir,
      `${place}/libv.so`,
      versions.map(version => `int f_${version}(void) { return 0; }`).join('\n'),
      ['-shared', '-fPIC', '-nostdlib', soname('libv.so'), `-Wl,--version-script=${script}`],
    )
  }
  versioned('both', ['V1', 'V2'])
  versioned('one', ['V1'])
  library('none/libv.so', [], [soname('libv.so')])
  const file = compile(dir, 'versions', 'int f_V1(void); int f_V2(void); void _start(void) { f_V1(); f_V2(); }', [
    '-pie',
    '-fPIE',
    ...link(['both/libv.so']),
  ])
  for (const [place, missing] of [
    ['both', []],
    ['one', [`${dir}/one/libv.so V2`]],
    ['none', []],
  ] as const) {
    const graph = judge(t, file, { libraryPath: join(dir, place) })
    const ours = graph.problems.flatMap(problem =>
      problem.kind === 'missing-version' ? [`${dir}/${place}/${problem.file} ${problem.version}`] : [],
    )
    const theirs = missingVersions(askLoader(file, { env: { LD_LIBRARY_PATH: join(dir, place) } }).stderr)
    t.same(ours, theirs)
    t.same(ours, missing)
  }
  const weak = compile(
    dir,
    'weak-version',
    '__attribute__((weak)) int f_V2(void); int f_V1(void); void _start(void) { f_V1(); if (f_V2) f_V2(); }',
    ['-pie', '-fPIE', ...link(['both/libv.so'])],
  )
  const graph = judge(t, weak, { libraryPath: join(dir, 'one') })
  t.equal(
    graph.problems.length,
    missingVersions(askLoader(weak, { env: { LD_LIBRARY_PATH: join(dir, 'one') } }).stderr).length,
  )
})

t.test('a note for another system', async t => {
  const file = program('noted', ['a/libleaf.so'], [rpath(`${dir}/noted-lib:${dir}/a`)])
  for (const [what, words] of [
    ['another system', '1, 2, 6, 32'],
    ['this one', '0, 3, 2, 0'],
  ] as const) {
    const note = `__asm__(".pushsection .note.ABI-tag,\\"a\\",@note; .align 4; .long 4, 16, 1; .asciz \\"GNU\\"; .long ${words}; .popsection");`
    compile(dir, 'noted-lib/libleaf.so', note, ['-shared', '-fPIC', '-nostdlib', soname('libleaf.so')])
    t.ok(judge(t, file).objects.length === 3, what)
  }
})

t.test('static programs have no loader', async t => {
  for (const flags of [['-static'], ['-static-pie', '-fPIE']]) {
    const graph = resolveGraph(
      rootFileSystem('/'),
      compile(dir, 'static', 'void _start(void) {}', ['-nostdlib', ...flags]),
      { cpuLevel: 0, libraryPath: [], preload: [] },
    )
    t.match(graph, { loader: null, edges: [], problems: [] })
  }
})
