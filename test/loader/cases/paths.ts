import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { resolveGraph } from '../../../lib/loader/resolve.js'
import { HERE, hows, judge } from '../../support/judge.js'
import { LoaderFixtures, RPATH, RUNPATH, rpath } from '../../support/loader-fixtures.js'

/** The lists of directories, and in which order they are searched. */
const fixtures = new LoaderFixtures()
const { dir } = fixtures

t.test('case 22, rule 3a, rule 3c, rule 5: RPATH is inherited, RUNPATH is not, and RUNPATH voids RPATH', async t => {
  fixtures.named('a/libleaf.so')
  fixtures.named('a/libmid.so', ['a/libleaf.so'])
  const leaf = (name: string, needs: readonly string[], flags: readonly string[]) =>
    hows(judge(t, fixtures.program(name, needs, flags)))['libleaf.so']
  t.equal(leaf('by-rpath', ['a/libmid.so'], [RPATH, rpath(join(dir, 'a'))]), 'rpath')
  t.equal(leaf('by-runpath', ['a/libmid.so'], [RUNPATH, rpath(join(dir, 'a'))]), 'not-found')
  fixtures.named('b/libown.so', ['a/libleaf.so'], [RUNPATH, rpath('/nowhere')])
  t.equal(leaf('void', ['b/libown.so'], [RPATH, rpath(`${dir}/a:${dir}/b`)]), 'not-found')
  fixtures.named('c/libown.so', ['a/libleaf.so'], [RPATH, rpath(`${dir}/a`)])
  t.equal(leaf('own-rpath', ['c/libown.so'], [RUNPATH, rpath(`${dir}/c`)]), 'rpath')
})

t.test('rule 3a: an ancestor with RUNPATH does not end the chain of RPATHs, and its own adds nothing', async t => {
  fixtures.named('chain/x/libend.so')
  fixtures.named('chain/libtwo.so', ['chain/x/libend.so'])
  fixtures.named('chain/libone.so', ['chain/libtwo.so'], [RUNPATH, rpath(join(dir, 'chain'))])
  const end = (name: string, path: string) =>
    hows(judge(t, fixtures.program(name, ['chain/libone.so'], [RPATH, rpath(path)])))['libend.so']
  t.equal(end('chained', `${dir}/chain:${dir}/chain/x`), 'rpath')
  t.equal(end('unchained', `${dir}/chain`), 'not-found')
})

t.test('rule 3a: the chain is of who had it loaded first, and ends with the program', async t => {
  fixtures.named('who/x/libend.so')
  fixtures.named('who/libshared.so', ['who/x/libend.so'])
  fixtures.named('who/libfirst.so', ['who/libshared.so'], [RPATH, rpath(join(dir, 'who/x'))])
  fixtures.named('who/libsecond.so', ['who/libshared.so'])
  const end = (needs: readonly string[]) =>
    hows(judge(t, fixtures.program('who-loads', needs, [RPATH, rpath(join(dir, 'who'))])))['libend.so']
  t.equal(end(['who/libfirst.so', 'who/libsecond.so']), 'rpath')
  t.equal(end(['who/libsecond.so', 'who/libfirst.so']), 'not-found')
})

t.test('rule 3b: LD_LIBRARY_PATH stands between RPATH and RUNPATH', async t => {
  for (const place of ['first', 'second']) fixtures.named(`${place}/libp.so`)
  const old = fixtures.program('env-rpath', ['first/libp.so'], [RPATH, rpath(join(dir, 'first'))])
  const young = fixtures.program('env-runpath', ['first/libp.so'], [RUNPATH, rpath(join(dir, 'first'))])
  const how = (file: string, libraryPath: string, cwd = dir) => hows(judge(t, file, { libraryPath, cwd }))['libp.so']
  t.equal(how(old, join(dir, 'second')), 'rpath')
  t.equal(how(young, join(dir, 'second')), 'ld-library-path')
  t.equal(how(young, `/nowhere;${dir}/second//`), 'ld-library-path')
  t.equal(how(young, ':/nowhere', join(dir, 'second')), 'ld-library-path')
  t.equal(how(young, 'second'), 'ld-library-path')
})

t.test('rule 3b: tokens in LD_LIBRARY_PATH are the program’s, whoever asks', async t => {
  fixtures.named('env/deep/libdeep.so')
  fixtures.named('env/libasks.so', ['env/deep/libdeep.so'])
  const file = fixtures.program('env-tokens', ['env/libasks.so'])
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the loader's token, not ours
  const graph = judge(t, file, { libraryPath: '$ORIGIN/env:${ORIGIN}/env/deep:$ORIGIN/deep' })
  t.equal(hows(graph)['libdeep.so'], 'ld-library-path')
})

t.test('rule 5: a wholly empty RPATH is ignored, an empty element is the working directory', async t => {
  fixtures.named('here/libhere.so')
  const cwd = join(dir, 'here')
  for (const [path, found] of [
    ['/nowhere:', true],
    [':/nowhere', true],
    ['/nowhere::/nowhere', true],
    ['.', true],
    ['', false],
  ] as const) {
    for (const tag of [RPATH, RUNPATH]) {
      const file = fixtures.program('empty-element', ['here/libhere.so'], [tag, rpath(path)])
      const how = hows(judge(t, file, { cwd }))['libhere.so']
      t.equal(how !== 'not-found', found, `${tag} '${path}'`)
      t.equal(hows(judge(t, file, { cwd: dir }))['libhere.so'], 'not-found')
    }
  }
})

t.test('case 24, rule 4: a name with a slash is taken as it is, from the working directory', async t => {
  const absolute = fixtures.library('slash/libabs.so')
  t.equal(hows(judge(t, fixtures.program('absolute', [absolute])))[absolute], 'path')
  const relative = fixtures.program('relative', ['slash/libabs.so'], [rpath(dir)])
  t.equal(hows(judge(t, relative, { cwd: dir }))['slash/libabs.so'], 'path')
  t.equal(hows(judge(t, relative))['slash/libabs.so'], 'not-found', 'and no list of directories is searched')
  t.equal(hows(judge(t, relative, { libraryPath: dir }))['slash/libabs.so'], 'not-found')
})

t.test('rule 4, rule 5: what rests on a working directory that is not known is undecidable', async t => {
  fixtures.named('known/libk.so')
  const relative = fixtures.program('asks-relative', ['slash/libabs.so'])
  const element = fixtures.program('asks-element', ['known/libk.so'], [rpath('known')])
  for (const [file, libraryPath] of [
    [relative, []],
    [element, []],
    [fixtures.program('asks-none', ['known/libk.so']), ['', '/nowhere']],
  ] as const) {
    const found = [dir, '/', join(dir, 'known')].map(cwd => {
      const { problems } = judge(t, file, { libraryPath: libraryPath.join(':'), cwd })
      return problems.length === 0
    })
    t.same(new Set(found).size, 2, 'the loader finds it from one, not from another')
    const unknown = resolveGraph(HERE.fs(), file, { cpuLevel: 0, libraryPath, preload: [] })
    t.match(unknown.problems, [{ kind: 'undecidable', by: file, because: /working directory, which is not known/ }])
  }
  // Found before it comes to that: nothing is in doubt.
  const before = fixtures.program('asks-before', ['known/libk.so'], [rpath(`${dir}/known:known`)])
  t.same(resolveGraph(HERE.fs(), before, { cpuLevel: 0, libraryPath: [], preload: [] }).problems, [])
})

t.test('case 24: an absolute name and a soname of one file are one object', async t => {
  const absolute = fixtures.library('both/libboth.so')
  fixtures.named('both-stand/libboth.so')
  const search = rpath(join(dir, 'both'))
  t.equal(judge(t, fixtures.program('both-ways', [absolute, 'both-stand/libboth.so'], [search])).objects.length, 3)
  t.equal(judge(t, fixtures.program('both-turned', ['both-stand/libboth.so', absolute], [search])).objects.length, 3)
})

t.test('rule 8: a directory of a list that is missing, or no directory, or a dangling link', async t => {
  fixtures.named('good/libg.so')
  mkdirSync(join(dir, 'empty'))
  const elements = ['/nowhere', '/nowhere/deeper', `${dir}/empty`, `${dir}/good/libg.so`, `${dir}/good`]
  for (const path of [elements.slice(0, 3).concat(`${dir}/good`), elements, [...elements, ...elements]]) {
    judge(t, fixtures.program('listed', ['good/libg.so'], [rpath(path.join(':'))]))
  }
})
