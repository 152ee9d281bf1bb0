import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { decide } from '../../lib/decide/decide.js'
import { addon } from '../../lib/launch/addon.js'
import { hostAt } from '../../lib/launch/machine.js'
import { library } from '../container/tree.js'
import {
  debian,
  glibc,
  inTree,
  libraries,
  mix,
  newStore,
  type Outcome,
  openIn,
  packInto,
  program,
  put,
  splitLibraries,
  tree,
} from './scenario.js'

const SAY = 'int printf(const char *, ...);\n'
const older = library('libone.so.1', 'int one(void) { return 1; }', 'ONE_1 { one; };')
const newer = library(
  'libone.so.1',
  'int one(void) { return 2; } int two(void) { return 2; }',
  'ONE_1 { one; }; ONE_2 { two; };',
)

/** Says what the library tells that it loads, then becomes `next`, a program of the host. */
const app = program(
  `${SAY}int fflush(void *), execl(const char *, const char *, ...), one(void), two(void);
  int main(void) { printf("app %d\\n", one() * two()); fflush(0); execl("/usr/bin/host-tool", "host-tool", (char *)0); return 0; }`,
  { 'libone.so.1': newer },
)
const hostTool = program(`${SAY}int one(void); int main(void) { return printf("tool %d\\n", one()) < 0; }`, {
  'libone.so.1': older,
})
const home = tree({
  '/usr/bin/app': app,
  [`${libraries}/libone.so.1.2.0`]: newer,
  [`${libraries}/libone.so.1`]: { link: 'libone.so.1.2.0' },
  [`${libraries}/libone.so`]: { link: 'libone.so.1' },
})

function names(outcome: Outcome): string[] {
  return [...outcome.decision.placement.keys()].filter(path => path.includes('libone')).sort()
}

t.test('where a program’s own search comes to the host’s file first, the private one lies too', async t => {
  const searching = program(
    `${SAY}int one(void), two(void); int main(void) { printf("app %d\\n", one() * two()); return 0; }`,
    { 'libone.so.1': newer },
    ['-Wl,-rpath,/opt/first:/home/first'],
  )
  const packed = tree({ '/usr/bin/app': searching, [`${libraries}/libone.so.1`]: newer })
  const usual = { [`${libraries}/libone.so.1`]: older }
  const first = { '/opt/first/libone.so.1.1': older, '/opt/first/libone.so.1': { link: 'libone.so.1.1' } }
  for (const files of [first, { ...usual, ...first }]) {
    const outcome = mix(packed, tree(files))
    t.same(outcome.problems(), [])
    t.same(names(outcome), ['/opt/first/libone.so.1', '/opt/first/libone.so.1.1', `${libraries}/libone.so.1`])
    t.match(outcome.run(), { status: 0, stdout: 'app 4\n', stderr: '' })
  }
  const serving = mix(packed, tree({ ...usual, '/opt/first/libone.so.1': newer }))
  t.same(serving.private, [])
  const uncovered = mix(packed, tree({ ...usual, '/home/first/libone.so.1': older }))
  t.match(uncovered.problems()[0], 'would load /home/first/libone.so.1, though the container')
})

t.test('a link that leads nowhere is in nobody’s way', async t => {
  const twins = `${libraries}/glibc-hwcaps/x86-64-v2`
  const host = tree({
    '/usr/bin/host-tool': program('int main(void) { return 0; }'),
    '/etc/ld.so.conf': `/usr/local/lib\n${libraries}\n`,
    [`${twins}/libone.so.1`]: older,
    '/usr/local/lib/libone.so.1': older,
    [`${libraries}/libone.so.1`]: { link: 'libone.so.1.1.9' },
  })
  execFileSync('ldconfig', ['-X', '-r', host])
  // The cache's best answer is the only one that the loader asks for; then it looks in its own directories.
  rmSync(join(host, twins), { recursive: true })
  const outcome = mix(home, host)
  t.same(outcome.problems(), [])
  t.match(outcome.run(), { status: 0, stdout: 'app 4\n', stderr: '' })
})

t.test('every name of the host’s file becomes a name of the private one', async t => {
  const host = tree({
    '/usr/bin/host-tool': hostTool,
    [`${libraries}/libone.so.1.1.9`]: older,
    [`${libraries}/libone.so.1`]: { link: 'libone.so.1.1.9' },
    [`${libraries}/libone.so`]: { link: 'libone.so.1.1.9' },
  })
  const outcome = mix(home, host)
  t.same(outcome.problems(), [])
  t.same(
    names(outcome),
    ['.1', '.1.1.9', '.1.2.0'].map(end => `${libraries}/libone.so${end}`),
    'libone.so leads to one of them',
  )
  t.match(outcome.run(), { status: 0, stdout: 'app 4\ntool 2\n' })
})

t.test('a hard link is a name of the same file, whatever it is called', async t => {
  const host = tree({ '/usr/bin/host-tool': hostTool, [`${libraries}/libone.so.1`]: older })
  linkSync(join(host, libraries, 'libone.so.1'), join(host, libraries, 'libuno.so'))
  const outcome = mix(home, host)
  t.same(outcome.problems(), [])
  t.ok(outcome.decision.placement.has(`${libraries}/libuno.so`))
  t.match(outcome.run(), { status: 0, stdout: 'app 4\ntool 2\n' })
})

t.test('case 26: a link elsewhere leads to the private file by its name', async t => {
  const host = tree({
    '/usr/bin/host-tool': hostTool,
    [`${libraries}/libone.so.1`]: { link: '/etc/alternatives/libone' },
    '/etc/alternatives/libone': { link: `${libraries}/vendor/libone.so.1.1` },
    [`${libraries}/vendor/libone.so.1.1`]: older,
  })
  const outcome = mix(home, host)
  t.same(outcome.problems(), [])
  t.match(outcome.run(), { status: 0, stdout: 'app 4\ntool 2\n' })
})

t.test('case 29: the twin for a better CPU is covered with the baseline', async t => {
  const level = addon().cpuLevel()
  const host = tree({ '/usr/bin/host-tool': hostTool, [`${libraries}/libone.so.1`]: older })
  for (let each = 2; each <= 4; each++) put(host, `${libraries}/glibc-hwcaps/x86-64-v${each}/libone.so.1`, older)
  const outcome = mix(home, host)
  t.same(outcome.problems(), [])
  const twins = names(outcome).filter(path => path.includes('hwcaps') && path.endsWith('.so.1'))
  t.equal(twins.length, Math.max(0, level - 1), 'those that this CPU makes the loader search')
  t.match(outcome.run(), { status: 0, stdout: 'app 4\ntool 2\n' })
})

// A FIFO is the same, but cannot be shown: the loader waits for somebody to write into it.
for (const [what, make] of [
  ['links in circles', (path: string) => symlinkSync('libone.so.1', path)],
  ['a directory', (path: string) => mkdirSync(path)],
] as const) {
  t.test(`${what}, where the host’s loader looks first and stops`, async t => {
    const files = { '/usr/bin/app': app, [`${libraries}/libone.so.1`]: newer }
    const host = tree(files, glibc(splitLibraries), 'split')
    t.match(inTree(host, '/usr/bin/app').stdout, /^app 4\n/, 'before')
    make(join(host, splitLibraries, 'libone.so.1'))
    t.match(inTree(host, '/usr/bin/app').stderr, /libone\.so\.1: cannot/)
    rmSync(join(host, '/usr/bin/app'))
    const outcome = mix(home, host)
    t.same(outcome.problems(), [])
    t.match(outcome.run(), { status: 0, stdout: /^app 4\n/ })
  })
}

t.test('case 30: a copy in a directory that only ld.so.cache names', async t => {
  const host = tree({
    '/usr/bin/host-tool': hostTool,
    [`${libraries}/libone.so.1`]: older,
    '/opt/vendor/libone.so.1': older,
    '/etc/ld.so.conf': '/opt/vendor\n',
  })
  execFileSync('ldconfig', ['-r', host])
  t.equal(inTree(host, '/usr/bin/host-tool').stdout, 'tool 1\n')
  const outcome = mix(home, host)
  t.same(outcome.problems(), [])
  t.same(
    names(outcome).filter(path => path.endsWith('/libone.so.1')),
    ['/opt/vendor/libone.so.1', `${libraries}/libone.so.1`],
  )
  t.match(outcome.run(), { status: 0, stdout: 'app 4\ntool 2\n' })
  // What the cache does not list is searched for behind it: a cache of before the library came.
  put(host, '/etc/ld.so.conf', '')
  execFileSync('ldconfig', ['-r', host])
  t.match(mix(home, host).run(), { status: 0, stdout: 'app 4\ntool 2\n' })
})

t.test('case 27: from a split tree to a merged one and back', async t => {
  const core = glibc(splitLibraries)
  const files = { '/usr/bin/app': app, [`${splitLibraries}/libone.so.1`]: newer }
  const splitHome = tree(files, core, 'split')
  const mergedHost = tree({ '/usr/bin/host-tool': hostTool, [`${libraries}/libone.so.1`]: older })
  const toMerged = mix(splitHome, mergedHost)
  t.same([toMerged.private, toMerged.problems()], [['libone.so.1'], []])
  t.same(names(toMerged), [`${libraries}/libone.so.1`])
  t.match(toMerged.run(), { status: 0, stdout: 'app 4\ntool 2\n' })

  for (const directory of [splitLibraries, libraries]) {
    const has = { '/usr/bin/host-tool': hostTool, [`${directory}/libone.so.1`]: older, [`${libraries}/other`]: '' }
    const splitHost = tree(has, core, 'split')
    const toSplit = mix(home, splitHost)
    t.same([toSplit.private, toSplit.problems()], [['libone.so.1'], []])
    for (const place of [directory, libraries])
      t.ok(names(toSplit).includes(`${place}/libone.so.1`), 'where the host has it, and by its own path')
    t.match(toSplit.run(), { status: 0, stdout: 'app 4\ntool 2\n' }, directory)
  }
  const empty = tree({ '/usr/bin/true': '#!/bin/sh\n' }, core, 'split')
  t.match(mix(home, empty).run(), { status: 0, stdout: 'app 4\n' }, 'a host that has none')
})

t.test('a host without any directory that may be covered for the entry', async t => {
  const outcome = mix(home, tree({}, glibc(splitLibraries), 'split'))
  t.notOk(outcome.decision.runnable)
  t.same(outcome.problems(), [
    "clash: /usr/bin/app has no place here: its directory is the host's own and never covered, or is not there",
  ])
})

t.test('a directory of the user’s is never covered, even where the loader looks there first', async t => {
  const host = tree({
    '/usr/bin/host-tool': hostTool,
    [`${libraries}/libone.so.1`]: older,
    '/home/me/libone.so.1': older,
  })
  const store = newStore()
  const { manifest } = packInto(store, home)
  const decision = decide(manifest, hostAt(host, { LD_LIBRARY_PATH: '/home/me' }), openIn(store))
  t.notOk(decision.placement.has('/home/me/libone.so.1'))
  t.notOk(decision.runnable)
  t.same(decision.problems[0], {
    kind: 'clash',
    text: "/usr/bin/app would load /home/me/libone.so.1, though the container's libone.so.1 was decided on",
  })
})

t.test('the host’s state is never covered, its configuration only added to', async t => {
  const files = {
    '/usr/bin/app': program('int main(void) { return 0; }'),
    '/etc/app.conf': 'home',
    '/etc/app.new': 'home',
    '/srv/data': 'home',
  }
  const packed = debian([{ control: { Package: 'app' }, files }])
  const outcome = mix(packed, tree({ '/etc/app.conf': 'host' }))
  t.same([...outcome.decision.placement.keys()], ['/etc/app.new', '/usr/bin/app'])
  t.same(outcome.problems(), [
    "note: left out, as /srv is the host's own and never covered, or is not there: /srv/data",
  ])
})
