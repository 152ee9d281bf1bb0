import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { readElf } from '../../lib/elf/reader.js'
import { readSymbols } from '../../lib/elf/symbols.js'
import type { ElfSymbols } from '../../lib/elf/types.js'
import { foreignFiles, machineFiles, unpacked, withFile } from '../support/elf-files.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { definitionsOf, type ReadelfSymbol, readelf, relocationsOf, symbolsOf } from '../support/readelf.js'

/** Dynamic symbols with their versions, sizes and copy relocations, of real files and of fixtures; readelf judges. */
const dir = temporaryDirectory()

const DATA = ['OBJECT', 'TLS', 'COMMON']

/** `NAME`, `NAME@V` or `NAME@@V`, with ` WEAK`, with ` SIZE` for data. */
function theirExports(symbols: readonly ReadelfSymbol[], versions: readonly string[]): string[] {
  return symbols
    .filter(({ section, binding }) => section !== 'UND' && binding !== 'LOCAL')
    .filter(({ visibility, type }) => !/HIDDEN|INTERNAL/.test(visibility) && !/SECTION|FILE/.test(type))
    .filter(({ section, name }) => !(section === 'ABS' && versions.includes(name)))
    .map(
      ({ text, binding, type, size }) =>
        `${text}${binding === 'WEAK' ? ' WEAK' : ''}${DATA.includes(type) ? ` ${size}` : ''}`,
    )
    .sort()
}

function ourExports({ exports }: ElfSymbols): string[] {
  return exports
    .map(({ name, version, hidden, weak, objectSize }) => {
      const at = version === undefined ? '' : `${hidden ? '@' : '@@'}${version}`
      return `${name}${at}${weak ? ' WEAK' : ''}${objectSize === undefined ? '' : ` ${objectSize}`}`
    })
    .sort()
}

function theirImports(symbols: readonly ReadelfSymbol[]): string[] {
  return symbols
    .filter(({ section, binding, text }) => section === 'UND' && binding !== 'LOCAL' && text !== '')
    .map(({ text, binding }) => `${text}${binding === 'WEAK' ? ' WEAK' : ''}`)
    .sort()
}

function ourImports({ imports }: ElfSymbols): string[] {
  return imports
    .filter(({ copySize }) => copySize === undefined)
    .map(({ name, version, weak }) => `${name}${version === undefined ? '' : `@${version}`}${weak ? ' WEAK' : ''}`)
    .sort()
}

function ourCopies({ imports }: ElfSymbols): string[] {
  return imports
    .filter(({ copySize }) => copySize !== undefined)
    .map(({ name, copySize }) => `${name} ${copySize}`)
    .sort()
}

function compare(t: Test, paths: readonly string[]): { symbols: number; copies: number } {
  const outputs = readelf(['--dyn-syms', '--version-info'], paths)
  const programs = paths.filter(path => withFile(path, readElf).interpreter !== null)
  const relocations = relocationsOf(programs)
  const short: { path: string; missing: readonly string[] }[] = []
  let symbols = 0
  let copies = 0
  for (const path of paths) {
    const output = outputs.get(path) as string
    const theirs = symbolsOf(output)
    const ours = withFile(path, readSymbols)
    const defined = definitionsOf(output)
    t.equal(ourExports(ours).join('\n'), theirExports(theirs, defined).join('\n'), `${path}: exports`)

    const copied = new Set(relocations.get(path)?.flatMap(({ type, name }) => (type.endsWith('_COPY') ? [name] : [])))
    const theirCopies = theirs.filter(({ section, name }) => section !== 'UND' && copied.has(name))
    t.same(ourCopies(ours), theirCopies.map(({ name, size }) => `${name} ${size}`).sort(), `${path}: copies`)

    const imports = ourImports(ours)
    const found = new Set(imports)
    const missing = theirImports(theirs).filter(name => !found.has(name))
    if (missing.length > 0) short.push({ path, missing })
    t.equal([...imports, ...missing].sort().join('\n'), theirImports(theirs).join('\n'), `${path}: imports`)
    symbols += imports.length + ours.exports.length
    copies += theirCopies.length
  }
  compareShort(t, short)
  return { symbols, copies }
}

/**
 * DT_GNU_HASH of a file that exports nothing does not tell how many symbols there are. Then those after the last that a relocation
 * refers to are not found, and not missed: nobody looks for them.
 */
function compareShort(t: Test, short: readonly { path: string; missing: readonly string[] }[]): void {
  const relocations = relocationsOf(short.map(({ path }) => path))
  for (const { path, missing } of short) {
    const relocated = new Set(relocations.get(path)?.map(({ name }) => name))
    t.same(withFile(path, readSymbols).exports, [], `${path}: exports nothing`)
    t.same(
      missing.filter(name => relocated.has(name.split(/[@ ]/)[0] as string)),
      [],
      `${path}: imports that matter`,
    )
  }
}

t.test('real files', async t => {
  const machine = machineFiles(550).filter(path => withFile(path, readElf).dynamic)
  t.ok(machine.length >= 500, `${machine.length} files of this machine`)
  const foreign = foreignFiles()
  const { symbols, copies } = compare(t, [...machine, ...foreign])
  t.ok(copies > 0)
  t.comment(
    `${machine.length} files of this machine, ${foreign.length} of others: ${symbols} symbols, ${copies} copies`,
  )
})

t.test('fixtures', async t => {
  const source = `
    extern int there(void);
    int data = 7;
    __thread int local;
    __attribute__((visibility("hidden"))) int hidden;
    __attribute__((visibility("protected"))) int guarded(void) { return there(); }
    __attribute__((weak)) int soft(void) { return hidden; }`
  const importing = 'extern int data; extern int soft(void); void _start(void) { data += soft(); }'
  const flags = ['-shared', '-fPIC', '-nostdlib']
  const gnu = compile(dir, 'libgnu.so', source, [...flags, '-Wl,--hash-style=gnu'])
  compare(t, [
    compile(dir, 'libsysv.so', source, [...flags, '-Wl,--hash-style=sysv']),
    gnu,
    compile(dir, 'imports-only', importing, [
      '-nostdlib',
      '-no-pie',
      '-Wl,--hash-style=gnu,--allow-shlib-undefined',
      gnu,
    ]),
    compile(dir, 'lib32.so', 'int data = 3; int f(void) { return data; }', ['-m32', ...flags]),
  ])
})

/** Assembled and linked, for want of a compiler: a copied variable, and a DT_HASH table, whose words have 64 bits there. */
t.test('a program for s390x', async t => {
  const tools = unpacked('binutils-s390x-linux-gnu')
  const libc = foreignFiles().find(path => path.endsWith('s390x-linux-gnu/lib/libc.so.6')) as string
  const run = (tool: string, args: readonly string[], input = '') =>
    execFileSync(join(tools, 'usr/bin', `s390x-linux-gnu-${tool}`), args, {
      cwd: dir,
      input,
      env: { LD_LIBRARY_PATH: join(tools, 'usr/lib/x86_64-linux-gnu') },
    })
  run('as', ['-o', 's390x.o', '-'], '.globl _start\n_start: larl %r1,environ\n')
  run('ld', ['--hash-style=sysv', '-dynamic-linker', '/lib/ld64.so.1', '-o', 's390x', 's390x.o', libc])
  const path = join(dir, 's390x')
  t.equal(compare(t, [path]).copies, 1)
  t.match(withFile(path, readSymbols).imports, [{ name: 'environ', copySize: 8 }])
})
