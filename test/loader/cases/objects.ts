import { copyFileSync, linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { library, program } from '../../../lib/testing/index.js'
import { hows, judge } from '../../support/judge.js'
import { LoaderFixtures, RPATH, rpath, soname } from '../../support/loader-fixtures.js'

/** Which names are one object, and in which order objects are loaded. */
const fixtures = new LoaderFixtures()
const { dir } = fixtures

t.test('rule 1: breadth-first, each object once', async t => {
  for (const name of ['libd', 'libe']) fixtures.named(`order/${name}.so`)
  fixtures.named('order/libc1.so', ['order/libe.so', 'order/libd.so'])
  fixtures.named('order/libb.so', ['order/libd.so'])
  fixtures.named('order/liba.so', ['order/libc1.so', 'order/libb.so'])
  const graph = judge(
    t,
    fixtures.program('ordered', ['order/liba.so', 'order/libb.so'], [RPATH, rpath(`${dir}/order`)]),
  )
  t.same(
    graph.objects.slice(1, 6).map(({ path }) => path.slice(path.lastIndexOf('/') + 1)),
    ['liba.so', 'libb.so', 'libc1.so', 'libd.so', 'libe.so'],
  )
})

t.test('rule 2, case 25: a requested name may be that of an object’s soname, but only after it was loaded', async t => {
  const search = rpath(join(dir, 'dup'))
  fixtures.named('dup/libf.so')
  fixtures.library('dup/libother.so', [], [soname('libf.so')])
  // Linked against a stand-in, so that NEEDED says the file name where the real file has another soname.
  fixtures.named('stand/libother.so')
  t.equal(judge(t, fixtures.program('dup-one', ['stand/libother.so', 'dup/libf.so'], [search])).objects.length, 3)
  t.equal(judge(t, fixtures.program('dup-two', ['dup/libf.so', 'stand/libother.so'], [search])).objects.length, 4)
})

t.test('rule 2: one device and inode are one object, and the new name becomes an alias of it', async t => {
  fixtures.named('inode/libf.so')
  for (const name of ['libalias', 'libhard', 'libcopy']) fixtures.named(`stand/${name}.so`)
  symlinkSync('libf.so', join(dir, 'inode/libalias.so'))
  linkSync(join(dir, 'inode/libf.so'), join(dir, 'inode/libhard.so'))
  copyFileSync(join(dir, 'inode/libf.so'), join(dir, 'inode/libcopy.so'))
  const search = rpath(join(dir, 'inode'))
  const loaded = (...needs: string[]) => judge(t, fixtures.program('inodes', needs, [search])).objects
  t.equal(loaded('inode/libf.so', 'stand/libalias.so').length, 3)
  t.equal(loaded('inode/libf.so', 'stand/libhard.so', 'stand/libalias.so').length, 3)
  t.equal(loaded('inode/libf.so', 'stand/libcopy.so').length, 4, 'a copy with the same soname is another object')
  // Asked for by a library where no list leads to it: only the alias answers.
  fixtures.named('inode/libasks.so', ['stand/libalias.so'])
  const objects = loaded('inode/libf.so', 'stand/libalias.so', 'inode/libasks.so')
  t.ok(objects[1]?.names.includes('libalias.so'))
  t.equal(objects.length, 4)
})

t.test('case 25: a file whose name is not its soname is found by its name alone', async t => {
  fixtures.library('misnamed/libfile.so', [], [soname('libsoname.so.1')])
  const file = fixtures.program('asks-soname', ['misnamed/libfile.so'], [rpath(join(dir, 'misnamed'))])
  t.equal(hows(judge(t, file))['libsoname.so.1'], 'not-found')
  symlinkSync('libfile.so', join(dir, 'misnamed/libsoname.so.1'))
  t.equal(hows(judge(t, file))['libsoname.so.1'], 'runpath')
})

t.test('case 14: a cycle', async t => {
  fixtures.named('cycle/libleaf.so')
  fixtures.named('cycle/libtwo.so')
  fixtures.named('cycle/libone.so', ['cycle/libtwo.so'])
  fixtures.named('itself/libtwo.so')
  fixtures.named('cycle/libtwo.so', ['cycle/libone.so', 'cycle/libleaf.so', 'itself/libtwo.so'])
  const flags = [RPATH, rpath(join(dir, 'cycle'))]
  const graph = judge(t, fixtures.program('cyclic', ['cycle/libone.so'], flags))
  t.same(graph.problems, [])
  t.equal(graph.objects.length, 5)
  t.equal(judge(t, join(dir, 'cycle/libtwo.so'), { libraryPath: join(dir, 'cycle') }).problems.length, 0)
})

t.test('the file that is asked about is not found again by its path or inode, but by its soname', async t => {
  const place = join(dir, 'again')
  mkdirSync(place)
  const path = join(place, 'libself.so')
  for (const [needed, how] of [
    [path, 'path'],
    ['$ORIGIN/libself.so', 'path'],
    ['libself.so', 'runpath'],
    ['libhard.so', 'runpath'],
  ] as const) {
    const description = { needed: [needed], runpath: place }
    for (const [name, bytes, ends] of [
      ['a library', library(description), false],
      ['a program', program(description), true],
    ] as const) {
      rmSync(join(place, 'libhard.so'), { force: true })
      writeFileSync(path, bytes, { mode: 0o755 })
      linkSync(path, join(place, 'libhard.so'))
      const { objects, edges, problems } = judge(t, path)
      t.equal(problems.length, ends ? 1 : 0, `${name} that needs ${needed}`)
      if (ends) continue
      t.equal(edges.find(({ to }) => to === 1)?.how, how)
      t.equal(objects[1]?.realPath, join(place, needed.slice(needed.lastIndexOf('/') + 1)))
    }
  }
  writeFileSync(path, library({ soname: 'libname.so', needed: ['libname.so'] }))
  t.equal(judge(t, path).objects.length, 2)
})

t.test('case 26: alternatives and chains of links', async t => {
  fixtures.library('alternatives/impl-a/libblas.so.3.10.0', [], [soname('libblas.so.3')])
  mkdirSync(join(dir, 'alternatives/etc'))
  mkdirSync(join(dir, 'alternatives/lib'))
  symlinkSync('libblas.so.3.10.0', join(dir, 'alternatives/impl-a/libblas.so.3'))
  symlinkSync(join(dir, 'alternatives/impl-a/libblas.so.3'), join(dir, 'alternatives/etc/libblas.so.3-x86_64'))
  symlinkSync(join(dir, 'alternatives/etc/libblas.so.3-x86_64'), join(dir, 'alternatives/lib/libblas.so.3'))
  const needs = ['alternatives/impl-a/libblas.so.3.10.0']
  const graph = judge(t, fixtures.program('chosen', needs, [rpath(join(dir, 'alternatives/lib'))]))
  t.equal(graph.objects[1]?.path, join(dir, 'alternatives/lib/libblas.so.3'))
  t.equal(graph.objects[1]?.realPath, join(dir, 'alternatives/impl-a/libblas.so.3.10.0'))
  for (const link of ['lib/libblas.so.3', 'etc/libblas.so.3-x86_64', 'impl-a/libblas.so.3']) {
    t.ok(graph.edges.at(-1)?.watched.includes(join(dir, 'alternatives', link)), `${link} is to be watched`)
  }
})

t.test('case 26: two names of a chain that are both asked for are one object', async t => {
  fixtures.library('two/libz.so.1.2', [], [soname('libz.so.1')])
  symlinkSync('libz.so.1.2', join(dir, 'two/libz.so.1'))
  symlinkSync('libz.so.1', join(dir, 'two/libz.so'))
  fixtures.named('stand/libz.so')
  const file = fixtures.program('two-names', ['stand/libz.so', 'two/libz.so.1.2'], [rpath(join(dir, 'two'))])
  t.equal(judge(t, file).objects.length, 3)
})
