import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { readElf } from '../../lib/elf/reader.js'
import { readSymbols } from '../../lib/elf/symbols.js'
import type { ElfFacts, ElfSymbols, OpenFile } from '../../lib/elf/types.js'
import { memoryFileSystem } from '../../lib/loader/memory-file-system.js'
import { openHostFile } from '../../lib/loader/root-file-system.js'
import { buildElf, library, program } from '../../lib/testing/build-elf.js'
import type { ElfDescription } from '../../lib/testing/types.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { type Random, randomDescription } from './random-description.js'

const dir = temporaryDirectory()

function reading<T>(file: OpenFile, read: (file: OpenFile) => T): T {
  try {
    return read(file)
  } finally {
    file.close()
  }
}

const factsOf = (bytes: Uint8Array): ElfFacts => reading(memoryFileSystem({ '/f': bytes }).open('/f'), readElf)
const symbolsOf = (bytes: Uint8Array): ElfSymbols => reading(memoryFileSystem({ '/f': bytes }).open('/f'), readSymbols)

function write(name: string, bytes: Uint8Array): string {
  const path = join(dir, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes, { mode: 0o755 })
  return path
}

t.test('what is described is what is read', async t => {
  for (let seed = 1; seed <= 200; seed++) {
    const { description, facts, symbols } = randomDescription(seed)
    const bytes = buildElf(description)
    const { imports, exports } = symbolsOf(bytes)
    const read = { facts: onlyKeysOf(facts, factsOf(bytes)), imports: byName(imports), exports: byName(exports) }
    t.same(read, { facts, imports: byName(symbols.imports), exports: byName(symbols.exports) }, `seed ${seed}`)
  }
})

function onlyKeysOf(keys: object, values: object): object {
  return Object.fromEntries(Object.entries(values).filter(([key]) => key in keys))
}

function byName<T extends { readonly name: string; readonly version?: string }>(symbols: readonly T[]): T[] {
  const key = ({ name, version = '' }: T) => `${name} ${version}`
  return symbols.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
}

t.test('readelf reads the same, and warns of nothing', async t => {
  const seeds = Array.from({ length: 60 }, (_, index) => index + 1)
  const paths = seeds.map(seed =>
    write(`random-${seed}`, buildElf({ ...randomDescription(seed).description, sections: true })),
  )
  const run = spawnSync('readelf', ['-aW', ...paths], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { LC_ALL: 'C.UTF-8' },
  })
  t.equal(run.stderr, '')
  const files = run.stdout.split(/^File: .*$/m).slice(1)
  t.equal(files.length, seeds.length)
  for (const [index, output] of files.entries()) {
    const { facts, symbols } = randomDescription(seeds[index] as number)
    t.same(printed(output), expected(facts, symbols), `seed ${seeds[index]}`)
  }
})

/** What readelf prints, as far as it is compared. */
function printed(output: string) {
  const all = (pattern: RegExp) => [...output.matchAll(pattern)].map(([, ...groups]) => groups.join(' ').trim())
  return {
    header: all(/^ {2}(?:Class|Data|Machine): +(.*)$/gm),
    interpreter: all(/Requesting program interpreter: (.*)\]/g),
    texts: all(/^ 0x[0-9a-f]+ \((NEEDED|SONAME|RPATH|RUNPATH|AUXILIARY|FILTER)\) .*?\[(.*)\]$/gm).sort(),
    buildId: all(/Build ID: ([0-9a-f]+)/g),
    verdefs: all(/Rev: 1 {2}Flags: (?:none|WEAK) +Index: \d+ {2}Cnt: \d+ {2}Name: (.*)$/gm),
    verneeds: all(/^ +0x[0-9a-f]+: {3}Name: (.*?) {2}Flags: (?:none|(WEAK)) +Version: \d+$/gm),
    symbols: all(/^ +\d+: [0-9a-f]+ +(\d+) \S+ +(GLOBAL|WEAK) +DEFAULT +(?:(UND)|\d+) (\S+)/gm).sort(),
    copies: all(/ (R_\S+_COPY) /g).length,
  }
}

const MACHINES: Readonly<Record<number, string>> = {
  3: 'Intel 80386',
  20: 'PowerPC',
  22: 'IBM S/390',
  40: 'ARM',
  62: 'Advanced Micro Devices X86-64',
  183: 'AArch64',
  243: 'RISC-V',
}

function expected(facts: Random['facts'], { imports, exports }: ElfSymbols): ReturnType<typeof printed> {
  const text = (tag: string, value: string | null) => (value === null ? [] : [`${tag} ${value}`])
  const bytes = facts.data === 'little' ? 'little' : 'big'
  const copied = new Map(imports.flatMap(symbol => (symbol.copySize === undefined ? [] : [[symbol.name, symbol]])))
  const binding = (weak: true | undefined) => (weak ? 'WEAK ' : 'GLOBAL ')
  return {
    header: [`ELF${facts.class}`, `2's complement, ${bytes} endian`, MACHINES[facts.machine] as string],
    interpreter: facts.interpreter === null ? [] : [facts.interpreter],
    texts: [
      ...facts.needed.map(name => `NEEDED ${name}`),
      ...facts.auxiliaries.map(name => `AUXILIARY ${name}`),
      ...facts.filters.map(name => `FILTER ${name}`),
      ...text('SONAME', facts.soname),
      ...text('RPATH', facts.rpath),
      ...text('RUNPATH', facts.runpath),
    ].sort(),
    buildId: facts.buildId === null ? [] : [facts.buildId],
    verdefs: facts.verdefs.map(({ name }) => name),
    verneeds: facts.verneeds.map(({ version, weak }) => `${version}${weak ? ' WEAK' : ''}`),
    symbols: [
      ...imports
        .filter(({ copySize }) => copySize === undefined)
        .map(({ name, version, weak }) => `0 ${binding(weak)}UND ${name}${version === undefined ? '' : `@${version}`}`),
      ...exports.map(({ name, version, hidden, weak, objectSize = 0 }) => {
        // A copied variable has the version that is needed: it is printed as that.
        const at = hidden || copied.has(name) ? '@' : '@@'
        return `${objectSize} ${binding(weak)} ${name}${version === undefined ? '' : `${at}${version}`}`
      }),
    ].sort(),
    copies: copied.size,
  }
}

t.test('section headers are put behind the same file', async t => {
  for (let seed = 1; seed <= 20; seed++) {
    const { description } = randomDescription(seed)
    const [bare, whole] = [buildElf(description), buildElf({ ...description, sections: true })]
    const head = whole.subarray(0, bare.length)
    // e_shoff, and e_shnum with e_shstrndx.
    for (const [from, to] of bare[4] === 2
      ? ([
          [40, 48],
          [60, 64],
        ] as const)
      : ([
          [32, 36],
          [48, 52],
        ] as const))
      head.fill(0, from, to)
    t.ok(head.equals(bare))
    t.ok(whole.length > bare.length)
  }
})

t.test('a compiler makes the same facts of the same description', async t => {
  const versions = join(dir, 'versions.map')
  writeFileSync(versions, 'V1 { global: f; d; local: *; };\nV2 { global: g; } V1;\n')
  const soname = 'libcc.so.1'
  const flags = ['-shared', '-fPIC', '-nostdlib', '-Wl,-z,noexecstack,--build-id=0xdeadbeef', `-Wl,-soname,${soname}`]
  const source = 'int f(void) { return 0; } int g(void) { return 0; } int d = 4; '
  const provider = compile(dir, 'cc/libcc.so', source, [...flags, `-Wl,--version-script=${versions}`])
  const described: ElfDescription = {
    soname,
    buildId: 'deadbeef',
    verdefs: ['V1', { name: 'V2', predecessors: ['V1'] }],
    defines: ['f@@V1', { name: 'd', version: 'V1', objectSize: 4 }, 'g@@V2'],
  }
  const [theirs, ours] = [readFileSync(provider), library(described)]
  t.same(factsOf(ours), factsOf(theirs))
  t.same(byName(symbolsOf(ours).exports), byName(symbolsOf(theirs).exports))

  const user = 'extern int f(void), g(void); extern int d; void _start(void) { d = f() + g(); }'
  const link = ['-nostdlib', '-Wl,-z,noexecstack,--build-id=none,--no-as-needed', '-Wl,-rpath,$ORIGIN/cc']
  const real = compile(dir, 'user', user, [...link, '-pie', '-fPIE', provider])
  const needs = ['f@V1', { name: 'd', version: 'V1', file: soname, copySize: 4 }, 'g@V2']
  const made = program({ needed: [soname], runpath: '$ORIGIN/cc', needs })
  const sorted = (facts: ElfFacts) => ({ ...facts, flags1: facts.flags1 & 0x0800_0000, verneeds: byVersion(facts) })
  t.same(sorted(factsOf(made)), sorted(factsOf(readFileSync(real))))
  t.same(byName(symbolsOf(made).imports), byName(symbolsOf(readFileSync(real)).imports))

  // And it links with a library of ours as with one of its own.
  write('made/libcc.so', library({ ...described, sections: true }))
  const linked = compile(dir, 'linked', user, [...link, '-pie', '-fPIE', join(dir, 'made/libcc.so')])
  t.same(symbolsOf(readFileSync(linked)).imports, symbolsOf(readFileSync(real)).imports)
})

function byVersion({ verneeds }: ElfFacts) {
  return verneeds.toSorted((a, b) => (a.version < b.version ? -1 : 1))
}

t.test('what is read of a real file describes a twin of it', async t => {
  const libraries = '/usr/lib/x86_64-linux-gnu'
  const names = readdirSync(libraries, { withFileTypes: true }).filter(
    entry => entry.isFile() && /\.so(\.|$)/.test(entry.name) && readFileSync(join(libraries, entry.name))[0] === 0x7f,
  )
  const some = names.filter((_, index) => index % 40 === 0)
  t.ok(some.length > 10)
  for (const { name } of some) {
    const path = join(libraries, name)
    const facts = reading(openHostFile(path), readElf)
    const symbols = reading(openHostFile(path), readSymbols)
    const twin = buildElf({ ...facts, defines: symbols.exports, needs: symbols.imports })
    t.match(factsOf(twin), facts, name)
    t.same(symbolsOf(twin).imports, symbols.imports, name)
    t.same(byName(symbolsOf(twin).exports), byName(symbols.exports), name)
  }
})

/** Other machines' loaders, run by an emulator; so are those of i386, which not every kernel can. */
const EMULATED = [
  { emulator: 'qemu-i386', root: '/', file: { class: 32 } },
  { emulator: 'qemu-s390x', root: '/usr/s390x-linux-gnu', file: { data: 'big' } },
  { emulator: 'qemu-ppc', root: '/usr/powerpc-linux-gnu', file: { class: 32, data: 'big' } },
  { emulator: 'qemu-aarch64', root: '/usr/aarch64-linux-gnu', file: { machine: 183 } },
] as const

const provider: ElfDescription = {
  soname: 'libx.so',
  verdefs: ['V1', { name: 'V2', predecessors: ['V1'] }],
  defines: [
    'f@@V2',
    'f@V1',
    'g@@V1',
    'plain',
    { name: 'd', version: 'V1', objectSize: 12 },
    { name: 't', type: 'tls' },
  ],
}
const needs = ['f@V2', 'f@V1', 'g@V1', 'plain', { name: 'd', version: 'V1', file: 'libx.so', copySize: 12 }]
const user: ElfDescription = { needed: ['libx.so'], runpath: '$ORIGIN', needs }
/** What the loaders say of the second program. */
const COMPLAINTS = [
  "bad: libx.so: version `V3' not found (required by bad)",
  'undefined symbol: f, version V3\t(bad)',
  'undefined symbol: none, version V1\t(bad)',
  'undefined symbol: none\t(bad)',
]
const unmet: ElfDescription = { ...user, needs: [...needs, 'f@V3', 'none@V1', 'none', { name: 'soft', weak: true }] }
const TRACE = { LD_TRACE_LOADED_OBJECTS: '1', LD_WARN: '1', LD_BIND_NOW: '1' }

for (const hashStyle of ['sysv', 'gnu'] as const) {
  t.test(`the real loaders load it and find its symbols by the ${hashStyle} hash`, async t => {
    const judge = (name: string, common: ElfDescription, command: readonly string[]) => {
      const [app, bad] = [
        write(`${name}/app`, program({ ...common, ...user, hashStyle })),
        write(`${name}/bad`, program({ ...common, ...unmet, hashStyle })),
      ]
      write(`${name}/libx.so`, library({ ...common, ...provider, hashStyle }))
      const [met, missing] = [app, bad].map(path => {
        const [first = path, ...rest] = [...command, path]
        // An emulator is not to be traced itself.
        const env = command.length === 0 ? TRACE : { PATH: process.env.PATH }
        return spawnSync(first, rest, { env, encoding: 'utf8' })
      })
      t.match(met?.stdout, new RegExp(`^\tlibx.so => ${dirname(app)}/libx.so `, 'm'), name)
      t.equal(met?.stderr, '', name)
      const said = missing?.stderr
        .replaceAll(`${dirname(bad)}/`, '')
        .split('\n')
        .filter(line => line !== '')
      t.same(new Set(said), new Set(COMPLAINTS), name)
    }
    judge(`x86_64-${hashStyle}`, {}, [])
    for (const { emulator, root, file } of EMULATED) {
      judge(`${emulator}-${hashStyle}`, file, [
        emulator,
        '-L',
        root,
        ...Object.entries(TRACE).flatMap(([k, v]) => ['-E', `${k}=${v}`]),
      ])
    }
  })
}

t.test('it can be executed', async t => {
  write('run/libx.so', library({ ...provider, tls: true, executableStack: true }))
  const statusOf = (path: string) => spawnSync(path, { env: {} }).status
  t.equal(statusOf(write('run/pie', program(user))), 0)
  t.equal(statusOf(write('run/fixed', program({ ...user, type: 'exec', tls: true }))), 0)
  t.equal(statusOf(write('run/static', program({ type: 'exec', dynamic: false }))), 0)
  t.equal(statusOf(write('run/unmet', program({ ...unmet }))), 1)
  // musl knows no version need of a file, and takes symbols by their names.
  t.equal(statusOf(write('run/musl', program({ ...user, interpreter: '/lib/ld-musl-x86_64.so.1' }))), 0)
})

t.test('a version may stand in the name, also where there is more to say', async t => {
  const bytes = buildElf({
    needed: ['libx.so'],
    defines: [
      { name: 'f@V', weak: true },
      { name: 'd@@V', objectSize: 4 },
    ],
    needs: [{ name: 'g@W', weak: true }],
  })
  t.same(symbolsOf(bytes), {
    imports: [{ name: 'g', version: 'W', file: 'libx.so', weak: true }],
    exports: [
      { name: 'f', version: 'V', hidden: true, weak: true },
      { name: 'd', version: 'V', objectSize: 4 },
    ],
  })
})

t.test('small', async t => {
  t.ok(library().length < 512, 'as nothing but a library')
  t.ok(program(user).length < 1536)
})

t.test('what contradicts itself is refused', async t => {
  const refused = (description: ElfDescription) =>
    t.throws(() => buildElf(description), { code: 'FIXTURE_INVALID' }, JSON.stringify(description))
  refused({ needs: ['f@V1'] })
  refused({ needs: ['f@V1'], needed: ['liba.so', 'libb.so'] })
  refused({ dynamic: false, needed: ['liba.so'] })
  refused({ dynamic: false, defines: ['f'] })
  refused({ machine: 8, needs: [{ name: 'd', copySize: 4 }] })
  t.throws(() => program({ machine: 8 }), { code: 'FIXTURE_INVALID' })
  t.match(factsOf(buildElf({ dynamic: false, tls: true, type: 'other' })), { dynamic: false, tls: true, type: 'other' })
})
