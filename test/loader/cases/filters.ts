import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { resolveGraph } from '../../../lib/loader/resolve.js'
import { library, program } from '../../../lib/testing/index.js'
import { judgeBindings } from '../../support/bindings.js'
import { compile } from '../../support/fixtures.js'
import { HERE, judge, NEW, OLD } from '../../support/judge.js'
import { LoaderFixtures, RPATH, rpath, soname } from '../../support/loader-fixtures.js'
import { askLoader } from '../../support/oracle.js'

/** DT_AUXILIARY, DT_FILTER and auditors. */
const fixtures = new LoaderFixtures()
const { dir } = fixtures
fixtures.named(
  'fil/libimpl.so',
  ['leaf/libleaf.so'].map(leaf => fixtures.named(leaf).slice(dir.length + 1)),
)

for (const [name, flag] of [
  ['libaux.so', '--auxiliary=libimpl.so'],
  ['libfil.so', '--filter=libimpl.so'],
] as const) {
  t.test(`rule 12: what a filter names comes before it (${flag})`, async t => {
    const own = rpath(`${dir}/fil:${dir}/leaf`)
    fixtures.named(`fil/${name}`, [], [flag, RPATH, own])
    const names = (needs: readonly string[]) =>
      judge(t, fixtures.program(`with-${name}`, needs, [own])).objects.map(({ path }) =>
        path.slice(path.lastIndexOf('/') + 1),
      )
    const first = names([`fil/${name}`, 'leaf/libleaf.so'])
    t.ok(first.indexOf('libimpl.so') < first.indexOf(name))
    const early = names(['fil/libimpl.so', `fil/${name}`])
    t.ok(early.indexOf('libimpl.so') < early.indexOf(name))
    const late = names([`fil/${name}`, 'fil/libimpl.so'])
    t.ok(late.indexOf('libimpl.so') < late.indexOf(name))
    // One filter after another, and a filter of a filter.
    fixtures.named(`fil/outer-${name}`, [], [flag.replace('libimpl', name.slice(0, -3)), RPATH, own])
    names([`fil/outer-${name}`])
    names([`fil/outer-${name}`, `fil/${name}`, 'leaf/libleaf.so'])
    fixtures.named(`fil/both-${name}`, ['leaf/libleaf.so'], [flag, flag.replace('libimpl', 'libleaf'), RPATH, own])
    names([`fil/both-${name}`])
    names([`fil/both-${name}`, `fil/${name}`])
  })
}

t.test('rule 12: what a program is itself a filter for comes before it where symbols are looked up', async t => {
  const place = join(dir, 'own')
  mkdirSync(place)
  const write = (name: string, bytes: Uint8Array) => writeFileSync(join(place, name), bytes, { mode: 0o755 })
  const file = join(place, 'filters-itself')
  write('libown.so', library({ defines: ['f'] }))
  write('libasks.so', library({ needs: ['f'] }))
  write(
    'filters-itself',
    program({ needed: ['libasks.so'], auxiliaries: ['libown.so'], runpath: place, defines: ['f'] }),
  )
  for (const by of [HERE, NEW]) {
    const { objects, status } = judgeBindings(t, file, { by })
    t.equal(status, 0, by.what)
    t.same(
      objects.slice(0, 3).map(({ path }) => path),
      [file, join(place, 'libown.so'), join(place, 'libasks.so')],
      'and yet the program is the first object',
    )
  }
  t.match(judge(t, file, {}, [OLD]).problems, [{ kind: 'unusable', path: file }], '2.31 ends over it')
})

// A trace tells of either as `not found`; only a run shows the difference.
for (const [name, flag, status] of [
  ['libaux0.so', '--auxiliary=libnowhere.so', 7],
  ['libfil0.so', '--filter=libnowhere.so', 127],
] as const) {
  t.test(`rule 12: where what it names is not there, it ends the program or is ignored (${flag})`, async t => {
    fixtures.named(`gone/${name}`, [], [flag])
    const file = compile(dir, `run-${name}`, 'int main(void) { return 7; }', [
      ...['-Wl,--no-as-needed', `gone/${name}`, `-Wl,-rpath,${join(dir, 'gone')}`],
    ])
    t.equal(spawnSync(file).status, status)
    const graph = resolveGraph(HERE.fs(), file, { cpuLevel: 0, libraryPath: [], preload: [] })
    t.equal(graph.problems.length, status === 7 ? 0 : 1)
  })
}

t.test('rule 13: an auditor can change any search, so nothing is certain', async t => {
  const source = `
    #define _GNU_SOURCE
    #include <link.h>
    #include <string.h>
    unsigned int la_version(unsigned int version) { return version; }
    char *la_objsearch(const char *name, uintptr_t *cookie, unsigned int flag) {
      return flag == LA_SER_ORIG && !strcmp(name, "libasked.so") ? "${dir}/audit/libgiven.so" : (char *)name;
    }`
  compile(dir, 'audit/auditor.so', source, ['-shared', '-fPIC'])
  fixtures.named('audit/libasked.so')
  fixtures.library('audit/libgiven.so', [], [soname('libasked.so')])
  for (const flag of ['--audit', '--depaudit']) {
    const search = rpath(join(dir, 'audit'))
    const file = fixtures.program(`audited${flag}`, ['audit/libasked.so'], [search, `${flag}=${dir}/audit/auditor.so`])
    const graph = resolveGraph(HERE.fs(), file, { cpuLevel: 0, libraryPath: [], preload: [] })
    t.match(graph.problems, [{ kind: 'undecidable', by: file, because: /auditor/ }])
    t.equal(graph.objects[1]?.path, join(dir, 'audit/libasked.so'))
    const given = join(dir, 'audit/libgiven.so')
    t.same(askLoader(file).libraries, [{ name: given, path: given }], 'the loader does as its auditor says')
  }
})
