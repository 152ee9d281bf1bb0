import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { searchSubdirectories } from '../../../lib/loader/cpu.js'
import { readLoader } from '../../../lib/loader/loader.js'
import { resolveGraph } from '../../../lib/loader/resolve.js'
import { rootFileSystem } from '../../../lib/loader/root-file-system.js'
import { compare, EVERY_VERSION, type Judge, judge } from '../../support/judge.js'
import { LoaderFixtures, type Machine, rpath } from '../../support/loader-fixtures.js'
import { HOST_LOADER, parseTrace } from '../../support/oracle.js'

/*
 * What depends on the CPU: the sub-directories of each search directory, $PLATFORM, and libraries for other machines. The real
 * loaders are asked on CPUs that this machine has not, by way of QEMU's.
 */
const fixtures = new LoaderFixtures()
const { dir } = fixtures

interface Cpu {
  readonly model: string
  readonly cpuLevel: number
  readonly intel: boolean
}

/** QEMU 7.2 knows no CPU of level 4. */
const CPUS: readonly Cpu[] = [
  { model: 'qemu64', cpuLevel: 1, intel: false },
  { model: 'Nehalem', cpuLevel: 2, intel: true },
  { model: 'Haswell', cpuLevel: 3, intel: true },
  { model: 'EPYC', cpuLevel: 3, intel: false },
]

/** What a loader says on such a CPU. */
function ask({ model }: Cpu, loader: string, file: string, env: readonly string[] = []) {
  const variables = ['LD_TRACE_LOADED_OBJECTS=1', ...env].flatMap(text => ['-E', text])
  const run = spawnSync('qemu-x86_64', ['-cpu', model, ...variables, loader, file], { encoding: 'utf8' })
  return { libraries: parseTrace(run.stdout), status: run.status ?? -1, stderr: run.stderr }
}

fixtures.named('base/libhw.so')
const program = fixtures.program('program', ['base/libhw.so'], [rpath(join(dir, 'hw'))])
copyTo('')

function copyTo(sub: string): void {
  const path = join(dir, 'hw', sub, 'libhw.so')
  mkdirSync(dirname(path), { recursive: true })
  copyFileSync(join(dir, 'base/libhw.so'), path)
}

function judgeOn(tap: Parameters<typeof judge>[0], cpu: Cpu, by: Judge, file: string): string | undefined {
  const graph = resolveGraph(by.fs(), file, { ...cpu, libraryPath: [], preload: [] })
  const answer = ask(cpu, by.loader, file)
  const libraries = answer.libraries.map(({ name, path }) => ({ name, path: path === by.loader ? HOST_LOADER : path }))
  compare(tap, `${by.what} on ${cpu.model}`, graph, { ...answer, libraries }, '/')
  return graph.objects[1]?.path.slice(dir.length + 1)
}

t.test('case 29, rule 9: the sub-directories of a search directory, by loader and CPU', async t => {
  mkdirSync(join(dir, 'empty'))
  const empty = fixtures.program('in-empty', ['base/libhw.so'], [rpath(join(dir, 'empty'))])
  for (const { what, loader, fs } of EVERY_VERSION) {
    for (const cpu of CPUS) {
      // The loader tells the directories that it is about to try, some of them twice.
      const { stderr } = ask(cpu, loader, empty, ['LD_DEBUG=libs'])
      const list = /search path=(\S+)\t\t\(RUNPATH/.exec(stderr)?.[1]?.split(':') ?? []
      const theirs = list.map(path => path.slice(join(dir, 'empty').length + 1))
      const ours = searchSubdirectories(readLoader(fs(), HOST_LOADER), { ...cpu, libraryPath: [], preload: [] })
      t.same(ours, [...new Set(theirs)], `${what} on ${cpu.model}`)
    }
  }
})

t.test('case 29, rule 9: a twin in the best sub-directory that the CPU can use is taken', async t => {
  const [oldest, , , cpu] = CPUS as [Cpu, Cpu, Cpu, Cpu]
  const [old, here, young] = EVERY_VERSION as [Judge, Judge, Judge]
  for (const level of [4, 2, 3]) {
    copyTo(`glibc-hwcaps/x86-64-v${level}`)
    judgeOn(t, cpu, here, program)
  }
  const twin = (level: number) => `hw/glibc-hwcaps/x86-64-v${level}/libhw.so`
  t.equal(judgeOn(t, oldest, here, program), 'hw/libhw.so')
  t.equal(judgeOn(t, CPUS[1] as Cpu, here, program), twin(2))
  t.equal(judgeOn(t, cpu, young, program), twin(3))
  t.equal(judgeOn(t, cpu, old, program), 'hw/libhw.so', 'no such directories before 2.33')
  judge(t, program)
  rmSync(join(dir, 'hw/glibc-hwcaps'), { recursive: true })
})

t.test('rule 9: the old sub-directories until 2.36, by $PLATFORM too', async t => {
  const [old, here, young] = EVERY_VERSION as [Judge, Judge, Judge]
  const [, , intel, amd] = CPUS as [Cpu, Cpu, Cpu, Cpu]
  for (const sub of ['x86_64', 'haswell', 'tls', 'haswell/x86_64', 'tls/x86_64', 'tls/haswell/x86_64']) {
    copyTo(sub)
    judgeOn(t, intel, here, program)
  }
  t.equal(judgeOn(t, intel, here, program), 'hw/tls/haswell/x86_64/libhw.so')
  t.equal(judgeOn(t, amd, here, program), 'hw/tls/x86_64/libhw.so')
  t.equal(judgeOn(t, intel, old, program), 'hw/tls/haswell/x86_64/libhw.so')
  t.equal(judgeOn(t, intel, young, program), 'hw/libhw.so')
  const named = fixtures.program('by-platform', ['base/libhw.so'], [rpath(`${dir}/hw/$PLATFORM`)])
  for (const by of EVERY_VERSION)
    t.equal(judgeOn(t, intel, by, named), `hw/haswell/${by === young ? '' : 'x86_64/'}libhw.so`)
})

/** How a program of another machine is run here; null where neither the kernel nor QEMU can. */
function runner(machine: Machine, file: string): readonly string[] | null {
  // Without support for it, exec fails and the C library has a shell try it.
  if (spawnSync(file).status === 0) return []
  return machine === 'i386' ? ['qemu-i386'] : null
}

for (const [machine, loader] of [
  ['i386', '/lib/ld-linux.so.2'],
  ['x32', '/libx32/ld-linux-x32.so.2'],
] as const) {
  t.test(`case 28: ${machine} beside x86-64, by its own loader`, async t => {
    const own = `${machine}/own`
    fixtures.named(`${own}/libtwin.so`, [], [], machine)
    fixtures.named(`${machine}/wide/libtwin.so`)
    const search = rpath(`${dir}/${machine}/wide:${dir}/${own}`)
    const file = fixtures.program(`${machine}/program`, [`${own}/libtwin.so`], [search], machine)
    const context = { cpuLevel: 1, libraryPath: [], preload: [] }
    const graph = resolveGraph(rootFileSystem('/'), file, context)
    t.equal(graph.objects[1]?.path, join(dir, own, 'libtwin.so'))
    t.equal(graph.loader?.path, loader)
    const command = runner(machine, file)
    if (command === null) {
      t.pass(machine, { skip: `the kernel runs no ${machine} programs` })
      return
    }
    const judgeFile = (file: string) => {
      const [runs = loader, ...args] = [...command, loader, '--list', file]
      const stdout = execFileSync(runs, args, { encoding: 'utf8' })
      const answer = { libraries: parseTrace(stdout), status: 0, stderr: '' }
      compare(t, machine, resolveGraph(rootFileSystem('/'), file, context), answer, '/')
    }
    judgeFile(file)
    for (const sub of ['sse2', 'i686', 'i686/sse2', 'tls', 'tls/i686', 'x86_64', 'glibc-hwcaps/x86-64-v2']) {
      fixtures.named(`${own}/${sub}/libtwin.so`, [], [], machine)
      judgeFile(file)
    }
    // The C library of that machine, by that machine's cache entries and directories.
    judgeFile(
      fixtures.program(`${machine}/with-libc`, [`/usr/lib${machine === 'x32' ? 'x32' : '32'}/libc.so.6`], [], machine),
    )
  })
}
