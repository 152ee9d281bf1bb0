import t from 'tap'
import { build } from './random/build.js'
import type { Code, Export, Import, Sides, SmallWorld } from './random/model.js'
import { decided } from './random/properties.js'

// What random worlds (test/decide/random-worlds.ts) were found to be decided wrongly, each as small as it can be.

const code = (some: Partial<Code> = {}): Code => ({
  needed: [],
  versions: [],
  exports: [],
  imports: [],
  asks: [],
  padding: 0,
  ...some,
})
const exported = (name: string, version: string | null = null): Export => ({ name, version, hidden: false })
const imported = (name: string): Import => ({ name, version: null, weak: false })
const world = (libraries: Record<string, Partial<Sides>>, rest: Partial<SmallWorld>): SmallWorld => ({
  libraries: Object.fromEntries(
    Object.entries(libraries).map(([name, sides]) => [name, { host: null, home: null, ...sides }]),
  ),
  programs: [],
  neighbours: [],
  policy: {},
  ...rest,
})

function outcome(world: SmallWorld): { readonly private: readonly string[]; readonly told: readonly string[] } {
  const { libraries, problems } = decided(build(world))
  return {
    private: libraries.filter(({ choice }) => choice === 'private').map(({ soname }) => soname),
    told: problems.map(({ text }) => text),
  }
}

t.test('of two that clash either may give way: here the one that was there at home', async t => {
  const libraries = {
    'liba.so.1': { host: code({ exports: [exported('same')] }), home: code() },
    'libc.so.1': { host: code({ needed: ['libe.so.1'] }), home: code({ padding: 512 }) },
    'libe.so.1': { host: code({ exports: [exported('same')] }) },
  }
  const programs = [code({ needed: ['liba.so.1', 'libc.so.1'] })]
  t.same(outcome(world(libraries, { programs })), { private: ['liba.so.1'], told: [] })
})

t.test('two strangers that clash are told once', async t => {
  const libraries = {
    'liba.so.1': { host: code() },
    'liba.so.2': { host: code() },
    'libd.so.1': { host: code({ needed: ['liba.so.1', 'liba.so.2'] }), home: code() },
  }
  const programs = [code({ needed: ['libd.so.1'] })]
  const { told } = outcome(world(libraries, { programs, policy: { 'libd.so.1': 'shared' } }))
  t.equal(told.length, 1)
  t.match(
    told[0],
    "liba.so.1 (the host's) and liba.so.2 (the host's), in one process, are one library under two sonames",
  )
})

t.test(
  'a pair that meets in two programs is told once, though only one of the two was there at home of one',
  async t => {
    const libraries = {
      'liba.so.1': { host: code(), home: code() },
      'liba.so.2': { host: code() },
      'libb.so.1': { host: code({ needed: ['liba.so.1', 'liba.so.2'] }), home: code() },
      'libd.so.1': { host: code(), home: code({ needed: ['liba.so.1'] }) },
    }
    const programs = [code({ needed: ['libb.so.1', 'libd.so.1'] }), code({ needed: ['libb.so.1'] })]
    t.equal(outcome(world(libraries, { programs, policy: { 'libb.so.1': 'shared' } })).told.length, 1)
  },
)

t.test('a version that no symbol has is missed by who asks for it (GLIBC_ABI_DT_RELR)', async t => {
  const libraries = {
    'liba.so.1': {
      host: code({ versions: ['A_1', 'A_ABI'] }),
      home: code({ versions: ['A_1', 'A_2'] }),
    },
  }
  const programs = [code({ needed: ['liba.so.1'], asks: [{ of: 'liba.so.1', version: 'A_2', weak: false }] })]
  const neighbours = [code({ needed: ['liba.so.1'], asks: [{ of: 'liba.so.1', version: 'A_ABI', weak: false }] })]
  t.same(outcome(world(libraries, { programs, neighbours })).told, [
    "the host's /usr/bin/host0 would not work inside: host0 needs A_ABI, which the container's liba.so.1 does not define",
  ])
})

t.test(
  'a version that was asked for in vain of a library without versions is missed where the container’s has some',
  async t => {
    const libraries = {
      'liba.so.1': { host: code(), home: code({ versions: ['A_2'], exports: [exported('fresh', 'A_2')] }) },
    }
    const programs = [code({ needed: ['liba.so.1'], imports: [imported('fresh')] })]
    const neighbours = [code({ needed: ['liba.so.1'], asks: [{ of: 'liba.so.1', version: 'A_1', weak: false }] })]
    t.same(outcome(world(libraries, { programs, neighbours })).told, [
      "the host's /usr/bin/host0 would not work inside: host0 needs A_1, which the container's liba.so.1 does not define",
    ])
  },
)

const inside = { name: 'inside', version: 'F_PRIVATE', hidden: false }
const root = code({ versions: ['F_PRIVATE'], exports: [inside] })
const member = (some: Partial<Code> = {}) =>
  code({
    needed: ['liba.so.1', ...(some.needed ?? [])],
    imports: [
      { name: 'inside', version: { name: 'F_PRIVATE', of: 'liba.so.1' }, weak: false },
      ...(some.imports ?? []),
    ],
  })

t.test('a relative that nobody in the container loads must have what it needs where the host loads it', async t => {
  const libraries = {
    'liba.so.1': { home: root },
    'libb.so.1': { host: code(), home: member({ needed: ['libc.so.1'] }) },
    'libc.so.1': { home: code() },
  }
  const programs = [code({ needed: ['liba.so.1'] })]
  const neighbours = [code({ needed: ['libb.so.1'] })]
  t.same(outcome(world(libraries, { programs })).private, ['liba.so.1', 'libb.so.1'], 'the host does not')
  t.same(outcome(world(libraries, { programs, neighbours })), {
    private: ['liba.so.1', 'libb.so.1', 'libc.so.1'],
    told: [],
  })
})

t.test('what has moved to a relative is gone for who does not load that', async t => {
  const moved = { name: 'moved', version: 'F_1', hidden: false }
  const libraries = {
    'liba.so.1': {
      host: code({ versions: ['F_1', 'F_PRIVATE'], exports: [moved, inside] }),
      home: code({ versions: ['F_1', 'F_PRIVATE'], exports: [inside] }),
    },
    'libb.so.1': { home: { ...member(), versions: ['F_1'], exports: [moved] } },
  }
  const programs = [code({ needed: ['libb.so.1'] })]
  const asks = { name: 'moved', version: { name: 'F_1', of: 'liba.so.1' }, weak: false }
  const neighbours = [code({ needed: ['liba.so.1'], imports: [asks] })]
  t.same(outcome(world(libraries, { programs, neighbours })).told, [
    "the host's /usr/bin/host0 would not work inside: host0 needs the symbol moved@F_1, which the container's liba.so.1 does not have",
  ])
})

t.test('what is missing may bring a relative that supplies the symbol', async t => {
  const moved = { name: 'moved', version: 'F_1', hidden: false }
  const relative = { ...member(), versions: ['F_1'], exports: [moved] }
  const libraries = {
    'liba.so.1': { host: root, home: code({ versions: ['F_1', 'F_PRIVATE'], exports: [moved, inside] }) },
    'libb.so.1': { host: relative, home: relative },
    'libc.so.1': { home: code({ needed: ['libb.so.1'] }) },
  }
  const asks = { of: 'liba.so.1', version: 'F_1', weak: true }
  const wants = { name: 'moved', version: { name: 'F_1', of: 'liba.so.1' }, weak: false }
  const programs = [code({ needed: ['liba.so.1', 'libc.so.1'], imports: [wants], asks: [asks] })]
  t.same(outcome(world(libraries, { programs })).private, ['libc.so.1'])
  const there = { ...libraries, 'libc.so.1': { ...libraries['libc.so.1'], host: code() } }
  t.same(outcome(world(there, { programs })).private, ['libc.so.1'], 'as what is there may where it is private')
})

t.test('a private version ties the host’s to the host’s, though another build defines it too', async t => {
  const libraries = {
    'liba.so.1': { host: root, home: code({ ...root, exports: [inside, exported('fresh')] }) },
    'libb.so.1': { host: member() },
  }
  const programs = [code({ needed: ['liba.so.1'], imports: [imported('fresh')] })]
  const neighbours = [code({ needed: ['libb.so.1'] })]
  t.same(outcome(world(libraries, { programs, neighbours })).told, [
    "the host's /usr/bin/host0 would not work inside: libb.so.1 (the host's) and liba.so.1 (private) share F_PRIVATE, and are not of one build",
  ])
})

t.test('what only a library of the host’s brings finds its symbols where it was linked to', async t => {
  // libe.so.1 is private as a relative of liba.so.1; only the host's libb.so.1 needs it. It was linked to another libb.so.1.
  const libraries = {
    'liba.so.1': { home: code({ ...root, needed: ['libb.so.1'], exports: [inside] }) },
    'libb.so.1': {
      host: code({ needed: ['libe.so.1'] }),
      home: code({ exports: [exported('shared')] }),
    },
    'libe.so.1': {
      host: code(),
      home: { ...member({ imports: [imported('shared')] }), needed: ['libb.so.1', 'liba.so.1'] },
    },
  }
  const programs = [code({ needed: ['liba.so.1'] })]
  t.same(outcome(world(libraries, { programs })).private, ['liba.so.1', 'libb.so.1', 'libe.so.1'])
})

t.test('a program from before a library had versions asks for its symbols without', async t => {
  const libraries = {
    'liba.so.1': {
      host: code({ versions: ['A_1'], exports: [exported('old', 'A_1')] }),
      home: code({ versions: ['A_1', 'A_2'] }),
    },
  }
  const programs = [code({ needed: ['liba.so.1'], asks: [{ of: 'liba.so.1', version: 'A_2', weak: false }] })]
  const neighbours = [code({ needed: ['liba.so.1'], imports: [imported('old')] })]
  t.same(outcome(world(libraries, { programs, neighbours })).told, [
    "the host's /usr/bin/host0 would not work inside: host0 needs the symbol old, which the container's liba.so.1 does not have",
  ])
})

t.test('a library that is opened by name is helped by the container’s in its place', async t => {
  const libraries = {
    'libb.so.1': { host: code({ needed: ['libc.so.1'], imports: [imported('gone')] }), home: code() },
    'libc.so.1': {
      host: code({ exports: [exported('gone')] }),
      home: code({ exports: [exported('fresh')], needed: ['libd.so.1'] }),
    },
    'libd.so.1': { host: code(), home: code({ needed: ['libb.so.1'] }) },
  }
  const programs = [code({ needed: ['libc.so.1'], imports: [imported('fresh')] })]
  t.same(outcome(world(libraries, { programs })), { private: ['libb.so.1', 'libc.so.1'], told: [] })
})

t.test('neighbours are told in one order, whatever the order of a directory', async t => {
  const libraries = {
    'liba.so.1': { host: code({ exports: [exported('gone')] }), home: code({ exports: [exported('fresh')] }) },
  }
  const one = world(libraries, {
    programs: [code({ needed: ['liba.so.1'], imports: [imported('fresh')] })],
    neighbours: [
      code({ needed: ['liba.so.1'], imports: [imported('gone')] }),
      code({ needed: ['liba.so.1'], imports: [imported('gone')], padding: 1 }),
    ],
  })
  const [usual, other] = [build(one), build(one, items => [...items].reverse())].map(built => decided(built).problems)
  t.equal(usual?.length, 2)
  t.same(usual, other)
})

t.test('what a neighbour misses may have moved to another library of its process', async t => {
  const moved = { name: 'moved', version: { name: 'Z_1', of: 'liba.so.1' }, weak: false }
  const libraries = {
    'liba.so.1': { host: code({ versions: ['Z_1'], exports: [exported('moved', 'Z_1')] }), home: code() },
    'libb.so.1': { host: code(), home: code({ versions: ['Z_1'], exports: [exported('moved', 'Z_1')], padding: 512 }) },
  }
  const programs = [code({ needed: ['libb.so.1', 'liba.so.1'] })]
  const neighbours = [code({ needed: ['libb.so.1', 'liba.so.1'], imports: [moved] })]
  const policy = { 'liba.so.1': 'private' as const }
  t.same(outcome(world(libraries, { programs, neighbours, policy })), { private: ['liba.so.1', 'libb.so.1'], told: [] })
})
