import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { verifyGraphs } from '../../lib/launch/real-loader.js'
import { usualInterpreters } from '../../lib/loader/loader.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { Graph } from '../../lib/loader/types.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

/*
 * musl's rules, each judged by musl's own loader (`--list`), which is also its C library: same libraries in the same order, same
 * names missing, same success. Nothing here is linked with a C library, so that there is nothing but the fixtures.
 */
const LOADER = '/lib/ld-musl-x86_64.so.1'
const dir = temporaryDirectory()
chmodSync(dir, 0o755)

const link = (flags: readonly string[]) => ['-nostdlib', '-Wl,--no-as-needed,--allow-shlib-undefined', ...flags]
const named = (name: string) => `-Wl,-soname,${name}`
const runpath = (path: string) => `-Wl,-rpath,${path}`

/** All libraries are of one object, and all programs of another: what differs is how they are linked. */
const objects = {
  library: compile(dir, 'library.o', 'int f(void) { return 0; }', ['-c', '-fPIC']),
  program: compile(dir, 'program.o', 'void _start(void) {}', ['-c', '-fPIE']),
}

function linked(path: string, object: string, flags: readonly string[]): string {
  const file = join(dir, path)
  mkdirSync(dirname(file), { recursive: true })
  execFileSync('gcc', ['-o', file, object, ...link(flags)], { cwd: dir, stdio: ['ignore', 'inherit', 'inherit'] })
  return file
}

/** A library with its file's name as soname. */
function library(path: string, flags: readonly string[] = [], soname = path.slice(path.lastIndexOf('/') + 1)): string {
  return linked(path, objects.library, ['-shared', ...flags, named(soname)])
}

function program(path: string, flags: readonly string[], interpreter = LOADER): string {
  return linked(path, objects.program, ['-pie', `-Wl,--dynamic-linker=${interpreter}`, ...flags])
}

interface Setting {
  readonly root?: string
  readonly libraryPath?: string
  readonly preload?: readonly string[]
  readonly directory?: string
}

/** Our answer, after it was compared with the loader's. */
async function judge(tap: Pick<typeof t, 'same' | 'equal'>, file: string, setting: Setting = {}): Promise<Graph> {
  const { root = '/', libraryPath, preload = [], directory = root === '/' ? dir : '/' } = setting
  const context = {
    cpuLevel: 0,
    libraryPath: libraryPath === undefined ? [] : libraryPath.split(':'),
    preload,
    workingDirectory: directory,
    interpreter: LOADER,
  }
  const graph = resolveGraph(rootFileSystem(root), file, context)
  const loader = graph.loader?.path as string
  const environment = [
    ...(libraryPath === undefined ? [] : [`LD_LIBRARY_PATH=${libraryPath}`]),
    ...(preload.length === 0 ? [] : [`LD_PRELOAD=${preload.join(' ')}`]),
  ]
  const place = root === '/' ? '' : root
  const argv = [loader, '--list', file]
  const { status, stdout, stderr } = await addon().capture(place, directory, loader, argv, environment, 10_000)
  const absolute = (path: string) => (path.startsWith('/') ? path : join(directory, path))
  const loaded = [...stdout.toString().matchAll(/^\t(?:.*? => )?(.*) \((?:0x[0-9a-f]+|0)\)$/gm)].map(
    ([, path = '']) => path,
  )
  tap.equal(graph.loader?.kind, 'musl')
  tap.same(
    graph.objects.slice(1).flatMap(({ path }) => (path === loader ? [] : [path])),
    loaded.filter(path => path !== loader).map(absolute),
    'the same libraries',
  )
  const messages = stderr.toString()
  const missing = [...messages.matchAll(/^Error loading shared library (.*?): .* \(needed by /gm)].map(
    ([, name]) => name,
  )
  tap.same(
    graph.edges.filter(({ to }) => to === -1).map(({ name }) => name),
    missing,
    'the same names missing',
  )
  // Symbols are not asked about here.
  if (!messages.includes('Error relocating')) tap.equal(graph.problems.length === 0, status === 0, messages)
  if (usualInterpreters(graph.objects[0]?.facts as never).includes(loader)) {
    tap.same(await verifyGraphs(root, context, [graph]), [{ kind: 'same' }])
  }
  return graph
}

const how = (graph: Graph, wanted: string) => graph.edges.find(({ name }) => name === wanted)?.how
const pathOf = (graph: Graph, wanted: string) => {
  const edge = graph.edges.find(({ name }) => name === wanted)
  return graph.objects[edge?.to ?? -1]?.path
}

library('a/libx.so')
library('b/libx.so')
library('a/liby.so')

t.test('LD_LIBRARY_PATH comes before RPATH and RUNPATH', async t => {
  for (const tags of ['--enable-new-dtags', '--disable-new-dtags']) {
    const file = program(`env${tags}`, ['a/libx.so', `-Wl,${tags}`, runpath(join(dir, 'a'))])
    t.equal(how(await judge(t, file, { libraryPath: join(dir, 'b') }), 'libx.so'), 'ld-library-path')
    t.equal(pathOf(await judge(t, file, { libraryPath: '/nowhere' }), 'libx.so'), join(dir, 'a/libx.so'))
  }
})

t.test('RPATH and RUNPATH are alike: both are inherited from who asked, and who asked for that', async t => {
  library('chain/libend.so')
  library('chain/libmid.so', ['chain/libend.so'])
  library('chain/libtop.so', ['chain/libmid.so'])
  for (const tags of ['--enable-new-dtags', '--disable-new-dtags']) {
    const graph = await judge(
      t,
      program(`inherits${tags}`, ['chain/libtop.so', `-Wl,${tags}`, runpath('$ORIGIN/chain')]),
    )
    t.equal(how(graph, 'libend.so'), tags === '--enable-new-dtags' ? 'runpath' : 'rpath')
  }
})

t.test('only $ORIGIN is known, even with letters after it; any other dollar sign voids the whole path', async t => {
  const known = ['$ORIGIN/a', '/nowhere:$ORIGIN/a', '$ORIGIN//a/', '$ORIGIN/b/../a']
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the loader's token, not ours
  known.push('${ORIGIN}/a', '$ORIGINS:$ORIGIN/a')
  for (const path of [...known, `${dir}/a:$LIB`, `${dir}/a:$PLATFORM/x`, `${dir}/a:$`, '$origin/a']) {
    const graph = await judge(t, program('tokens', ['a/libx.so', runpath(path)]))
    t.equal(how(graph, 'libx.so'), known.includes(path) ? 'runpath' : 'not-found', path)
  }
})

t.test('a path is split at colons and newlines, not at semicolons; empty elements are no directories', async t => {
  for (const [path, found] of [
    [`/nowhere\n${dir}/a`, true],
    [`/nowhere;${dir}/a`, false],
    [`::${dir}/a::`, true],
    [':', false],
  ] as const) {
    const file = program('separators', ['a/libx.so', runpath(path)])
    t.equal(how(await judge(t, file, { directory: join(dir, 'a') }), 'libx.so') === 'runpath', found, path)
    const bare = program('separators', ['a/libx.so'])
    const graph = await judge(t, bare, { libraryPath: path, directory: join(dir, 'a') })
    t.equal(how(graph, 'libx.so') === 'ld-library-path', found, path)
  }
})

t.test('the C library by any of its names is the loader', async t => {
  const names = [
    'libc.so',
    'libc.so.6',
    'libpthread.so.0',
    'librt.x',
    'libm.so.6',
    'libdl.',
    'libutil.so.1',
    'libxnet.so',
  ]
  for (const name of names) library(`fake/${name}`)
  const graph = await judge(t, program('itself', [...names.map(name => `fake/${name}`), runpath(join(dir, 'fake'))]))
  t.equal(graph.objects.length, 2)
  library('fake/libcc.so')
  library('fake/libmm.so.6')
  const others = await judge(t, program('others', ['fake/libcc.so', 'fake/libmm.so.6', runpath(join(dir, 'fake'))]))
  t.equal(others.objects.length, 4)
})

t.test("another C library, glibc's too, is never loaded: musl stands in for it", async t => {
  const glibc = realpathSync('/lib/x86_64-linux-gnu/libc.so.6')
  copyFileSync(glibc, join(dir, 'a/libother.so'))
  library('stand/libother.so')
  const graph = await judge(t, program('glibc', ['stand/libother.so', runpath(join(dir, 'a'))]))
  t.equal(pathOf(graph, 'libother.so'), LOADER)
  library('stand/libabsolute.so', [], glibc)
  t.equal(pathOf(await judge(t, program('absolute', ['stand/libabsolute.so'])), glibc), LOADER)
})

t.test("a library of the glibc host's loads, and gets musl for its C library", async t => {
  library('stand/libz.so.1')
  const file = program('host', ['stand/libz.so.1', 'stand/libother.so'])
  const graph = await judge(t, file, { libraryPath: '/usr/lib/x86_64-linux-gnu' })
  t.equal(pathOf(graph, 'libc.so.6'), LOADER)
})

t.test('one file is loaded once, whatever its names', async t => {
  symlinkSync('libx.so', join(dir, 'a/liblink.so'))
  linkSync(join(dir, 'a/libx.so'), join(dir, 'a/libhard.so'))
  for (const name of ['liblink.so', 'libhard.so']) library(`stand/${name}`)
  const needs = ['a/libx.so', 'stand/liblink.so', 'stand/libhard.so']
  t.equal((await judge(t, program('once', [...needs, runpath(join(dir, 'a'))]))).objects.length, 3)
})

t.test('it answers only to the first name that it was found by: by another it is searched for anew', async t => {
  // The program finds libx.so, and the same file as liblink.so; libasks.so finds another liblink.so.
  library('c/liblink.so')
  library('a/libasks.so', ['stand/liblink.so', runpath(join(dir, 'c'))])
  const needs = ['a/libx.so', 'stand/liblink.so', 'a/libasks.so']
  const graph = await judge(t, program('anew', [...needs, runpath(join(dir, 'a'))]))
  t.ok(graph.objects.some(({ path }) => path === join(dir, 'c/liblink.so')))
})

t.test('one that was loaded by its path answers, once a search found it too, to the name in that path', async t => {
  symlinkSync('../a/liby.so', join(dir, 'c/libseen.so'))
  const path = join(dir, 'a/liby.so')
  library('stand/libpath.so', [], path)
  library('stand/libseen.so')
  library('b/liby.so')
  // By the search alone, liby.so would be b's.
  const needs = ['stand/libpath.so', 'stand/libseen.so', 'b/liby.so']
  const graph = await judge(t, program('short', [...needs, runpath(`${dir}/c:${dir}/b`)]))
  t.equal(pathOf(graph, 'liby.so'), path)
  const before = await judge(t, program('long', ['stand/libpath.so', 'b/liby.so', runpath(`${dir}/c:${dir}/b`)]))
  t.equal(pathOf(before, 'liby.so'), join(dir, 'b/liby.so'))
})

t.test('sonames do not count', async t => {
  library('alias/libthree.so', [], 'libx.so')
  library('stand/libthree.so')
  const file = program('soname', ['stand/libthree.so', 'a/libx.so', runpath(`${dir}/alias:${dir}/a`)])
  t.equal((await judge(t, file)).objects.length, 4)
})

t.test('the first file that opens is taken: one that is no library ends the search', async t => {
  mkdirSync(join(dir, 'broken'))
  const file = program('breaks', ['a/libx.so', 'a/liby.so', runpath(`${dir}/broken:${dir}/a`)])
  const broken = join(dir, 'broken/libx.so')
  const judgeBroken = async (what: string) => {
    const graph = await judge(t, file)
    t.match(graph.problems, [{ kind: 'unusable', path: broken }], what)
    rmSync(broken, { recursive: true })
  }
  writeFileSync(broken, 'no ELF file')
  await judgeBroken('text')
  writeFileSync(broken, '')
  await judgeBroken('nothing')
  mkdirSync(broken)
  await judgeBroken('a directory')
  compile(dir, 'broken/libx.so', 'int f(void) { return 0; }', ['-c'])
  await judgeBroken('an object to be linked')
  compile(dir, 'broken/libx.so', 'void _start(void) {}', ['-static', '-nostdlib'])
  await judgeBroken('a static program')
  compile(dir, 'broken/libx.so', 'int f(void) { return 0; }', ['-m32', '-shared', '-fPIC', '-nostdlib'])
  await judgeBroken('of another class')
})

t.test('programs can be libraries', async t => {
  const file = program('uses-program', ['a/libx.so', runpath(`${dir}/programs:${dir}/a`)])
  compile(dir, 'programs/libx.so', 'void _start(void) {}', ['-pie', '-fPIE', '-nostdlib', '-Wl,--no-dynamic-linker'])
  t.equal(pathOf(await judge(t, file), 'libx.so'), join(dir, 'programs/libx.so'))
  const fixed = ['-no-pie', '-Wl,-Ttext-segment=0x10000000', ...link(['a/liby.so'])]
  compile(dir, 'programs/libx.so', 'void _start(void) {}', fixed)
  t.equal(pathOf(await judge(t, file), 'libx.so'), join(dir, 'programs/libx.so'))
})

t.test("another machine's library is loaded as well, and is told of as unusable", async t => {
  const bytes = readFileSync(join(dir, 'a/libx.so'))
  bytes.writeUInt16LE(183, 18)
  mkdirSync(join(dir, 'foreign'))
  writeFileSync(join(dir, 'foreign/libx.so'), bytes)
  const file = program('foreigner', ['a/libx.so', runpath(`${dir}/foreign:${dir}/a`)])
  const context = { cpuLevel: 0, libraryPath: [], preload: [] }
  const graph = resolveGraph(rootFileSystem('/'), file, context)
  t.same(await verifyGraphs('/', context, [graph]), [{ kind: 'same' }])
  t.equal(pathOf(graph, 'libx.so'), join(dir, 'foreign/libx.so'))
  t.match(graph.problems, [{ kind: 'unusable', path: join(dir, 'foreign/libx.so') }])
})

t.test('what cannot be opened is passed over, but a loop ends the whole search', async t => {
  mkdirSync(join(dir, 'dangling'))
  symlinkSync('/nowhere', join(dir, 'dangling/libx.so'))
  mkdirSync(join(dir, 'loop'))
  symlinkSync('libx.so', join(dir, 'loop/libx.so'))
  writeFileSync(join(dir, 'file'), '')
  for (const [directory, found] of [
    ['dangling', true],
    ['file', true],
    ['file/below', true],
    ['n'.repeat(256), true],
    ['loop', false],
    ['loop/libx.so', false],
  ] as const) {
    const graph = await judge(t, program('passes', ['a/libx.so', runpath(`${dir}/${directory}:${dir}/a`)]))
    t.equal(how(graph, 'libx.so'), found ? 'runpath' : 'not-found', directory)
    const first = await judge(t, program('passes', ['a/libx.so', runpath(`${dir}/a`)]), {
      libraryPath: join(dir, directory),
    })
    t.equal(how(first, 'libx.so'), found ? 'runpath' : 'not-found', directory)
  }
})

t.test('a directory that may not be searched is passed over', async t => {
  library('closed/libx.so')
  chmodSync(join(dir, 'closed'), 0)
  const file = program('closed-first', ['a/libx.so', runpath(`${dir}/closed:${dir}/a`)])
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(65534)
  try {
    t.equal(pathOf(await judge(t, file), 'libx.so'), join(dir, 'a/libx.so'))
  } finally {
    if (root) process.seteuid?.(0)
    chmodSync(join(dir, 'closed'), 0o755)
  }
})

t.test(
  'a directory whose path does not fit into 512 bytes with the name is passed over, though it is there',
  async t => {
    for (const length of [511, 512]) {
      const start = `${dir}/`
      const rest = length - Buffer.byteLength(`${start}/libx.so`)
      const name = `${'d'.repeat(200)}/${'e'.repeat(200)}/${'f'.repeat(rest - 402)}`
      library(`${name}/libx.so`)
      const graph = await judge(t, program('long-path', ['a/libx.so', runpath(`${start}${name}:${dir}/a`)]))
      t.equal(pathOf(graph, 'libx.so')?.startsWith(start + name), length === 511, String(length))
    }
  },
)

t.test('names that are never looked for: an empty one, and one of more than 255 bytes', async t => {
  const long = 'l'.repeat(256)
  library('stand/libempty.so', [], 'to-be-empty')
  library('stand/liblong.so', [], long)
  const file = program('odd', ['stand/libempty.so', 'stand/liblong.so', runpath(dir)])
  // The linker refuses an empty soname.
  const bytes = readFileSync(file)
  bytes[bytes.indexOf('\0to-be-empty\0') + 1] = 0
  writeFileSync(file, bytes)
  t.same(
    (await judge(t, file)).problems.map(problem => 'name' in problem && problem.name),
    ['', long],
  )
})

t.test('a name with a slash is a path', async t => {
  const absolute = join(dir, 'a/libx.so')
  library('stand/libabsolute.so', [], absolute)
  library('stand/librelative.so', [], 'b/libx.so')
  library('stand/libnowhere.so', [], './nowhere/libx.so')
  const needs = ['stand/libabsolute.so', 'stand/librelative.so', 'stand/libnowhere.so']
  const graph = await judge(t, program('slashes', needs), { libraryPath: join(dir, 'a') })
  t.same(
    graph.objects.slice(1, 3).map(({ path }) => path),
    [absolute, join(dir, 'b/libx.so')],
  )
})

t.test('relative directories are the working directory’s', async t => {
  const file = program('relative', ['a/libx.so', runpath('b')])
  t.equal(pathOf(await judge(t, file), 'libx.so'), join(dir, 'b/libx.so'))
  t.equal(pathOf(await judge(t, file, { libraryPath: 'a' }), 'libx.so'), join(dir, 'a/libx.so'))
})

t.test('preloads come first, for nobody: no RPATH but their own counts for them', async t => {
  library('preloads/libdeep.so')
  library('preloads/libpre.so', ['preloads/libdeep.so'])
  library('preloads/libown.so', ['preloads/libdeep.so', runpath(join(dir, 'preloads'))])
  const file = program('preloaded', ['a/libx.so', runpath(`${dir}/a:${dir}/preloads`)])
  const path = join(dir, 'preloads/libown.so')
  t.same(
    (await judge(t, file, { preload: [path] })).objects.slice(1, 4).map(object => object.path),
    [path, join(dir, 'a/libx.so'), join(dir, 'preloads/libdeep.so')],
  )
  t.equal((await judge(t, file, { preload: ['libpre.so'] })).objects.length, 3, 'not by the RPATH of the program')
  t.equal(how(await judge(t, file, { preload: [join(dir, 'preloads/libpre.so')] }), 'libdeep.so'), 'not-found')
  await judge(t, file, { preload: ['libpre.so', '/nowhere/lib.so'], libraryPath: join(dir, 'preloads') })
})

t.test('filters and auditors are glibc’s', async t => {
  library('a/libfiltered.so', ['-Wl,-f,libx.so', '-Wl,-F,libgone.so'])
  const graph = await judge(t, program('filter', ['a/libfiltered.so', runpath(join(dir, 'a'))]))
  t.equal(graph.objects.length, 3)
  const audited = program('audited', ['a/libx.so', runpath(join(dir, 'a')), '-Wl,--audit=/nowhere/audit.so'])
  t.same((await judge(t, audited)).problems, [])
})

t.test('a program that a library needs is loaded again', async t => {
  library('stand/circle', [])
  library('a/libround.so', ['stand/circle'])
  const file = program('circle', ['a/libround.so', runpath(`${dir}/a:${dir}`)])
  t.same(
    (await judge(t, file)).objects.map(({ path }) => path),
    [file, join(dir, 'a/libround.so'), file, LOADER],
  )
})

t.test('all that is missing is told, by whoever needs it', async t => {
  library('lost/libone.so')
  library('lost/libtwo.so')
  library('a/libneeds.so', ['lost/libtwo.so', 'lost/libone.so'])
  const graph = await judge(
    t,
    program('missing', ['lost/libone.so', 'a/libneeds.so', 'a/libx.so', runpath(join(dir, 'a'))]),
  )
  t.same(
    graph.problems.map(problem => 'name' in problem && problem.name),
    ['libone.so', 'libtwo.so', 'libone.so'],
  )
})

t.test('versions are not looked at when libraries are loaded', async t => {
  const script = join(dir, 'versions')
  writeFileSync(script, 'V_1 { global: f; };')
  library('old/libv.so')
  library('new/libv.so', [`-Wl,--version-script=${script}`])
  const start = ['-pie', '-fPIE', `-Wl,--dynamic-linker=${LOADER}`, ...link(['new/libv.so', runpath(join(dir, 'old'))])]
  const file = compile(dir, 'versioned', 'int f(void); void _start(void) { f(); }', start)
  t.match((await judge(t, file)).objects[0]?.facts.verneeds, [{ file: 'libv.so', version: 'V_1' }])
})

t.test('musl itself, and a library, asked about as a program', async t => {
  t.same((await judge(t, realpathSync(LOADER))).edges.length, 1)
  t.equal((await judge(t, library('a/libasked.so', ['a/libx.so', runpath('$ORIGIN')]))).objects.length, 3)
})

t.test('the loader is the one that PT_INTERP names, and has its directories from two above', async t => {
  mkdirSync(join(dir, 'prefix/etc'), { recursive: true })
  mkdirSync(join(dir, 'prefix/lib'))
  const interpreter = join(dir, 'prefix/lib/ld-musl.so')
  symlinkSync(LOADER, interpreter)
  writeFileSync(join(dir, 'prefix/etc/ld-musl-x86_64.path'), join(dir, 'b'))
  library('stand/ld-musl.so', [], interpreter)
  const graph = await judge(t, program('elsewhere', ['a/libx.so', 'stand/ld-musl.so'], interpreter))
  t.equal(how(graph, 'libx.so'), 'system-directory')
  t.match(graph.loader, { path: interpreter, realPath: realpathSync(LOADER), version: [1, 2], machine: 62 })
})

t.test('the system directories', async t => {
  const root = join(dir, 'root')
  const list = join(root, 'etc/ld-musl-x86_64.path')
  mkdirSync(join(root, 'lib'), { recursive: true })
  copyFileSync(realpathSync(LOADER), join(root, LOADER))
  for (const directory of ['usr/lib', 'usr/local/lib', 'lib', 'one', 'two']) library(`root/${directory}/libx.so`)
  // $ORIGIN of a file in the root directory is empty.
  library('root/libtop.so', ['a/libx.so', runpath('$ORIGIN:$ORIGIN/two')], '/libtop.so')
  program('root/program', ['a/libx.so'])
  program('root/top', ['root/libtop.so'])
  const found = async (file = '/program') => pathOf(await judge(t, file, { root }), 'libx.so')

  t.equal(await found(), '/lib/libx.so', 'without a list')
  rmSync(join(root, 'lib/libx.so'))
  t.equal(await found(), '/usr/local/lib/libx.so')
  rmSync(join(root, 'usr/local/lib/libx.so'))
  t.equal(await found(), '/usr/lib/libx.so')

  writeFileSync(join(root, 'etc'), '')
  t.equal(await found(), undefined, 'the list cannot be opened, which is not the same as that there is none')
  rmSync(join(root, 'etc'))
  mkdirSync(join(root, 'etc'))
  for (const [text, path] of [
    ['/nowhere:/one/\n/two\n', '/one//libx.so'],
    ['\n\n/two\n:/one', '/two/libx.so'],
    ['/two \n/one', '/one/libx.so'],
    ['two', '/two/libx.so'],
    ['/nowhere\0:/one', undefined],
    ['', undefined],
  ] as const) {
    writeFileSync(list, text)
    t.equal(await found(), path, JSON.stringify(text))
  }
  t.equal(await found('/top'), '/two/libx.so')
  rmSync(list)
  mkdirSync(list)
  t.equal(await found(), undefined, 'a directory in its place')
  rmSync(list, { recursive: true })
  symlinkSync('ld-musl-x86_64.path', list)
  t.equal(await found(), undefined, 'a link to itself in its place')
  rmSync(list)
  symlinkSync('/nowhere', list)
  t.equal(await found(), '/usr/lib/libx.so', 'a link to nothing is nothing')
})
