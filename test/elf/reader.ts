import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { DT, Dynamic } from '../../lib/elf/dynamic.js'
import { openElf, PT_LOAD } from '../../lib/elf/header.js'
import { readElf } from '../../lib/elf/reader.js'
import { readSymbols } from '../../lib/elf/symbols.js'
import type { ElfFacts } from '../../lib/elf/types.js'
import { foreignFiles, machineFiles, withFile } from '../support/elf-files.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { definitionsOf, entriesOf, factsOf, needsOf, readelf } from '../support/readelf.js'

/** This machine's libraries and programs, other machines' C libraries, and fixtures of kinds that may be missing; readelf judges. */
const dir = temporaryDirectory()

const options = ['--dynamic', '--segments', '--notes', '--version-info']

function ourFacts(facts: ElfFacts) {
  const { needed, soname, rpath, runpath, interpreter, buildId, abiTag, flags1, tls, executableStack } = facts
  const abi = abiTag === null ? null : `${['Linux', 'Hurd'][abiTag.os]}, ABI: ${abiTag.kernel.join('.')}`
  const pie = (flags1 & 0x0800_0000) !== 0
  return { needed, soname, rpath, runpath, interpreter, buildId, abiTag: abi, pie, tls, executableStack }
}

/** Returns how many dynamic entries and versions were compared. */
function compare(t: Test, paths: readonly string[]): { entries: number; versions: number } {
  const outputs = readelf(options, paths)
  let entries = 0
  let versions = 0
  for (const path of paths) {
    const theirs = outputs.get(path) as string
    const facts = withFile(path, readElf)
    const defined = facts.verdefs.map(({ name }) => name)
    const needed = facts.verneeds.map(({ file, version, weak }) => `${file} ${version}${weak ? ' WEAK' : ''}`)
    t.same(ourFacts(facts), factsOf(theirs), `${path}: facts`)
    t.same(defined, definitionsOf(theirs), `${path}: versions defined`)
    t.same(needed, needsOf(theirs), `${path}: versions needed`)
    versions += defined.length + needed.length
    entries += compareEntries(t, path, theirs)
  }
  return { entries, versions }
}

/** Every tag that readelf lists, with all of its values in their order. */
function compareEntries(t: Test, path: string, output: string): number {
  const entries = entriesOf(output).filter(({ tag }) => tag !== 0)
  const theirs = [...new Set(entries.map(({ tag }) => tag))].map(tag => ({
    tag,
    values: entries.filter(entry => entry.tag === tag).map(({ value }) => inNumbers(tag, value)),
  }))
  const ours = withFile(path, file => {
    const { window, header } = openElf(file)
    const dynamic = Dynamic.read(window, header)
    return theirs.map(({ tag, values: [first] }) => ({
      tag,
      values: dynamic?.values(tag).map(value => (typeof first === 'string' ? dynamic.string(value, 'string') : value)),
    }))
  })
  t.same(ours, theirs, `${path}: dynamic entries`)
  return entries.length
}

const FLAGS: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  30: { ORIGIN: 1, SYMBOLIC: 2, TEXTREL: 4, BIND_NOW: 8, STATIC_TLS: 16 },
  1879048187: { NOW: 1, NODELETE: 8, INITFIRST: 0x20, NOOPEN: 0x40, ORIGIN: 0x80, INTERPOSE: 0x400, PIE: 0x0800_0000 },
  1879048197: { NOTPOT: 2 },
}

/** readelf's words back to what stands in the file: a number, or the string that it leads to. */
function inNumbers(tag: number, words: string): number | string {
  const string = /\[(.*)\]$/.exec(words)?.[1]
  if (string !== undefined) return string
  if (words === 'RELA') return 7
  if (words === 'REL') return 17
  const names = FLAGS[tag]
  if (names !== undefined)
    return words
      .replace('Flags: ', '')
      .trim()
      .split(' ')
      .reduce((sum, name) => sum + (names[name] ?? Number.NaN), 0)
  return Number(words.replace(' (bytes)', ''))
}

t.test('real files', async t => {
  // Relocatable files have no segments, and debug files none to read: the facts of both are those of other files.
  const machine = machineFiles(550).filter(path => withFile(path, readElf).type !== 'other')
  t.ok(machine.length >= 500, `${machine.length} files of this machine`)
  const foreign = foreignFiles()
  const { entries, versions } = compare(t, [...machine, ...foreign])
  t.comment(
    `${machine.length} files of this machine, ${foreign.length} of others: ${entries} entries, ${versions} versions`,
  )
})

t.test('fixtures', async t => {
  const source = 'int data = 7; __thread int local; int f(void) { return data; }'
  const flags = ['-shared', '-fPIC', '-nostdlib']
  compare(t, [
    compile(dir, 'libplain.so', source, flags),
    compile(dir, 'libstack.so', source, [...flags, '-Wl,-z,execstack,-z,origin,-rpath,/a:/b,--disable-new-dtags']),
    compile(dir, 'lib32.so', 'int f(void) { return 3; }', ['-m32', ...flags, '-Wl,-soname,lib32.so,-rpath,$ORIGIN']),
  ])
})

t.test('section headers are not needed', async t => {
  const path = compile(dir, 'libbare.so', 'int data = 7; int soft(void) { return data; }', [
    '-shared',
    '-fPIC',
    '-nostdlib',
  ])
  const before = { facts: withFile(path, readElf), symbols: withFile(path, readSymbols) }
  // e_shoff, e_shnum and e_shstrndx.
  writeFileSync(path, readFileSync(path).fill(0, 40, 48).fill(0, 60, 64))
  t.same({ facts: withFile(path, readElf), symbols: withFile(path, readSymbols) }, before)
  t.same(before.symbols.exports.map(({ name }) => name).sort(), ['data', 'soft'])
})

t.test('a table that lies in two segments, one right behind the other', async t => {
  const path = compile(dir, 'split', 'int main(void) { return 0; }')
  const before = { facts: withFile(path, readElf), symbols: withFile(path, readSymbols) }
  const middleOfStrings = withFile(path, file => {
    const { window, header } = openElf(file)
    const dynamic = Dynamic.read(window, header)
    return (dynamic?.value(DT.STRTAB) ?? 0) + ((dynamic?.value(DT.STRSZ) ?? 0) >> 1)
  })
  // As patchelf leaves what it has moved twice. The room is that of a segment that no loader needs.
  const bytes = readFileSync(path)
  const table = bytes.subarray(64, 64 + 56 * bytes.readUInt16LE(56))
  const segments = Array.from({ length: table.length / 56 }, (_, i) =>
    Buffer.from(table.subarray(56 * i, 56 * (i + 1))),
  )
  const isProperty = (segment: Buffer) => segment.readUInt32LE(0) === 0x6474e553
  t.equal(segments.filter(isProperty).length, 1)
  Buffer.concat(
    segments.filter(segment => !isProperty(segment)).flatMap(segment => halves(segment, middleOfStrings)),
  ).copy(table)
  writeFileSync(path, bytes)
  t.equal(spawnSync(path).status, 0, 'the loader takes it')
  t.same({ facts: withFile(path, readElf), symbols: withFile(path, readSymbols) }, before)
})

/** A segment to load in two, where `address` lies in it. */
function halves(segment: Buffer, address: number): readonly Buffer[] {
  const [offset, start, size] = [8, 16, 32].map(at => Number(segment.readBigUInt64LE(at))) as [number, number, number]
  const first = address - start
  if (segment.readUInt32LE(0) !== PT_LOAD || first < 0 || first >= size) return [segment]
  const half = (from: number, length: number) => {
    const written = Buffer.from(segment)
    const fields = [offset + from, start + from, start + from, length, length]
    for (const [i, field] of fields.entries()) written.writeBigUInt64LE(BigInt(field), 8 + 8 * i)
    return written
  }
  return [half(0, first), half(first, size - first)]
}

t.test('what is no ELF file', async t => {
  t.throws(() => withFile('/etc/passwd', readElf), { code: 'ELF_NOT' })
  t.throws(() => withFile('/dev/null', readElf), { code: 'EINVAL' })
})
