import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { addon } from '../../lib/launch/addon.js'
import { buildElf } from '../../lib/testing/build-elf.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { APPC } from '../support/node.js'
import { askLoader, HOST_LOADER } from '../support/oracle.js'

const dir = temporaryDirectory()
const home = temporaryDirectory()
compile(dir, 'libtwo.so', 'int two(void) { return 2; }', ['-shared', '-fPIC', '-nostdlib', '-Wl,-soname,libtwo.so'])
compile(dir, 'libone.so', 'int one(void) { return 1; }', [
  '-shared',
  '-fPIC',
  '-nostdlib',
  '-Wl,-soname,libone.so,--no-as-needed',
  'libtwo.so',
  'libtwo.so',
])
compile(dir, 'libgone.so', '', ['-shared', '-fPIC', '-nostdlib', '-Wl,-soname,lib\u001bgone.so'])
const start = ['-pie', '-fPIE', '-nostdlib', '-Wl,--no-as-needed,--allow-shlib-undefined', `-Wl,-rpath,${dir}`]
const whole = compile(dir, 'whole', 'void _start(void) {}', [...start, 'libone.so', 'libtwo.so'])
const broken = compile(dir, 'broken', 'void _start(void) {}', [...start, 'libone.so', 'libgone.so'])

/** The command as it is run. */
function tree(args: readonly string[], environment: Readonly<Record<string, string>> = {}, cwd = '/') {
  const [command, ...before] = APPC
  const { status, stdout, stderr } = spawnSync(command, [...before, 'tree', ...args], {
    cwd,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, APPC_HOME: home, ...environment },
  })
  return { status, stdout, stderr, lines: stdout.trimEnd().split('\n') }
}

/** One file's object. */
function described(file: string, ...options: readonly string[]) {
  const { status, lines } = tree(['--json', ...options, file])
  return { status, ...JSON.parse(lines[0] as string) }
}

t.test('--json: an object a line, with what the loader tells', async t => {
  const { status, lines } = tree(['--json', whole, '/usr/bin/ls'])
  t.equal(status, 0)
  t.equal(lines.length, 2)
  const [first, second] = lines.map(line => JSON.parse(line))
  const interpreter = '/lib64/ld-linux-x86-64.so.2'
  const two = join(dir, 'libtwo.so')
  t.match(first, {
    schema: 'appc.tree/2',
    file: whole,
    interpreter,
    objects: [
      { path: whole, realPath: whole, soname: null },
      { path: join(dir, 'libone.so'), soname: 'libone.so', names: ['libone.so'] },
      { path: two, realPath: two, soname: 'libtwo.so', names: ['libtwo.so'] },
      { path: interpreter, realPath: realpathSync(interpreter) },
    ],
    edges: [
      { from: 0, to: 3, name: interpreter, how: 'interpreter' },
      { from: 0, to: 1, name: 'libone.so', how: 'runpath' },
      { from: 0, to: 2, name: 'libtwo.so', how: 'runpath' },
      { from: 1, to: 2, name: 'libtwo.so', how: 'loaded' },
    ],
    problems: [],
  })
  const names = second.objects.slice(1).map(({ path }: { path: string }) => path)
  t.same(
    names,
    askLoader('/usr/bin/ls').libraries.map(({ path }) => path),
  )
})

t.test('what is missing is told, and is the exit status', async t => {
  const { status, edges, problems } = described(broken)
  t.equal(status, 1)
  t.same(
    edges
      .filter(({ to }: { to: number }) => to === -1)
      .map(({ name, how }: { name: string; how: string }) => [name, how]),
    [
      ['lib\u001bgone.so', 'not-found'],
      ['libtwo.so', 'not-found'],
    ],
  )
  t.same(problems, [
    { kind: 'missing-library', name: 'lib\u001bgone.so', by: broken },
    { kind: 'missing-library', name: 'libtwo.so', by: join(dir, 'libone.so') },
  ])
})

t.test('for people: indented, without control characters or colour where it is no terminal', async t => {
  const { lines, stdout } = tree([broken])
  t.equal(lines[0], broken)
  t.ok(lines.includes(`  libone.so => ${dir}/libone.so (runpath)`))
  t.ok(lines.includes('    libtwo.so => not found'))
  t.ok(lines.includes('  lib\\x1bgone.so => not found'))
  t.notOk(stdout.includes('\u001b'))
})

t.test('a library that two ask for is unfolded once', async t => {
  const file = compile(dir, 'twice', 'void _start(void) {}', [
    ...start,
    '-Wl,--disable-new-dtags',
    'libone.so',
    'libtwo.so',
  ])
  const { status, lines } = tree([file])
  t.equal(status, 0)
  t.same(lines.slice(2), [
    `  libone.so => ${dir}/libone.so (rpath)`,
    `    libtwo.so => ${dir}/libtwo.so (loaded)`,
    `  libtwo.so => ${dir}/libtwo.so (rpath)`,
  ])
})

t.test('a missing version stands with the one who lacks it', async t => {
  writeFileSync(join(dir, 'v.map'), 'V1 { global: one; }; V2 { global: two; };')
  const source = 'int one(void) { return 1; } int two(void) { return 2; }'
  const flags = ['-shared', '-fPIC', '-nostdlib', '-Wl,-soname,libv.so']
  compile(dir, 'new/libv.so', source, [...flags, '-Wl,--version-script=v.map'])
  const file = compile(dir, 'versioned', 'int two(void); void _start(void) { two(); }', [...start, 'new/libv.so'])
  writeFileSync(join(dir, 'v.map'), 'V1 { global: one; };')
  compile(dir, 'libv.so', source, [...flags, '-Wl,--version-script=v.map'])
  const { status, lines } = tree([file])
  t.equal(status, 1)
  t.ok(lines.includes(`  libv.so => ${dir}/libv.so (runpath) without V2`))
  t.equal(lines.at(-1), `libv.so has no version V2: ${file} needs it`)
})

t.test('--root', async t => {
  const root = temporaryDirectory()
  mkdirSync(join(root, 'bin'))
  const flags = ['-pie', '-fPIE', '-nostdlib', '-Wl,--no-as-needed', join(dir, 'libtwo.so')]
  compile(root, 'bin/lonely', 'void _start(void) {}', flags)
  symlinkSync('/bin/lonely', join(root, 'link'))
  const { status, problems } = described('/link', '--root', root)
  t.equal(status, 1)
  t.same(problems, [{ kind: 'missing-library', name: '/lib64/ld-linux-x86-64.so.2', by: '/bin/lonely' }])
  // A directory of it, which is looked through without leaving the tree.
  symlinkSync('/usr/bin', join(root, 'bin/out'))
  const all = tree(['--root', root, '/'])
  t.same(
    all.lines.filter(line => /^\/\S*$/.test(line)),
    ['/bin/lonely'],
  )
})

t.test('--ld-library-path and --cpu', async t => {
  compile(dir, 'elsewhere/libtwo.so', '', ['-shared', '-fPIC', '-nostdlib', '-Wl,-soname,libtwo.so'])
  const twin = compile(dir, 'glibc-hwcaps/x86-64-v3/libtwo.so', '', [
    '-shared',
    '-fPIC',
    '-nostdlib',
    '-Wl,-soname,libtwo.so',
  ])
  const path = (...options: readonly string[]) => {
    const { objects, edges } = described(whole, ...options)
    const edge = edges.find(({ name, from }: { name: string; from: number }) => name === 'libtwo.so' && from === 0)
    return objects[edge.to].path
  }
  t.equal(path('--ld-library-path', join(dir, 'elsewhere')), join(dir, 'elsewhere/libtwo.so'))
  t.equal(path('--cpu', 'x86-64-v4'), twin)
  t.equal(path('--cpu', 'x86-64-v3'), twin)
  t.equal(path('--cpu', 'x86-64-v2'), join(dir, 'libtwo.so'))
  rmSync(join(dir, 'glibc-hwcaps'), { recursive: true })
})

t.test('--verify: the real loader is asked, and says the same', async t => {
  const { status, stdout } = tree(['--verify', whole, broken])
  t.equal(status, 1, 'for what is missing')
  t.equal(stdout.match(/^the real loader says the same$/gm)?.length, 2)
  const other = ['x86-64', 'x86-64-v4'].find((_, index) => index * 3 + 1 !== addon().cpuLevel()) as string
  t.match(described(whole, '--verify', '--cpu', other).verdict, { kind: 'unasked', reason: 'other-cpu' })
})

t.test('--verify of what cannot be told is no contradiction', async t => {
  const place = temporaryDirectory()
  const program = compile(place, 'program', 'void _start(void) {}', [
    ...start.slice(0, -1),
    `-Wl,-rpath,${place}/Q`,
    join(dir, 'libtwo.so'),
  ])
  const bytes = readFileSync(program)
  bytes[bytes.indexOf(`${place}/Q\0`) + place.length + 1] = 0xff
  writeFileSync(program, bytes)
  // The loader finds it in a directory whose name is no text.
  const directory = Buffer.from(`${place}/\xff`, 'latin1')
  const library = Buffer.from(`${place}/\xff/libtwo.so`, 'latin1')
  mkdirSync(directory)
  copyFileSync(join(dir, 'libtwo.so'), library)
  t.match(described(program, '--verify'), {
    status: 0,
    problems: [{ kind: 'undecidable', by: program }],
    verdict: { kind: 'unasked', reason: 'undecidable', because: /is not UTF-8/ },
  })
  t.match(tree(['--verify', program]).stdout, /^the real loader gave no verdict: .* is not UTF-8/m)
  rmSync(library)
  rmdirSync(directory)
})

t.test('a directory: all programs and libraries below, whatever else is there', async t => {
  const place = temporaryDirectory()
  compile(place, 'deep/er/prog', 'void _start(void) {}', [...start, join(dir, 'libtwo.so')])
  writeFileSync(join(place, 'text'), 'no ELF file')
  writeFileSync(join(place, 'short'), '\x7fELF')
  compile(place, 'object.o', 'int x;', ['-c'])
  symlinkSync('deep/er/prog', join(place, 'link'))
  const { status, lines } = tree(['--json', place])
  t.equal(status, 0)
  t.same(
    lines.map(line => JSON.parse(line).file),
    [join(place, 'deep/er/prog')],
  )
})

t.test('many files: what is remembered of them, or was read together, is what each says by itself', async t => {
  const alone = [whole, '/usr/bin/ls'].map(file => described(file)).map(({ status, ...rest }) => rest)
  const many = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? whole : '/usr/bin/ls'))
  for (const when of ['cold', 'warm']) {
    const { status, lines } = tree(['--json', ...many])
    t.equal(status, 0)
    t.same(
      lines.map(line => JSON.parse(line)),
      many.map((_, index) => alone[index % 2]),
      when,
    )
    t.ok(statSync(join(home, 'cache/facts')).size > 0)
  }
})

t.test('names are what the kernel takes them for', async t => {
  const place = temporaryDirectory()
  mkdirSync(join(place, 'real/sub'), { recursive: true })
  symlinkSync('real/sub', join(place, 'link'))
  copyFileSync(whole, join(place, 'real/prog'))
  copyFileSync('/usr/bin/ls', join(place, 'prog'))
  writeFileSync(join(place, 'real/new\nline'), readFileSync(whole))
  const first = (file: string) => JSON.parse(tree(['--json', file], {}, place).lines[0] as string).objects[0].path
  t.equal(first('link/../prog'), join(place, 'real/prog'), '.. behind a link')
  t.equal(first(`${place}/./link//../prog`), join(place, 'real/prog'))
  t.same(
    tree(['link/..'], {}, place).lines.filter(line => !line.startsWith(' ')),
    ['link/../new\\x0aline', 'link/../prog'],
  )
  for (const name of ['', 'prog/', 'a/'.repeat(2000), 'a/'.repeat(3000), 'link/../../none']) {
    const { status, stdout, stderr } = tree(['--json', name], {}, place)
    t.equal(status, 1, name.slice(0, 20))
    t.equal(stdout, '')
    t.match(JSON.parse(stderr).code, /^FILE_(MISSING|UNREADABLE)$/)
  }
})

t.test('what is long, damaged, closed, or no file, is told of by itself', async t => {
  const place = temporaryDirectory()
  const runpath = `/${'a/'.repeat(5000)}`
  writeFileSync(join(place, 'deep'), buildElf({ needed: ['liba.so'], runpath, interpreter: HOST_LOADER }))
  copyFileSync(whole, join(place, 'whole'))
  execFileSync('sh', ['-c', 'mkdir "$(printf "dir\\377")"; cp whole "$(printf "bad\\377")"; mkfifo fifo'], {
    cwd: place,
  })
  const { status, stdout, stderr } = tree([place])
  t.equal(status, 1)
  t.same(
    stdout.split('\n').filter(line => line.startsWith(place)),
    [join(place, 'deep'), join(place, 'whole')],
  )
  t.equal(stderr.match(/the path is not UTF-8/g)?.length, 2)
  const named = tree([join(place, 'fifo'), '/dev/null', join(place, 'bad\ufffd'), whole])
  t.equal(named.stderr.match(/it is a device, a pipe or a socket/g)?.length, 2)
  t.match(named.stderr, 'the path is not UTF-8')
  t.match(named.stdout, `${whole}\n`)
  // With long lists too.
  t.equal(tree(['--ld-library-path', runpath, whole]).status, 0)
})

t.test('a needed name that is not UTF-8 is not said to be missing: the loader finds it', async t => {
  const place = temporaryDirectory()
  const script = `
    lib=$(printf 'lib\\377.so')
    echo 'void _start(void) {}' >x.c
    gcc -shared -nostdlib -fPIC -o "$lib" x.c -Wl,-soname,"$lib"
    gcc -pie -fPIE -nostdlib -o prog x.c -Wl,--no-as-needed,-rpath,"$PWD" "./$lib"`
  execFileSync('sh', ['-ec', script], { cwd: place })
  const prog = join(place, 'prog')
  t.match(askLoader(prog).libraries, [{ name: 'lib\ufffd.so', path: join(place, 'lib\ufffd.so') }])
  const { status, problems } = described(prog)
  t.equal(status, 0)
  t.match(problems, [{ kind: 'undecidable', because: /is not UTF-8/ }])
})

t.test('without a working directory, or room for remembered facts', async t => {
  const script = 'mkdir gone; cd gone; rmdir ../gone; exec "$@"'
  const run = (...args: readonly string[]) =>
    spawnSync('sh', ['-c', script, 'sh', ...APPC, 'tree', ...args], {
      cwd: temporaryDirectory(),
      encoding: 'utf8',
    })
  t.match(run('x', whole), { status: 1, stderr: 'appc: x does not exist\n', stdout: `${whole}\n` })
  t.match(run('--verify', whole).stdout, 'the real loader says the same')
  const place = temporaryDirectory()
  writeFileSync(join(place, 'cache'), '')
  const many = Array.from({ length: 40 }, () => whole)
  t.match(tree(many, { APPC_HOME: place }), { status: 0, stderr: '' })
  t.match(tree(many, { APPC_HOME: join(place, 'cache') }), { status: 0, stderr: '' })
})

t.test('output that cannot be written', async t => {
  const shell = (script: string) =>
    spawnSync('bash', ['-c', script, 'sh', ...APPC, 'tree', '/usr/bin/ls'], {
      encoding: 'utf8',
    })
  t.match(shell('"$@" >/dev/full'), { status: 125, stderr: /^appc: standard output cannot be written: ENOSPC/ })
  t.match(shell('"$@" >&-'), { status: 0, stderr: '' })
  t.match(shell('set -o pipefail; "$@" | true'), { status: 0, stderr: '' })
})

t.test('a mistake is told on stderr, and the other files all the same', async t => {
  const { status, stdout, stderr } = tree(['/etc/passwd', whole])
  t.equal(status, 1)
  t.match(stderr, /^appc: \/etc\/passwd .*: not an ELF file/)
  t.match(stdout, `${whole}\n`)
  for (const [args, expected, code] of [
    [['/etc/passwd'], 1, 'ELF_NOT'],
    [['/nowhere'], 1, 'FILE_MISSING'],
    [[], 2, 'USAGE'],
    [['--cpu', 'pentium', whole], 2, 'USAGE'],
    [['--root', '/nowhere', '/bin'], 2, 'ROOT_INVALID'],
  ] as const) {
    const { status, stderr } = tree(['--json', ...args])
    t.equal(status, expected)
    t.equal(JSON.parse(stderr.split('\n')[0] as string).code, code)
  }
})
