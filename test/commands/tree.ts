import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runTree } from '../../lib/commands/tree.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { askLoader } from '../support/oracle.js'

const dir = temporaryDirectory()
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

/** Standard output while `run` runs; it writes at once, so nothing of anybody else is in it. */
function captured(run: () => number): { status: number; output: string } {
  const write = process.stdout.write
  let output = ''
  process.stdout.write = ((text: string) => {
    output += text
    return true
  }) as typeof write
  try {
    const status = run()
    return { status, output }
  } finally {
    process.stdout.write = write
  }
}

function tree(files: string[], json: boolean, root = '/') {
  const { status, output } = captured(() => runTree(files, { json, root }))
  return { status, output, lines: output.trimEnd().split('\n') }
}

t.test('--json: an object a line, with what the loader tells', async t => {
  const { status, lines } = tree([whole, '/usr/bin/ls'], true)
  t.equal(status, 0)
  t.equal(lines.length, 2)
  const [first, second] = lines.map(line => JSON.parse(line))
  t.same(first, {
    schema: 'appc.tree/1',
    file: whole,
    interpreter: '/lib64/ld-linux-x86-64.so.2',
    libraries: [
      { name: 'libone.so', path: join(dir, 'libone.so'), how: 'runpath', by: whole },
      { name: 'libtwo.so', path: join(dir, 'libtwo.so'), how: 'runpath', by: whole },
      { name: '/lib64/ld-linux-x86-64.so.2', path: '/lib64/ld-linux-x86-64.so.2', how: 'interpreter', by: whole },
    ],
    problems: [],
  })
  const names = second.libraries.map(({ name, path }: { name: string; path: string }) => ({ name, path }))
  t.same(names, askLoader('/usr/bin/ls').libraries)
})

t.test('what is missing is told, and is the exit status', async t => {
  const { status, lines } = tree([broken], true)
  t.equal(status, 1)
  const { libraries, problems } = JSON.parse(lines[0] as string)
  t.same(
    libraries.filter(({ path }: { path: unknown }) => path === null),
    [
      { name: 'lib\u001bgone.so', path: null, how: 'not-found', by: broken },
      { name: 'libtwo.so', path: null, how: 'not-found', by: join(dir, 'libone.so') },
    ],
  )
  t.same(problems, [
    { kind: 'missing-library', name: 'lib\u001bgone.so', by: broken },
    { kind: 'missing-library', name: 'libtwo.so', by: join(dir, 'libone.so') },
  ])
})

t.test('for people: indented, without control characters or colour where it is no terminal', async t => {
  const { lines, output } = tree([broken], false)
  t.equal(lines[0], broken)
  t.ok(lines.includes(`  libone.so => ${dir}/libone.so (runpath)`))
  t.ok(lines.includes('    libtwo.so => not found'))
  t.ok(lines.includes('  lib\\u{1b}gone.so => not found'))
  t.notOk(output.includes('\u001b'))
})

t.test('a library that two ask for is unfolded once', async t => {
  const file = compile(dir, 'twice', 'void _start(void) {}', [
    ...start,
    '-Wl,--disable-new-dtags',
    'libone.so',
    'libtwo.so',
  ])
  const { status, lines } = tree([file], false)
  t.equal(status, 0)
  t.same(lines.slice(2), [
    `  libone.so => ${dir}/libone.so (rpath)`,
    `    libtwo.so => ${dir}/libtwo.so (loaded)`,
    `  libtwo.so => ${dir}/libtwo.so (rpath)`,
  ])
})

t.test('--root', async t => {
  const root = temporaryDirectory()
  mkdirSync(join(root, 'bin'))
  compile(root, 'bin/lonely', 'void _start(void) {}', [
    '-pie',
    '-fPIE',
    '-nostdlib',
    '-Wl,--no-as-needed',
    join(dir, 'libtwo.so'),
  ])
  symlinkSync('/bin/lonely', join(root, 'link'))
  const { status, lines } = tree(['/link'], true, root)
  t.equal(status, 1)
  t.same(JSON.parse(lines[0] as string).problems, [
    { kind: 'missing-library', name: '/lib64/ld-linux-x86-64.so.2', by: '/bin/lonely' },
  ])
})

t.test('mistakes are typed errors', async t => {
  t.throws(() => runTree([], { json: false, root: '/' }), { code: 'USAGE' })
  t.throws(() => runTree(['/etc/passwd'], { json: false, root: '/' }), { code: 'ELF_NOT' })
  t.throws(() => runTree(['/nowhere'], { json: false, root: '/' }), { code: 'FILE_MISSING' })
  t.throws(() => runTree(['/bin'], { json: false, root: '/nowhere' }), { code: 'ROOT_INVALID' })
})
