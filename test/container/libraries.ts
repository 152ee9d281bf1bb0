import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Container } from '../../lib/container/containers.js'
import { decodeManifest, encodeManifest } from '../../lib/container/manifest.js'
import { packContainer } from '../../lib/container/pack.js'
import { createStore } from '../../lib/store/store.js'
import { type DebianPackage, installPackages } from '../host/debian.js'
import { system } from '../store/system.js'
import { dlopenNote } from '../support/notes.js'
import { compile, hostLoader, library } from './tree.js'

/** What notes say that is opened by dlopen (.note.dlopen) is taken as what is NEEDED is. */
const { directory, loader, libc } = hostLoader()
const base = t.testdir({})

interface Note {
  readonly soname: readonly string[]
  readonly priority?: string
  readonly feature?: string
}

const noting = (...notes: readonly Note[]) => `${dlopenNote(JSON.stringify(notes))} int noting(void) { return 1; }\n`
const MAIN = 'int main(void) { return 0; }\n'
const at = (name: string) => `${directory}/${name}`
const lib = (soname: string, source = '') => library(soname, `${source} int f(void) { return 1; }`)
const pkg = (name: string, files: DebianPackage['files'], control: Record<string, string> = {}): DebianPackage => ({
  control: { Package: name, ...control },
  files,
})

const deep = library('libdeep.so.1', 'int deep(void) { return 1; }')
/** Each library in a package of its own, with something beside it. Nothing depends on any. */
const PACKAGES: readonly DebianPackage[] = [
  pkg('libc6', {
    [at('libc.so.6')]: libc,
    [at('ld-linux-x86-64.so.2')]: loader,
    '/lib64/ld-linux-x86-64.so.2': { link: at('ld-linux-x86-64.so.2') },
  }),
  pkg('libold1', { [at('libold.so.1')]: lib('libold.so.1') }),
  pkg('libnew2', {
    [at('libnew.so.2.1')]: library('libnew.so.2', 'int deep(void); int f(void) { return deep(); }', '', {
      'libdeep.so.1': deep,
    }),
    [at('libnew.so.2')]: { link: 'libnew.so.2.1' },
    '/usr/share/new/data': 'x',
  }),
  pkg('libdeep1', { [at('libdeep.so.1')]: deep }),
  pkg('libmore1', { [at('libmore.so.1')]: lib('libmore.so.1', noting({ soname: ['libold.so.1'] })) }),
  pkg('libcore1', { [at('libcore.so.1')]: lib('libcore.so.1') }, { Essential: 'yes' }),
  pkg('libbroken1', {
    [at('libbroken.so.1')]: library('libbroken.so.1', 'int gone(void); int f(void) { return gone(); }', '', {
      'libgone.so.1': library('libgone.so.1', 'int gone(void) { return 1; }'),
    }),
  }),
]

const required = { soname: ['libabsent.so.1', 'libabsent.so.2'], priority: 'required', feature: 'sound' }
const used = library(
  'libused.so.1',
  `${noting({ soname: ['libinner.so.1'], priority: 'required' })} int used(void) { return 1; }`,
)
const noted = (...notes: readonly Note[]) => compile(noting(...notes) + MAIN, [])
/** By name: the program, and what its package ships besides. */
const PROGRAMS: Readonly<Record<string, readonly [program: Buffer, files?: DebianPackage['files']]>> = {
  several: [
    noted(
      { soname: ['libabsent.so.3', 'libnew.so.2', 'libold.so.1'], priority: 'required' },
      { soname: ['libmore.so.1'] },
      { soname: ['libcore.so.1'], priority: 'recommended' },
      { soname: ['libdeep.so.1'], priority: 'suggested' },
      { soname: ['libabsent.so.1'], priority: 'recommended' },
    ),
  ],
  // By the RPATH of the program, which the library alone would not have.
  using: [
    compile('int used(void); int main(void) { return used(); }', ['-Wl,--disable-new-dtags,-rpath,/usr/lib/using'], {
      'libused.so.1': used,
    }),
    {
      [at('libused.so.1')]: used,
      '/usr/lib/using/libinner.so.1': library('libinner.so.1', 'int inner(void) { return 1; }'),
    },
  ],
  second: [noted({ soname: ['libbroken.so.1', 'libold.so.1'], priority: 'required' })],
  lacking: [noted(required)],
  broken: [noted({ soname: ['libbroken.so.1'], priority: 'required' })],
  plugins: [compile(MAIN, []), { '/usr/lib/plugins/plugin.so': compile(noting(required), ['-shared', '-fPIC']) }],
  still: [compile(noting(required) + MAIN, ['-static'])],
}

const tree = join(base, 'tree')
mkdirSync(tree)
installPackages(tree, [
  ...PACKAGES,
  ...Object.entries(PROGRAMS).map(([name, [program, files]]) =>
    pkg(name, { [`/usr/bin/${name}`]: program, ...files }, { Depends: 'libc6' }),
  ),
])
const store = { home: join(base, 'store'), system }
createStore(store, 0)

function pack(name: string): Container {
  const options = { include: [], withEssential: false, withDocumentation: false, withLocales: false }
  const container = packContainer({ root: tree, name, entries: [name], ...options }, store)
  t.same(decodeManifest(encodeManifest(container.manifest)), container.manifest)
  return container
}

function dlopened({ manifest }: Container, path: string): object | undefined {
  const file = manifest.files.find(file => file.path === path)
  return file?.type === 'file' ? file.elf?.dlopened : undefined
}

/** Besides the entry's own and libc6, which every one has. */
function packages({ manifest }: Container): string[] {
  return manifest.packages.flatMap(({ name, own }) => (own || name === 'libc6' ? [] : [name]))
}

t.test('the first name of each note that is not suggested, with its closure and its package', async t => {
  const app = pack('several')
  t.same(dlopened(app, '/usr/bin/several'), {
    'libcore.so.1': at('libcore.so.1'),
    'libmore.so.1': at('libmore.so.1'),
    'libnew.so.2': at('libnew.so.2.1'),
  })
  t.same(packages(app), ['libmore1', 'libnew2', 'libold1'], 'not that of an essential package')
  const paths = app.manifest.files.map(({ path }) => path)
  for (const path of [at('libnew.so.2'), at('libdeep.so.1'), at('libcore.so.1'), '/usr/share/new/data']) {
    t.ok(paths.includes(path), path)
  }
  const file = app.manifest.files.find(({ path }) => path === at('libnew.so.2.1'))
  t.match(file, { elf: { role: 'library', resolved: { 'libdeep.so.1': at('libdeep.so.1') } } })
  t.same(dlopened(app, at('libmore.so.1')), { 'libold.so.1': at('libold.so.1') }, 'and so on')
  t.equal(dlopened(app, at('libold.so.1')), undefined)
})

t.test('what a library’s notes name, where it is in the process of a program', async t => {
  t.same(dlopened(pack('using'), at('libused.so.1')), { 'libinner.so.1': '/usr/lib/using/libinner.so.1' })
})

t.test('a name that is there and cannot be opened counts as not there', async t => {
  const app = pack('second')
  t.same(dlopened(app, '/usr/bin/second'), { 'libold.so.1': at('libold.so.1') })
  t.same(packages(app), ['libold1'])
})

t.test('only an entry must have what it requires', async t => {
  t.throws(() => pack('lacking'), {
    code: 'LIBRARY_MISSING',
    message: '/usr/bin/lacking needs libabsent.so.1 or libabsent.so.2, which the tree does not supply',
    because: 'by its notes it requires that for sound',
  })
  t.throws(() => pack('broken'), { code: 'LIBRARY_MISSING', message: /needs libbroken.so.1, which/ })
  t.equal(dlopened(pack('plugins'), '/usr/lib/plugins/plugin.so'), undefined)
  t.equal(dlopened(pack('still'), '/usr/bin/still'), undefined, 'a static program opens nothing')
})
