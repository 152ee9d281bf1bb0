import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { openElf } from '../../lib/elf/header.js'
import { isDebugFile, readSections, type Section } from '../../lib/elf/sections.js'
import { foreignFiles, machineFiles, withFile } from '../support/elf-files.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { readelf } from '../support/readelf.js'

/** Section headers of every class and byte order; second-opinion.ts has more files of 64 bits. readelf judges. */
const dir = temporaryDirectory()

function sectionsOf(path: string): Section[] {
  return withFile(path, file => {
    const { window, header } = openElf(file)
    return readSections(window, header)
  })
}

const SECTION =
  /^ {2}\[ *\d+\] (\S*) +[A-Z].*? +([0-9a-f]{8}|[0-9a-f]{16}) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) +([A-Za-z]*) +(\d+) +(\d+) +(\d+)$/gm

/** What -S has in numbers. */
function theirSections(output: string): string[] {
  return [...output.matchAll(SECTION)].map(([, name, address, offset, size, entrySize, , link, info, align]) => {
    const hex = [address, offset, size, entrySize].map(text => Number(`0x${text}`))
    return [name, ...hex, ...[link, info, align].map(Number)].join(' ')
  })
}

function ourSections(path: string): string[] {
  return sectionsOf(path).map(({ name, address, offset, size, entrySize, link, info, align }) =>
    [name, address, offset, size, entrySize, link, info, align].join(' '),
  )
}

t.test('real files', async t => {
  for (const [path, output] of readelf(['--sections'], [...machineFiles(150), ...foreignFiles()]))
    t.equal(ourSections(path).join('\n'), theirSections(output).join('\n'), path)
})

t.test('more sections than 16 bits can number', async t => {
  const path = join(dir, 'many.o')
  const source = '.altmacro\n.macro one n\n.section .s\\n\n.endm\n.set i,0\n.rept 65300\none %i\n.set i,i+1\n.endr\n'
  execFileSync('as', ['-o', path, '-'], { input: source })
  const output = readelf(['--sections'], [path]).get(path) as string
  const ours = ourSections(path)
  t.ok(ours.length > 65_300)
  t.equal(ours.join('\n'), theirSections(output).join('\n'))
})

t.test('a separate debug file is told from what it was taken from', async t => {
  const source = `
    __thread char untouched[0x8000];
    static int value(void) { return 1; }
    int (*const table[])(void) = { value };
    int main(void) { return untouched[1]; }`
  // .tbss has the addresses of what follows it, the dynamic section among them, and is NOBITS in sound files too.
  const program = compile(dir, 'program', source, ['-g'])
  const library = compile(dir, 'lib.so', 'int f(void) { return 1; }', ['-g', '-shared', '-fPIC', '-nostdlib'])
  const stripped = compile(dir, 'stripped', source, ['-s'])
  const object = compile(dir, 'object.o', source, ['-c'])
  const tbss = sectionsOf(program).find(({ name }) => name === '.tbss')
  const dynamic = sectionsOf(program).find(({ name }) => name === '.dynamic')
  t.ok(tbss && dynamic && dynamic.address >= tbss.address && dynamic.address < tbss.address + tbss.size)
  for (const path of [program, library, stripped, object]) t.equal(withFile(path, isDebugFile), false, path)
  for (const path of [program, library]) {
    execFileSync('objcopy', ['--only-keep-debug', path, `${path}.debug`])
    t.equal(withFile(`${path}.debug`, isDebugFile), true, `${path}.debug`)
  }
  for (const path of machineFiles(100)) t.equal(withFile(path, isDebugFile), false, path)
})
