import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Header, openElf } from '../../lib/elf/header.js'
import { foreignFiles, machineFiles, withFile } from '../support/elf-files.js'
import { compile, temporaryDirectory } from '../support/fixtures.js'
import { readelf } from '../support/readelf.js'

/** Header and segments of every class and byte order; second-opinion.ts has more files of 64 bits. readelf judges. */
const dir = temporaryDirectory()

/** The lines of -h that are numbers, in their order, without the class, data and machine that it has in words. */
function headerNumbers(output: string): number[] {
  const labels = [
    'Entry point address',
    'Start of program headers',
    'Start of section headers',
    'Flags',
    'Size of this header',
    'Size of program headers',
    'Number of program headers',
    'Size of section headers',
    'Number of section headers',
    'Section header string table index',
  ]
  return labels.map(label => Number(new RegExp(`^ {2}${label}: +(\\w+)`, 'm').exec(output)?.[1] as string))
}

function ourNumbers({ entry, flags, headerSize, programHeaders, sectionHeaders, sectionNames }: Header): number[] {
  const { offset, entrySize, count } = programHeaders
  return [
    entry,
    offset,
    sectionHeaders.offset,
    flags,
    headerSize,
    entrySize,
    count,
    sectionHeaders.entrySize,
    sectionHeaders.count,
    sectionNames,
  ]
}

const SEGMENT =
  /^ {2}\S+ +(0x[0-9a-f]{6,}) (0x[0-9a-f]+) (0x[0-9a-f]+) (0x[0-9a-f]+) (0x[0-9a-f]+) ([R ][W ][E ]) (0x\w+|0)/gm

function theirSegments(output: string) {
  return [...output.matchAll(SEGMENT)].map(([, ...columns]) => {
    const [offset, address, physicalAddress, fileSize, memorySize] = columns.slice(0, 5).map(Number)
    const [r, w, x] = columns[5] as string
    const flags = (r === 'R' ? 4 : 0) | (w === 'W' ? 2 : 0) | (x === 'E' ? 1 : 0)
    return { flags, offset, address, physicalAddress, fileSize, memorySize, align: Number(columns[6]) }
  })
}

t.test('real files', async t => {
  const paths = [...machineFiles(100), ...foreignFiles()]
  const kinds = new Set<string>()
  for (const [path, output] of readelf(['--file-header', '--segments'], paths)) {
    const { header } = withFile(path, openElf)
    const lines = (list: readonly unknown[]) => list.map(item => JSON.stringify(item)).join('\n')
    t.same(ourNumbers(header), headerNumbers(output), `${path}: header`)
    const segments = header.segments.map(({ type, ...rest }) => rest)
    t.equal(lines(segments), lines(theirSegments(output)), `${path}: segments`)
    kinds.add(`${header.class} ${header.data} machine ${header.machine}`)
  }
  t.ok(kinds.size >= 5)
  t.comment([...kinds].sort().join(', '))
})

t.test('what the standard would allow and the loader does not', async t => {
  const path = compile(dir, 'lib.so', 'int f(void) { return 1; }', ['-shared', '-fPIC', '-nostdlib'])
  const patched = (name: string, change: (bytes: Buffer) => void) => {
    const bytes = readFileSync(path)
    change(bytes)
    writeFileSync(join(dir, name), bytes)
    return join(dir, name)
  }
  // PN_XNUM: the number is in the first section header, where only tools look.
  const many = patched('many.so', bytes => bytes.writeUInt16LE(0xffff, 56))
  t.throws(() => withFile(many, openElf), { code: 'ELF_MALFORMED' })
  const large = patched('large.so', bytes => bytes.writeUInt16LE(64, 54))
  t.throws(() => withFile(large, openElf), { code: 'ELF_MALFORMED' })
})
