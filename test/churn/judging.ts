import t from 'tap'
import { LIBRARIES } from './debian-host.js'
import { judgeVersions } from './debian-judge.js'
import { History } from './history.js'
import { type Evidence, judge, parseReport, type Report } from './judge.js'
import type { Launch } from './launching.js'
import type { Build, Container, Copy, HostState } from './model.js'
import { counted, NONE, verdictOf } from './tally.js'

// Who judges must be able to find fault: reports that are made up, each wrong in one way.

const build = (soname: string, defines: readonly string[], needs: Build['needs'] = {}): Build => ({
  soname,
  defines,
  needs,
})
const copy = (generation: number, of: Build): Copy => ({ ...of, generation })

const [A1, A2] = [build('a', ['A_1']), build('a', ['A_1', 'A_2'])]
const [B1, B2] = [build('b', ['B_1']), build('b', ['B_1'], { a: ['A_2'] })]
const [F, G] = [build('f', ['F_1']), build('g', ['G_1'])]

const container: Container = {
  needs: { a: ['A_1'], b: ['B_1'], f: ['F_1'], g: ['G_1'] },
  copies: new Map([A1, B1, F, G].map(of => [of.soname, copy(0, of)])),
  family: ['f', 'g'],
}

function host(...copies: readonly Copy[]): HostState {
  return { files: new Map(copies.map(copy => [`/lib/${copy.soname}`, copy])), links: new Map(), cache: null }
}

/** Each file's inode is its generation and 100; the container's are 1000. */
const evidence = (...states: readonly HostState[]): Evidence => ({
  container,
  runpath: '/first',
  directories: ['/lib'],
  states,
  inodeOf: ({ generation }) => (generation === 0 ? 1000 : generation + 100),
})

function report(generations: Readonly<Record<string, number>>): Report {
  return {
    libraries: Object.entries(generations).map(([soname, generation]) => ({
      soname,
      generation,
      inode: generation === 0 ? 1000 : generation + 100,
    })),
  }
}

const plain = host(copy(1, A1), copy(2, B1), copy(3, F), copy(4, G))

t.test('what is right', async t => {
  t.equal(judge(report({ a: 1, b: 2, f: 3, g: 4 }), evidence(plain)), null, 'all shared')
  const without = host(copy(2, B1), copy(3, F), copy(4, G))
  t.equal(judge(report({ a: 0, b: 2, f: 3, g: 4 }), evidence(without)), null, 'one private that is missing')
  const newer = host(copy(5, A1), copy(2, B1), copy(3, F), copy(4, G))
  for (const a of [1, 5])
    t.equal(judge(report({ a, b: 2, f: 3, g: 4 }), evidence(plain, newer)), null, 'either generation')
  t.equal(judge(report({ a: 0, b: 2, f: 3, g: 4 }), evidence(without, plain)), null, 'what was right before')
})

t.test('what is wrong', async t => {
  const right = { a: 1, b: 2, f: 3, g: 4 }
  const wrongs: readonly (readonly [string, Report, readonly HostState[], RegExp])[] = [
    ['nothing is told', { libraries: [] }, [plain], /^it reports $/],
    ['one is missing', report({ a: 1, b: 2, f: 3 }), [plain], /^it reports a,b,f$/],
    ['a file that is no more', report({ ...right, a: 5 }), [plain], /a \(5\) was not there any more/],
    [
      'one private for nothing',
      report({ ...right, a: 0 }),
      [plain],
      /private are a, which is the right choice for nothing/,
    ],
    [
      'a private one that was replaced by the host’s, which does not serve',
      report(right),
      [host(copy(1, build('a', [])), copy(2, B1), copy(3, F), copy(4, G))],
      /the program needs A_1, which the host's a \(1\) does not define/,
    ],
    [
      'a mix of two generations that do not go together',
      report({ ...right, b: 6 }),
      [plain, host(copy(5, A2), copy(6, B2), copy(3, F), copy(4, G))],
      /b needs A_2, which the host's a \(1\) does not define/,
    ],
    ['half of a family', report({ ...right, f: 0 }), [host(copy(1, A1), copy(2, B1), copy(4, G))], /only f is private/],
    [
      'another file than the code is of',
      { libraries: report(right).libraries.map(one => ({ ...one, inode: 7 })) },
      [plain],
      /^inode 7 is not that of/,
    ],
  ]
  for (const [what, report, states, fault] of wrongs)
    t.match(judge(report, evidence(...states)) ?? 'right', fault, what)
})

t.test('a report is lines of three words', async t => {
  t.same(parseReport('a 1 2\nb 0 3\n'), {
    libraries: [
      { soname: 'a', generation: 1, inode: 2 },
      { soname: 'b', generation: 0, inode: 3 },
    ],
  })
  for (const text of ['', 'a 1\n', 'a 1 2', 'a 1 2\nSegmentation fault\n']) t.equal(parseReport(text), null)
})

t.test('packages of Debian', async t => {
  const own = new Map(LIBRARIES.map(({ soname }, at) => [soname, { version: '9.9', inode: 1000 + at }]))
  /** All of them at a version that serves; `changes` by soname. */
  const state = (changes: Readonly<Record<string, { version: string; inode: number } | null>> = {}) =>
    new Map(
      LIBRARIES.map(({ soname }, at) => [soname, { version: '2:5.1-1', inode: 1 + at }] as const)
        .map(([soname, installed]) => [soname, changes[soname] === undefined ? installed : changes[soname]] as const)
        .flatMap(([soname, installed]) => (installed === null ? [] : [[soname, installed] as const])),
    )
  const told = (changes: Readonly<Record<string, string>> = {}) =>
    LIBRARIES.map(({ soname }, at) => `${soname} ${changes[soname] ?? `5.1 ${1 + at}`}\n`).join('')
  const z = LIBRARIES[0]?.soname ?? ''
  const old = { version: '0.1-1', inode: 50 }
  const rights: readonly (readonly [string, readonly ReturnType<typeof state>[]])[] = [
    [told(), [state()]],
    [told({ [z]: '9.9 1000' }), [state({ [z]: null })]],
    [told({ [z]: '9.9 1000' }), [state({ [z]: old })]],
    [told({ [z]: '9.9 1000' }), [state(), state({ [z]: { version: '5.1-1', inode: 60 } })]],
    [told({ [z]: '0.1 50' }), [state(), state({ [z]: old })]],
  ]
  for (const [text, states] of rights) t.equal(judgeVersions(text, states, own), null, text)
  const wrongs: readonly (readonly [string, readonly ReturnType<typeof state>[], RegExp])[] = [
    ['', [state()], /^it told ""/],
    [`${told()}Segmentation fault\n`, [state()], /^it told /],
    [told({ [z]: '9.9 1000' }), [state()], /is private, though the host's 2:5.1-1 serves/],
    [told({ [z]: '5.1 1000' }), [state({ [z]: null })], /the container's .* says that it is 5.1/],
    [told({ [z]: '0.1 50' }), [state()], /0.1 \(inode 50\) was not there/],
    [told({ [z]: '0.1 1' }), [state()], /0.1 \(inode 1\) was not there/],
  ]
  for (const [text, states, fault] of wrongs) t.match(judgeVersions(text, states, own) ?? 'right', fault)
})

t.test('how a launch ended', async t => {
  const launch = (ended: Partial<Launch>) => ({ status: 0, signal: null, stdout: '', stderr: '', ...ended }) as Launch
  const [rest, covered, uncovered] = [
    { any: false, uncovered: false },
    { any: true, uncovered: false },
    { any: true, uncovered: true },
  ]
  const fine = () => null
  const gaveUp = launch({ status: 125, stderr: 'appc-run: the host keeps changing: planned 4 times, and still …\n' })
  const refused = launch({ status: 1, stderr: "program: liba.so.1: version `A_2' not found\n" })
  const told = launch({ stdout: 'text' })
  t.equal(
    verdictOf(told, rest, text => (text === 'text' ? null : 'other')),
    'right',
  )
  t.same(
    verdictOf(told, uncovered, () => 'fault'),
    { wrong: 'fault' },
  )
  t.equal(verdictOf(gaveUp, covered, fine), 'gave up')
  t.equal(verdictOf(refused, uncovered, fine), 'overtaken')
  for (const [ended, changed] of [
    [gaveUp, rest],
    [refused, covered],
    [{ ...refused, stdout: 'text' }, uncovered],
    [launch({ status: 125, stderr: 'appc-run: program cannot run on this host\n' }), uncovered],
    [launch({ status: null, signal: 'SIGKILL' }), uncovered],
  ] as const)
    t.match(verdictOf(ended, changed, fine), { wrong: String })
  const verdicts = ['right', 'gave up', 'overtaken', 'right', { wrong: 'fault' }] as const
  t.same(
    verdicts.reduce((tally, verdict) => counted(tally, verdict, () => 'more'), NONE),
    { launches: 5, right: 2, gaveUp: 1, overtaken: 1, wrong: ['fault\nmore'] },
  )
})

t.test('what a host was between two moments', async t => {
  const history = new History('first')
  const times: bigint[] = [process.hrtime.bigint()]
  for (const state of ['second', 'third', 'fourth']) {
    history.change(state, () => state)
    times.push(process.hrtime.bigint())
  }
  const between = (from: number, until: number) =>
    history.between(times[from] as bigint, times[until] as bigint).map(({ state }) => state)
  t.same(between(0, 0), ['first'])
  t.same(between(0, 2), ['first', 'second', 'third'])
  t.same(between(3, 3), ['fourth'])
  // While it changes, it may be the one or the other.
  let during = 0n
  await history.changeSlowly('fifth', async () => {
    during = process.hrtime.bigint()
    return 'fifth'
  })
  t.same(
    history.between(during, during).map(({ state }) => state),
    ['fourth', 'fifth'],
  )
})
