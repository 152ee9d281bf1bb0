import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readElf } from '../../lib/elf/reader.js'
import { readSymbols } from '../../lib/elf/symbols.js'
import type { ElfFacts, ElfSymbols } from '../../lib/elf/types.js'
import { openHostFile } from '../../lib/loader/root-file-system.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { type Readelf, readelf } from '../support/readelf.js'

/** This machine's libraries and programs, every eighth, and fixtures of kinds that it may lack; readelf is the judge. */
const dir = temporaryDirectory()
const LIBRARIES = '/usr/lib/x86_64-linux-gnu'

const machineFiles = [
  ...readdirSync(LIBRARIES, { withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.includes('.so'))
    .map(({ name }) => join(LIBRARIES, name)),
  ...readdirSync('/usr/bin', { withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ name }) => join('/usr/bin', name)),
]
  .filter(isElf)
  .filter((_, index) => index % 3 === 0)

function isElf(path: string): boolean {
  const file = openHostFile(path)
  try {
    const magic = Buffer.alloc(4)
    return file.read(magic, 0) === 4 && magic.toString('latin1') === '\x7fELF'
  } finally {
    file.close()
  }
}

function read(path: string): { facts: ElfFacts; symbols: ElfSymbols } {
  const file = openHostFile(path)
  try {
    return { facts: readElf(file), symbols: readSymbols(file) }
  } finally {
    file.close()
  }
}

function compare(t: { same: (a: unknown, b: unknown, m: string) => void }, path: string): void {
  const { facts, symbols } = read(path)
  const theirs: Readelf = readelf(path)
  const { needed, soname, rpath, runpath, interpreter, buildId, flags1 } = facts
  t.same(
    {
      needed,
      soname,
      rpath,
      runpath,
      interpreter,
      buildId,
      pie: (flags1 & 0x0800_0000) !== 0,
      tls: facts.tls,
      executableStack: facts.executableStack,
    },
    theirs.facts,
    `${path}: facts`,
  )
  t.same(
    facts.verdefs.map(({ name }) => name),
    theirs.verdefs,
    `${path}: versions defined`,
  )
  t.same(
    facts.verneeds.map(({ file, version, weak }) => `${file} ${version}${weak ? ' WEAK' : ''}`).sort(),
    theirs.verneeds,
    `${path}: versions needed`,
  )
  t.same(
    symbols.exports
      .map(
        s =>
          `${s.name}${s.version === undefined ? '' : `${s.hidden ? '@' : '@@'}${s.version}`}${s.weak ? ' WEAK' : ''}${s.objectSize === undefined ? '' : ` ${s.objectSize}`}`,
      )
      .sort(),
    theirs.exports,
    `${path}: exports`,
  )
  const relocated = (list: readonly string[]) =>
    list.filter(name => theirs.relocated.has(name.split(/[@ ]/)[0] as string))
  const imports = symbols.imports
    .filter(({ copySize }) => copySize === undefined)
    .map(s => `${s.name}${s.version === undefined ? '' : `@${s.version}`}${s.weak ? ' WEAK' : ''}`)
    .sort()
  t.same(relocated(imports), relocated(theirs.imports), `${path}: imports`)
  t.same(
    symbols.imports
      .filter(({ copySize }) => copySize !== undefined)
      .map(({ name, copySize }) => `${name} ${copySize}`)
      .sort(),
    theirs.copies,
    `${path}: copies`,
  )
}

t.test(`${machineFiles.length} files of this machine`, async t => {
  t.ok(machineFiles.length > 100)
  for (const path of machineFiles) compare(t, path)
})

t.test('fixtures', async t => {
  const source =
    'extern int there(void); int data = 7; __thread int local; __attribute__((visibility("hidden"))) int hidden; __attribute__((visibility("protected"))) int guarded(void) { return there(); } __attribute__((weak)) int soft(void) { return hidden; }'
  const flags = ['-shared', '-fPIC', '-nostdlib']
  compare(t, compile(dir, 'libsysv.so', source, [...flags, '-Wl,--hash-style=sysv']))
  compare(t, compile(dir, 'libgnu.so', source, [...flags, '-Wl,--hash-style=gnu,-z,execstack,-rpath,/a:/b']))
  compare(
    t,
    compile(dir, 'imports-only', 'extern int data; extern int soft(void); void _start(void) { data += soft(); }', [
      '-nostdlib',
      '-no-pie',
      '-Wl,--hash-style=gnu,--allow-shlib-undefined',
      join(dir, 'libgnu.so'),
    ]),
  )
  // Section headers are not needed: e_shoff, e_shnum and e_shstrndx are zeroed here.
  const bare = compile(dir, 'libbare.so', source, flags)
  const bytes = readFileSync(bare)
  writeFileSync(bare, bytes.fill(0, 40, 48).fill(0, 60, 64))
  t.same(
    read(bare)
      .symbols.exports.map(({ name }) => name)
      .sort(),
    ['data', 'guarded', 'local', 'soft'],
  )
})

t.test('i386, without its C library', async t => {
  compare(
    t,
    compile(dir, 'lib32.so', 'int data = 3; int f(void) { return data; }', [
      '-m32',
      '-shared',
      '-fPIC',
      '-nostdlib',
      '-Wl,-soname,lib32.so',
    ]),
  )
})

t.test('what is no ELF file', async t => {
  t.throws(() => read('/etc/passwd'), { code: 'ELF_NOT' })
  t.throws(() => read('/dev/null'), { code: 'EINVAL' })
})
