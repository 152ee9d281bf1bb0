import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import { parseTrace, type Trace } from '../../lib/loader/trace.js'
import type { Graph } from '../../lib/loader/types.js'
import { compareAnswers, differenceInWords } from '../../lib/loader/verify.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

/** Each way in which the two can differ: what the real loader printed is compared with its graph, and with one made wrong. */
const dir = temporaryDirectory()
const here = (name: string) => join(dir, 'here', name)
const LOADER = '/lib64/ld-linux-x86-64.so.2'
const link = (flags: readonly string[]) => ['-nostdlib', '-Wl,--no-as-needed,--allow-shlib-undefined', ...flags]

function library(path: string, flags: readonly string[] = [], source = 'int f(void) { return 0; }'): string {
  return compile(dir, path, source, ['-shared', '-fPIC', ...link(flags), `-Wl,-soname,${path.split('/').at(-1)}`])
}

function program(name: string, needs: readonly string[], calls = ''): string {
  const flags = ['-pie', '-fPIE', ...link(needs), `-Wl,-rpath,${dir}/here`]
  return compile(dir, name, `int v(void); void _start(void) { ${calls} }`, flags)
}

function versioned(path: string, versions: readonly string[]): string {
  writeFileSync(join(dir, 'versions'), versions.join('\n'))
  return library(path, [`-Wl,--version-script=${dir}/versions`], 'int v(void) { return 0; }')
}

for (const path of ['here/libone.so', 'here/libtwo.so', 'stand/libgone.so']) library(path)
versioned('stand/libv.so', ['V_1 { };', 'V_2 { global: v; };'])
versioned('here/libv.so', ['V_1 { global: v; };'])
const needs = ['here/libone.so', 'here/libtwo.so', 'stand/libgone.so', 'stand/libv.so']
const whole = program('whole', needs, 'v();')
const refused = program('refused', ['here/libone.so', 'stand/libgone.so'])

async function trace(file: string, directory: string, environment: readonly string[]): Promise<Trace> {
  const variables = ['LD_TRACE_LOADED_OBJECTS=1', ...environment]
  const { status, stdout, stderr } = await addon().capture('', directory, LOADER, [LOADER, file], variables, 10_000)
  return { kind: 'glibc', file, directory, status: status as number, stdout: String(stdout), stderr: String(stderr) }
}

const resolve = (file: string, libraryPath: readonly string[] = []) =>
  resolveGraph(rootFileSystem('/'), file, {
    cpuLevel: addon().cpuLevel(),
    libraryPath,
    preload: [],
    workingDirectory: dir,
  })

t.test('what the loader says of libraries, of what is missing and of versions', async t => {
  const graph = resolve(whole)
  const answer = parseTrace(await trace(whole, dir, []))
  t.same(answer, {
    libraries: ['libone.so', 'libtwo.so', 'libv.so'].map(name => ({ name, path: here(name) })),
    missing: ['libgone.so'],
    missingVersions: [{ path: here('libv.so'), version: 'V_2', by: whole }],
    refused: null,
  })
  t.same(compareAnswers(graph, answer), [])

  const words = (wrong: Partial<Graph>) => compareAnswers({ ...graph, ...wrong }, answer).map(differenceInWords)
  const [start, one, two, ...rest] = graph.objects as [never, (typeof graph.objects)[0], never]
  t.same(words({ objects: [start, { ...one, path: '/other' }, two, ...rest] }), [
    'only appc loads libone.so => /other',
    `only the loader loads libone.so => ${here('libone.so')}`,
  ])
  const swapped = graph.edges.map(edge => ({ ...edge, to: edge.to === 1 ? 2 : edge.to === 2 ? 1 : edge.to }))
  t.same(words({ objects: [start, two, one, ...rest], edges: swapped }), [
    `where appc has libtwo.so => ${here('libtwo.so')}, the loader has libone.so => ${here('libone.so')}`,
  ])
  t.same(words({ edges: graph.edges.filter(({ to }) => to !== -1) }), ['only the loader misses libgone.so'])
  const lost = graph.edges.map(edge => (edge.name === 'libtwo.so' ? { ...edge, to: -1 } : edge))
  t.same(words({ edges: lost }), [
    `only the loader loads libtwo.so => ${here('libtwo.so')}`,
    'only appc misses libtwo.so',
  ])
  t.same(words({ problems: [] }), [`only the loader misses version V_2 of ${here('libv.so')}, needed by ${whole}`])
  const problem = { kind: 'missing-version', file: 'libone.so', version: 'X', by: whole } as const
  t.same(words({ problems: [...graph.problems, problem] }), [
    `only appc misses version X of ${here('libone.so')}, needed by ${whole}`,
  ])
  const unusable = { kind: 'unusable', path: '/x', by: whole, because: '' } as const
  t.same(words({ problems: [unusable] }), ['appc refuses: /x; the loader refuses nothing'])
})

t.test('where the loader gives up, it tells of that alone', async t => {
  writeFileSync(join(dir, 'libgone.so'), 'no ELF file')
  const graph = resolve(refused, [''])
  const answer = parseTrace(await trace(refused, dir, ['LD_LIBRARY_PATH=:']))
  t.same(answer, { libraries: [], missing: [], missingVersions: [], refused: join(dir, 'libgone.so') })
  t.same(compareAnswers(resolve(refused, [dir]), answer), [])
  t.same(compareAnswers({ ...graph, problems: [] }, answer).map(differenceInWords), [
    `appc refuses nothing; the loader refuses: ${join(dir, 'libgone.so')}`,
  ])
})

t.test('a loader that breaks off otherwise refuses with its own words', async t => {
  const broken = {
    kind: 'glibc',
    file: '/f',
    directory: '/',
    status: 127,
    stdout: '',
    stderr: 'Inconsistency detected\n',
  } as const
  t.equal(parseTrace(broken).refused, 'Inconsistency detected')
  t.equal(compareAnswers(resolve(whole), parseTrace(broken)).length, 1)
})

t.test('a loader that nobody needs may be told of or not', async t => {
  const graph = resolve(whole)
  const answer = parseTrace(await trace(whole, dir, []))
  const loader = { name: LOADER, path: LOADER }
  t.same(compareAnswers(graph, { ...answer, libraries: [...answer.libraries, loader] }), [])
  t.equal(compareAnswers(graph, { ...answer, libraries: [loader, ...answer.libraries] }).length, 1)
  t.equal(compareAnswers(graph, { ...answer, libraries: [...answer.libraries, loader, loader] }).length, 1)
})
