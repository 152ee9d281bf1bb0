import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Graph } from '../../../lib/loader/types.js'
import { program as buildProgram, library } from '../../../lib/testing/index.js'
import { compile } from '../../support/fixtures.js'
import { EVERY_VERSION, HERE, judge, NEW, OLD } from '../../support/judge.js'
import { LoaderFixtures } from '../../support/loader-fixtures.js'
import { askLoader, HOST_LOADER, missingVersions } from '../../support/oracle.js'
import { roots } from '../../support/roots.js'

/** Which versions are asked of which library, and what happens where it has them not: `judge` compares those that are missing. */
const fixtures = new LoaderFixtures()
const { dir } = fixtures

const missing = (graph: Graph) =>
  graph.problems.flatMap(problem => (problem.kind === 'missing-version' ? [`${problem.file} ${problem.version}`] : []))

/** A library with a function f_V of each version. */
function versioned(place: string, versions: readonly string[], name = 'libv.so'): string {
  const source = versions.map(version => `int f_${version}(void) { return 0; }`).join('\n')
  return fixtures.compiled(
    `${place}/${name}`,
    source,
    versions.map(version => `${version} { global: f_${version}; };`).join('\n'),
  )
}

/** How runs end, every version's loader in agreement. */
function runs(tap: Test, program: string, place: string, status: number, words = /(?:)/): void {
  for (const { loader, what } of EVERY_VERSION) {
    const run = spawnSync(loader, [program], { env: { LD_LIBRARY_PATH: join(dir, place) }, encoding: 'utf8' })
    tap.equal(run.status, status, `${what}: ${run.stderr}`)
    tap.match(run.stderr, words)
  }
}

versioned('both', ['V1', 'V2'])
versioned('one', ['V1'])
const asksBoth = 'int f_V1(void); int f_V2(void); int main(void) { return f_V1() + f_V2(); }'
const program = fixtures.executable('program', asksBoth, ['both/libv.so'])

t.test(
  'case 1, rule 15, trace 2: a missing version ends a run; a trace tells of it on stderr and exits with 0',
  async t => {
    t.same(missing(judge(t, program, { libraryPath: join(dir, 'both') })), [])
    runs(t, program, 'both', 0)
    t.same(missing(judge(t, program, { libraryPath: join(dir, 'one') })), ['libv.so V2'])
    runs(t, program, 'one', 1, /version `V2' not found/)
    for (const { loader } of EVERY_VERSION) {
      const traced = askLoader(program, { loader, env: { LD_LIBRARY_PATH: join(dir, 'one') } })
      t.equal(traced.status, 0)
      t.same(missingVersions(traced.stderr), [`${join(dir, 'one/libv.so')} V2`])
      t.equal(missingVersions(traced.libraries.map(({ name }) => name).join('\n')).length, 0)
    }
  },
)

t.test('case 3: the same soname with other versions altogether', async t => {
  versioned('openssl3/v', ['CURL_OPENSSL_3'], 'libcurlish.so')
  versioned('openssl4/v', ['CURL_OPENSSL_4'], 'libcurlish.so')
  const source = 'int f_CURL_OPENSSL_3(void); int main(void) { return f_CURL_OPENSSL_3(); }'
  const asks = fixtures.executable('asks-3', source, ['openssl3/v/libcurlish.so'])
  t.same(missing(judge(t, asks, { libraryPath: join(dir, 'openssl3/v') })), [])
  t.same(missing(judge(t, asks, { libraryPath: join(dir, 'openssl4/v') })), ['libcurlish.so CURL_OPENSSL_3'])
  runs(t, asks, 'openssl4/v', 1, /CURL_OPENSSL_3/)
})

t.test('case 4, rule 15: a library without any versions is only warned about', async t => {
  fixtures.compiled('none/libv.so', 'int f_V1(void) { return 0; } int f_V2(void) { return 0; }')
  t.same(missing(judge(t, program, { libraryPath: join(dir, 'none') })), [])
  for (const { loader } of EVERY_VERSION) {
    const { stderr } = askLoader(program, { loader, env: { LD_LIBRARY_PATH: join(dir, 'none') } })
    t.match(stderr, 'no version information available')
  }
})

t.test('case 7, rule 15: a version that is needed weakly is only warned about', async t => {
  const source =
    '__attribute__((weak)) int f_V2(void); int f_V1(void); int main(void) { return f_V2 ? f_V2() : f_V1(); }'
  const weak = fixtures.executable('weak', source, ['both/libv.so'], ['-Wl,-z,now'])
  // No linker here marks it so by itself: VER_FLG_WEAK in vna_flags, after the hash of `V2`.
  const bytes = readFileSync(weak)
  const entry = bytes.indexOf(Buffer.from('920500000000', 'hex'))
  t.ok(entry > 0 && bytes.indexOf(Buffer.from('920500000000', 'hex'), entry + 1) === -1)
  bytes.writeUInt16LE(2, entry + 4)
  writeFileSync(weak, bytes)
  const graph = judge(t, weak, { libraryPath: join(dir, 'one') })
  t.same(missing(graph), [])
  t.match(
    graph.objects[0]?.facts.verneeds.find(({ version }) => version === 'V2'),
    { weak: true },
  )
  runs(t, weak, 'one', 0, /weak version `V2' not found/)
})

t.test('rule 15: the file of a version is looked up by name among what is loaded', async t => {
  // Under another name, and with the soname that the program asks for: found by the soname.
  versioned('renamed', ['V1'])
  const preload = join(dir, 'renamed/libv.so')
  t.same(missing(judge(t, program, { libraryPath: join(dir, 'both'), preload })), ['libv.so V2'])
  // One that is not there is told of once, as missing.
  const graph = judge(t, program)
  t.same(missing(graph), [])
  t.match(graph.problems, [{ kind: 'missing-library', name: 'libv.so' }])
})

t.test('rule 15: the version that is the soname itself, and versions in a chain', async t => {
  const source = 'int f_V1(void) { return 0; } int f_V2(void) { return 0; }'
  fixtures.compiled('chain/libv.so', source, 'V1 { global: f_V1; }; V2 { global: f_V2; } V1;')
  t.same(missing(judge(t, program, { libraryPath: join(dir, 'chain') })), [])
  fixtures.compiled('hidden/libv.so', source, 'V1 { global: f_V1; f_V2; }; V3 { };')
  t.same(missing(judge(t, program, { libraryPath: join(dir, 'hidden') })), ['libv.so V2'])
})

t.test('rule 15: DT_RELR needs GLIBC_ABI_DT_RELR, which 2.36 has and 2.31 has not', async t => {
  const relr = compile(dir, 'relr', 'int i; int *p = &i; int main(void) { return *p; }', [
    ...['-pie', '-fPIE', '-Wl,-z,pack-relative-relocs'],
  ])
  const old = join(roots.bullseye(), 'lib/x86_64-linux-gnu')
  const young = join(roots.trixie(), 'usr/lib/x86_64-linux-gnu')
  const abi = (graph: Graph) => missing(graph).filter(text => text.includes('ABI'))
  t.same(abi(judge(t, relr, { libraryPath: old }, [OLD])), ['libc.so.6 GLIBC_ABI_DT_RELR'])
  t.same(missing(judge(t, relr, {}, [HERE])), [])
  t.same(missing(judge(t, relr, { libraryPath: young }, [NEW])), [])
})

t.test('rule 15: versions of a file that nobody had loaded by that name end the program by an assertion', async t => {
  const place = join(dir, 'stray')
  mkdirSync(place)
  const write = (name: string, bytes: Uint8Array) => writeFileSync(join(place, name), bytes, { mode: 0o755 })
  write('libz.so', library({ soname: 'libz.so', verdefs: ['V1'] }))
  write('libasks.so', library({ needed: ['libz.so'], runpath: place }))
  const asks = (needed: readonly string[], file: string, weak = false) =>
    buildProgram({ needed, runpath: place, verneeds: [{ file, version: 'V9', weak }] })
  const byPath = join(place, 'libz.so')
  for (const [what, bytes, outcome] of [
    ['nobody', asks([], 'libz.so'), 'unusable'],
    ['nobody, though it is weak', asks([], 'libz.so', true), 'unusable'],
    ['by its path alone, so that its soname does not count', asks([byPath], 'libz.so'), 'unusable'],
    ['by its path and its soname', asks([byPath, 'libasks.so'], 'libz.so'), 'missing-version'],
    ['by another', asks(['libasks.so'], 'libz.so'), 'missing-version'],
    ['by its soname, and now it is the path', asks(['libz.so'], byPath), 'missing-version'],
    ['with tokens, which are not expanded here', asks(['$ORIGIN/libz.so'], '$ORIGIN/libz.so'), 'unusable'],
  ] as const) {
    write('app', bytes)
    for (const by of EVERY_VERSION) {
      const { problems } = judge(t, join(place, 'app'), {}, [by])
      t.same(
        problems.map(({ kind }) => kind),
        [outcome],
        `${what}: ${by.what}`,
      )
      t.equal(spawnSync(by.loader, [join(place, 'app')]).status, outcome === 'unusable' ? 127 : 1)
    }
  }
})

t.test('rule 15: the loader itself has versions when it is needed, and from 2.41 on always', async t => {
  const file = join(dir, 'asks-loader')
  writeFileSync(file, buildProgram({ verneeds: [{ file: 'ld-linux-x86-64.so.2', version: 'V9' }] }), { mode: 0o755 })
  const needing = join(dir, 'needs-loader')
  const description = { needed: ['ld-linux-x86-64.so.2'], verneeds: [{ file: HOST_LOADER, version: 'V9' }] }
  writeFileSync(needing, buildProgram(description), { mode: 0o755 })
  for (const by of EVERY_VERSION) {
    const { problems } = judge(t, file, {}, [by])
    const byPath = judge(t, needing, {}, [by]).problems
    t.equal(byPath[0]?.kind, 'missing-version', `${by.what}: needed by its soname, it is there by its path`)
    t.equal(problems[0]?.kind, by === NEW ? 'missing-version' : 'unusable', by.what)
  }
})
