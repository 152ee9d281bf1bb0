import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { searchContext } from '../../lib/launch/machine.js'
import { verifyGraphs } from '../../lib/launch/real-loader.js'
import { resolveGraph } from '../../lib/loader/resolve.js'
import { rootFileSystem } from '../../lib/loader/root-file-system.js'
import type { SearchContext } from '../../lib/loader/types.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'

const dir = temporaryDirectory()
const LOADER = '/lib64/ld-linux-x86-64.so.2'
const context: SearchContext = { cpuLevel: addon().cpuLevel(), libraryPath: [], preload: [] }
const link = (flags: readonly string[]) => ['-nostdlib', '-Wl,--no-as-needed,--allow-shlib-undefined', ...flags]
const library = (path: string, flags: readonly string[] = []) =>
  compile(dir, path, 'int f(void) { return 0; }', ['-shared', '-fPIC', ...link(flags), '-Wl,-soname,libx.so'])
const program = (path: string, flags: readonly string[] = []) =>
  compile(dir, path, 'void _start(void) {}', ['-pie', '-fPIE', ...link(['a/libx.so', ...flags])])

library('a/libx.so')
library('b/libx.so')
/** Leaves a mark when it is loaded for good, or started. */
const mark = join(dir, 'mark')
const leaveMark = `#include <fcntl.h>
  __attribute__((constructor)) static void leave(void) { creat("${mark}", 0600); }
  unsigned la_version(unsigned version) { return version; }`

async function verify(file: string, setting: Partial<SearchContext> = {}, root = '/') {
  const asked = { ...context, ...setting }
  const [verdict] = await verifyGraphs(root, asked, [resolveGraph(rootFileSystem(root), file, asked)])
  return verdict
}

t.test('the same, in the order of the graphs', async t => {
  const files = ['/usr/bin/ls', program('missing'), '/usr/bin/env', '/lib/x86_64-linux-gnu/libc.so.6']
  const graphs = files.map(file => resolveGraph(rootFileSystem('/'), file, context))
  t.same(
    await verifyGraphs('/', context, graphs),
    files.map(() => ({ kind: 'same' })),
  )
  const [first, ...others] = graphs as [(typeof graphs)[0]]
  const wrong = { ...first, edges: first.edges.slice(1), objects: first.objects.slice(0, 2) }
  const [verdict, ...rest] = await verifyGraphs('/', context, [wrong, ...others])
  t.equal(verdict?.kind, 'different')
  t.same(
    rest,
    others.map(() => ({ kind: 'same' })),
  )
})

t.test('the loader gets the environment of the graphs, and nothing of this process', async t => {
  const file = program('environment', [`-Wl,-rpath,${dir}/a`])
  const variables = { LD_LIBRARY_PATH: join(dir, 'b'), LD_PRELOAD: join(dir, 'b/libx.so'), LD_VERBOSE: '1' }
  Object.assign(process.env, variables)
  t.teardown(() => {
    for (const name of Object.keys(variables)) delete process.env[name]
  })
  t.same(await verify(file), { kind: 'same' })
  t.same(await verify(file, { libraryPath: [join(dir, 'b')] }), { kind: 'same' })
  t.same(await verify(file, { preload: [join(dir, 'b/libx.so'), 'libnowhere.so'] }), { kind: 'same' })
  t.same(await verify(file, { libraryPath: ['b'], workingDirectory: dir }), { kind: 'same' })
  // A variable that is but a separator is set, and means the working directory; one that is empty is not.
  for (const LD_LIBRARY_PATH of [':', ';', ';;', '::', '']) {
    const { libraryPath } = searchContext({ LD_LIBRARY_PATH })
    const context = { libraryPath, workingDirectory: join(dir, 'b') }
    t.same(await verify(file, context), { kind: 'same' }, LD_LIBRARY_PATH)
  }
  t.same(await verify(file, { libraryPath: ['', '/nowhere'], workingDirectory: join(dir, 'b') }), { kind: 'same' })
})

t.test('another root is asked by its own loader, from inside', async t => {
  const root = temporaryDirectory()
  mkdirSync(join(root, 'lib64'))
  mkdirSync(join(root, 'opt'))
  copyFileSync(LOADER, join(root, LOADER))
  for (const directory of ['a', 'b'])
    copyFileSync(join(dir, directory, 'libx.so'), join(root, 'opt', `${directory}.so`))
  symlinkSync('/opt/b.so', join(root, 'opt/libx.so'))
  copyFileSync(program('inside', ['-Wl,-rpath,/opt']), join(root, 'program'))
  t.same(await verify('/program', { workingDirectory: dir }, root), { kind: 'same' })
  t.same(await verify('/program', { libraryPath: ['opt'], workingDirectory: '/' }, root), { kind: 'same' })

  // Nothing but the loader's entry is out of order.
  const bytes = readFileSync(LOADER)
  bytes.writeBigUInt64LE(0n, 24)
  writeFileSync(join(root, LOADER), bytes)
  t.match(await verify('/program', {}, root), { reason: 'unanswered', because: 'the loader was ended by signal 11' })
  chmodSync(join(root, LOADER), 0o644)
  t.match(await verify('/program', {}, root), { reason: 'refused', because: /Permission denied/ })
  rmSync(join(root, LOADER))
  t.match(await verify('/program', {}, root), { reason: 'no-loader', because: `its loader ${LOADER} is not there` })
})

t.test('a loader that a file brings along is not run', async t => {
  const loader = join(dir, 'loader')
  copyFileSync(LOADER, loader)
  t.match(await verify(program('brings', [`-Wl,--dynamic-linker=${loader}`])), { reason: 'unusual-loader' })
})

t.test('auditors would run: nothing is asked', async t => {
  const auditor = compile(dir, 'auditor.so', leaveMark, ['-shared', '-fPIC'])
  for (const flag of ['--audit', '--depaudit']) {
    const file = program('audited', [`-Wl,${flag}=${auditor}`])
    await addon().capture('', '/', LOADER, [LOADER, file], ['LD_TRACE_LOADED_OBJECTS=1'], 10_000)
    t.ok(existsSync(mark), 'the loader runs them even when it only traces')
    rmSync(mark)
    t.match(await verify(file), { reason: 'auditors' })
    t.notOk(existsSync(mark))
  }
})

t.test('neither the program nor its libraries run', async t => {
  const marking = compile(dir, 'marks/libx.so', leaveMark, ['-shared', '-fPIC', '-Wl,-soname,libx.so'])
  const file = compile(dir, 'marks/program', `${leaveMark} int main(void) {}`, [
    ...['-Wl,--no-as-needed', marking, `-Wl,-rpath,${dirname(marking)}`],
  ])
  t.same(await verify(file), { kind: 'same' })
  t.notOk(existsSync(mark))
})

t.test('what there is no loader to ask about', async t => {
  const fixed = compile(dir, 'static', 'void _start(void) {}', ['-static', '-nostdlib'])
  t.match(await verify(fixed), { kind: 'unasked', reason: 'static' })
  const level = context.cpuLevel === 1 ? 2 : 1
  t.match(await verify('/usr/bin/ls', { cpuLevel: level }), { reason: 'other-cpu' })
  const bytes = readFileSync(join(dir, 'a/libx.so'))
  bytes.writeUInt16LE(2, 18)
  writeFileSync(join(dir, 'sparc.so'), bytes)
  t.match(await verify(join(dir, 'sparc.so')), { reason: 'no-loader', because: 'there is no loader for its machine' })
})
